import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { generateKeyPair, SignJWT } from 'jose';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { createSecurityEventVerifier, transmitterKeys, type SecurityEvent } from '../../src/identity/security-event.ts';
import { systemClock } from '../../src/core/clock.ts';
import { SESSION_REVOKED, startTransmitter, type SecurityEventTransmitter } from '../support/security-event-transmitter.ts';

const AUDIENCE = 'https://mayfly.test/security-events';
const SUBJECT = { format: 'iss_sub', iss: 'https://login.test', sub: 'ann' };
let transmitter: SecurityEventTransmitter;
let verify: (token: string) => Promise<SecurityEvent>;

beforeAll(async () => {
  transmitter = await startTransmitter(AUDIENCE);
  const fetch = createOutboundFetch({ environment: 'development', allowHosts: [new URL(transmitter.issuer).host], allowPrivateAddresses: true });
  const configured = { issuer: transmitter.issuer, audience: AUDIENCE, algorithms: ['RS256' as const], speaks_for: [] };
  verify = createSecurityEventVerifier({ transmitters: [configured], keysOf: (one) => transmitterKeys(one, { fetch, clock: systemClock, log: { warn: () => undefined } }), clock: systemClock });
});
afterAll(() => transmitter.stop());

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const refusedAs = (err: string) => ({ name: 'SecurityEventRefused', err });

describe('a security event token', () => {
  it('SS-1: is taken with typ secevent+jwt, iss, iat, jti, aud, one event and sub_id', async () => {
    expect(await verify(await transmitter.sign(SUBJECT, { claims: { jti: 'one' } }))).toMatchObject({ transmitter: { issuer: transmitter.issuer }, jti: 'one', type: SESSION_REVOKED, subject: SUBJECT });
    // As CAEP had it before its final text.
    const older = await transmitter.sign(undefined, { claims: { events: { [SESSION_REVOKED]: { subject: SUBJECT } } } });
    expect(await verify(older)).toMatchObject({ subject: SUBJECT });
  });

  it.each([
    ['SS-1: with another typ', { header: { typ: 'JWT' } }, 'invalid_request'],
    ['SS-1: without typ', { header: { typ: undefined } }, 'invalid_request'],
    ['SS-1: with sub', { claims: { sub: 'ann' } }, 'invalid_request'],
    ['SS-1: with exp', { claims: { exp: 4_000_000_000 } }, 'invalid_request'],
    ['SS-1: with no event', { claims: { events: {} } }, 'invalid_request'],
    ['SS-1: with two events', { claims: { events: { [SESSION_REVOKED]: {}, 'https://other.test/event': {} } } }, 'invalid_request'],
    ['SS-1: with events that are none', { claims: { events: 'all' } }, 'invalid_request'],
    ['SS-1: without iat', { claims: { iat: undefined } }, 'invalid_request'],
    ['SS-1: without jti', { claims: { jti: undefined } }, 'invalid_request'],
    ['SS-1: with a jti that is no text', { claims: { jti: 5 } }, 'invalid_request'],
    ['SS-1: of the future', { claims: { iat: 4_000_000_000 } }, 'invalid_request'],
    ['SS-1: of last month', { claims: { iat: 1_700_000_000 } }, 'invalid_request'],
    ['SS-2: of another issuer', { claims: { iss: 'https://stranger.test' } }, 'invalid_issuer'],
    ['SS-2: without an issuer', { claims: { iss: undefined } }, 'invalid_issuer'],
    ['SS-2: with an issuer that is no text', { claims: { iss: { toString: 1, valueOf: 1 } } }, 'invalid_issuer'],
    ['SS-2: for somebody else', { claims: { aud: 'https://elsewhere.test' } }, 'invalid_audience'],
    ['SS-2: for nobody', { claims: { aud: undefined } }, 'invalid_audience'],
    ['SS-2: with a key that is none of its transmitter', { header: { kid: 'other' } }, 'invalid_key'],
    ['SS-2: that brings its own key', { header: { jwk: { kty: 'oct', k: 'AAAA' } } }, 'invalid_key'],
  ] as const)('%s is refused', async (_what, more, err) => {
    await expect(verify(await transmitter.sign(SUBJECT, more))).rejects.toMatchObject(refusedAs(err));
    await expect(verify(await transmitter.sign(SUBJECT))).resolves.toMatchObject({ type: SESSION_REVOKED });
  });

  it('SS-2: that somebody else signed is refused, by whichever algorithm', async () => {
    const { privateKey } = await generateKeyPair('RS256');
    await expect(verify(await transmitter.sign(SUBJECT, { key: privateKey }))).rejects.toMatchObject(refusedAs('invalid_key'));
    const claims = { iss: transmitter.issuer, aud: AUDIENCE, iat: nowSeconds(), jti: 'x', events: { [SESSION_REVOKED]: {} }, sub_id: SUBJECT };
    const shared = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'sets-1', typ: 'secevent+jwt' }).sign(Buffer.alloc(32, 1));
    await expect(verify(shared)).rejects.toMatchObject(refusedAs('invalid_key'));
    const none = `${Buffer.from('{"alg":"none","typ":"secevent+jwt"}').toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.AA`;
    await expect(verify(none)).rejects.toMatchObject(refusedAs('invalid_key'));
  });

  it('SS-2: that was changed on the way is refused', async () => {
    const [header = '', , signature = ''] = (await transmitter.sign(SUBJECT)).split('.');
    const claims = { iss: transmitter.issuer, aud: AUDIENCE, iat: nowSeconds(), jti: 'x', events: { [SESSION_REVOKED]: {} }, sub_id: { ...SUBJECT, sub: 'bob' } };
    await expect(verify(`${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`)).rejects.toMatchObject(refusedAs('invalid_key'));
  });

  it('that is anything else is refused with a reason, and never crashes', async () => {
    const parts = fc.tuple(fc.jsonValue(), fc.jsonValue(), fc.base64String()).map(([header, payload, signature]) => [header, payload].map((one) => Buffer.from(JSON.stringify(one)).toString('base64url')).concat(signature).join('.'));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), parts), async (text) => {
        const error: unknown = await verify(text).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ name: 'SecurityEventRefused', err: expect.stringMatching(/^invalid_/) });
      }),
      { numRuns: 300 },
    );
  });
});
