import { describe, expect, it } from '@jest/globals';
import { decodeJwt, FlattenedSign, jwtVerify, UnsecuredJWT } from 'jose';
import fc from '../support/fast-check.ts';
import { toEpochSeconds } from '../../src/core/time.ts';
import { PublicKeys, usableJwks } from '../../src/identity/public-keys.ts';
import { unverifiedClaims, verifyToken, type TokenExpectation } from '../../src/identity/verify-token.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { jwkOf, pairFor, PAIRS, signed, STRANGER } from './published-issuer.ts';

const clock = new ManualClock();
const NOW = toEpochSeconds(clock.now());
const ISSUER = 'https://issuer.test';

const published = new PublicKeys(usableJwks(await Promise.all(Object.entries(PAIRS).map(([kid, pair]) => jwkOf(pair, { kid })))));
const EXPECTED: TokenExpectation = {
  issuer: ISSUER,
  audience: 'mayfly',
  algorithms: ['ES256', 'RS256', 'EdDSA'],
  types: ['JWT', 'at+jwt'],
  requireKid: true,
  maxLifetimeSeconds: 600,
  keyFor: (kid, algorithm) => published.find(kid, algorithm),
};

interface Change {
  readonly claims?: object;
  readonly header?: object;
  readonly pair?: typeof STRANGER;
}

/** A good token, but for the change. */
const token = ({ claims, header, pair }: Change = {}): Promise<string> =>
  signed({ iss: ISSUER, sub: 'agent:a', aud: 'mayfly', iat: NOW, exp: NOW + 300, ...claims }, { alg: 'ES256', kid: 'ES256', ...header }, pair);
const verify = (text: string, expected: Partial<TokenExpectation> = {}) => verifyToken(text, { ...EXPECTED, ...expected }, clock.now());
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

const ALGORITHM = 'its algorithm is not allowed for this issuer';
const HEADER = 'its header brings keys or extensions';
const TYPE = 'it is another kind of token';
const NO_KEY = 'it names no key';
const FORM = 'it is not a compact JWS';
const AUDIENCE = 'its claim aud is missing or wrong';
const TIMES = 'its times are not whole seconds';
const SUBJECT = 'its subject is not usable';

const BAD: readonly (readonly [string, string, () => Promise<string>])[] = [
  ['SP-10: in JSON form', FORM, async () => JSON.stringify(await new FlattenedSign(Buffer.from('{}')).setProtectedHeader({ alg: 'ES256' }).sign(PAIRS.ES256.privateKey))],
  ['SP-10: of five parts, as an encrypted one', FORM, async () => `${await token()}.a.b`],
  ['SP-10: without a signature', FORM, () => Promise.resolve(new UnsecuredJWT({ sub: 'agent:a' }).encode())],
  ['SP-10: with a line break at the end', FORM, async () => `${await token()}\n`],
  ['SP-10: in base64 with padding', FORM, async () => (await token()).replace('.', '=.')],
  ['of more than 16 KiB', FORM, () => token({ claims: { padding: 'x'.repeat(16_384) } })],
  ['with a header that is no JSON', 'its header cannot be read', async () => (await token()).replace(/^[^.]+/, 'AAAA')],
  ['with a header that is a list', 'its header cannot be read', async () => (await token()).replace(/^[^.]+/, encode(['ES256']))],
  ['SP-11: of the algorithm none, with a signature', ALGORITHM, async () => (await token()).replace(/^[^.]+/, encode({ alg: 'none', kid: 'ES256' }))],
  ['SP-11: of the algorithm NONE', ALGORITHM, async () => (await token()).replace(/^[^.]+/, encode({ alg: 'NONE', kid: 'ES256' }))],
  ['SP-11: of an algorithm in lower case', ALGORITHM, async () => (await token()).replace(/^[^.]+/, encode({ alg: 'es256', kid: 'ES256' }))],
  ['SP-11: of an algorithm in a list', ALGORITHM, async () => (await token()).replace(/^[^.]+/, encode({ alg: ['ES256'], kid: 'ES256' }))],
  ['SP-11: of no algorithm', ALGORITHM, async () => (await token()).replace(/^[^.]+/, encode({ kid: 'ES256' }))],
  ['OI-4: of an algorithm that this issuer does not use', ALGORITHM, () => token({ header: { alg: 'ES384', kid: 'ES384' }, pair: PAIRS.ES384 })],
  ['OI-4: of RSA with another padding', ALGORITHM, () => token({ header: { alg: 'PS256', kid: 'RSA' }, pair: PAIRS.RSA })],
  ['OI-4: whose algorithm does not fit the key it names', 'its key is not one of the issuer', () => token({ header: { kid: 'RSA' } })],
  ...['jku', 'jwk', 'x5u', 'x5c'].map((name) => [`SP-12: with ${name} in its header`, HEADER, () => token({ header: { [name]: 'anything' } })] as const),
  ['SP-12: with crit in its header', HEADER, () => token({ header: { crit: ['exp'], exp: 1 } })],
  ['SP-12: with b64 in its header', HEADER, () => token({ header: { b64: true } })],
  ['SP-12: with a null jwk in its header', HEADER, () => token({ header: { jwk: null } })],
  ...['secevent+jwt', 'dpop+jwt', 'logout+jwt', 'wit+jwt', 'jwt', 'JWT ', '', 5, null, ['JWT']].map((typ) => [`OI-6: of type ${JSON.stringify(typ)}`, TYPE, async () => (await token()).replace(/^[^.]+/, encode({ alg: 'ES256', kid: 'ES256', typ }))] as const),
  ['SP-13: without a key id', NO_KEY, () => token({ header: { kid: undefined } })],
  ...['', 5, null, {}].map((kid) => [`SP-13: with the key id ${JSON.stringify(kid)}`, NO_KEY, async () => (await token()).replace(/^[^.]+/, encode({ alg: 'ES256', kid }))] as const),
  ['SP-13: with an unknown key id', 'its key is not one of the issuer', () => token({ header: { kid: 'unknown' } })],
  ['OI-4: signed by somebody else', 'its signature does not fit', () => token({ pair: STRANGER })],
  ['OI-4: with another claim than was signed', 'its signature does not fit', async () => (await token()).replace(/\.[^.]+\./, `.${encode({ ...decodeJwt(await token()), sub: 'agent:b' })}.`)],
  ['OI-1: of another issuer', 'its claim iss is missing or wrong', () => token({ claims: { iss: 'https://other.test' } })],
  ['OI-1: of the issuer with a slash', 'its claim iss is missing or wrong', () => token({ claims: { iss: `${ISSUER}/` } })],
  ['OI-1: of a list of issuers', 'its claim iss is missing or wrong', () => token({ claims: { iss: [ISSUER] } })],
  ['OI-1: of no issuer', 'its claim iss is missing or wrong', () => token({ claims: { iss: undefined } })],
  ['SP-14: without a subject', 'its claim sub is missing or wrong', () => token({ claims: { sub: undefined } })],
  ['SP-14: with an empty subject', SUBJECT, () => token({ claims: { sub: '' } })],
  ['SP-14: with a number as subject', SUBJECT, () => token({ claims: { sub: 5 } })],
  ['SP-14: with a line break in its subject', SUBJECT, () => token({ claims: { sub: 'agent:a\n' } })],
  ['SP-14: with half a character in its subject', SUBJECT, () => token({ claims: { sub: 'agent:\ud800' } })],
  ['SP-14: with a subject of 2,049 letters', SUBJECT, () => token({ claims: { sub: 'a'.repeat(2_049) } })],
  ...[undefined, 'other', 'mayfly/', 'Mayfly', 'mayfly ', 'may', '', [], ['other'], 5, null, {}, [['mayfly']]].map((aud) => [`SP-15: for the audience ${JSON.stringify(aud)}`, AUDIENCE, () => token({ claims: { aud } })] as const),
  ['SP-15: for one audience more', 'it is for more than this audience', () => token({ claims: { aud: ['mayfly', 'other'] } })],
  ['SP-15: for the same audience twice', 'it is for more than this audience', () => token({ claims: { aud: ['mayfly', 'mayfly'] } })],
  ['SP-16: without an expiry', 'its claim exp is missing or wrong', () => token({ claims: { exp: undefined } })],
  ['SP-16: with an expiry in words', 'its claim exp is missing or wrong', () => token({ claims: { exp: String(NOW + 60) } })],
  ['SP-16: with an expiry of null', 'its claim exp is missing or wrong', () => token({ claims: { exp: null } })],
  ['SP-16: with a fraction in its expiry', TIMES, () => token({ claims: { exp: NOW + 60.5 } })],
  ['SP-16: with an expiry beyond what a number holds', TIMES, () => token({ claims: { exp: 2 ** 53 } })],
  ['SP-16: expired, with the skew', 'it has expired', () => token({ claims: { iat: NOW - 100, exp: NOW - 30 } })],
  ['SP-16: that lives a second too long', 'it lives longer than allowed', () => token({ claims: { exp: NOW + 601 } })],
  ['SP-16: that lives a second too long from now, with no start', 'it lives longer than allowed', () => token({ claims: { iat: undefined, exp: NOW + 601 } })],
  ['K8-2: that lives a year', 'it lives longer than allowed', () => token({ claims: { iat: NOW - 31_000_000, exp: NOW + 536_000 } })],
  ['SP-18: not valid yet, beyond the skew', 'its claim nbf is missing or wrong', () => token({ claims: { nbf: NOW + 31 } })],
  ['SP-18: with a start of validity in words', 'its claim nbf is missing or wrong', () => token({ claims: { nbf: 'now' } })],
  ['SP-18: with a fraction in its start of validity', TIMES, () => token({ claims: { nbf: NOW - 0.5 } })],
  ['OI-5: issued in the future, beyond the skew', 'it was issued in the future', () => token({ claims: { iat: NOW + 31 } })],
  ['OI-5: issued at a time in words', 'its claim iat is missing or wrong', () => token({ claims: { iat: 'now' } })],
  ['OI-5: with a fraction in its time of issue', TIMES, () => token({ claims: { iat: NOW - 0.5 } })],
];

describe('a token is refused, for the reason it should be,', () => {
  it.each(BAD)('%s', async (_name, reason, make) => {
    await expect(verify(await make())).rejects.toMatchObject({ code: 'invalid_token', message: `the token was not accepted: ${reason}` });
  });

  it('whatever its parts hold: never by another error than a problem', async () => {
    const part = fc.oneof(fc.json().map((json) => Buffer.from(json).toString('base64url')), fc.string());
    const header = fc.record({ alg: fc.oneof(fc.constant('ES256'), fc.jsonValue()), kid: fc.oneof(fc.constant('ES256'), fc.jsonValue()), typ: fc.jsonValue() }, { requiredKeys: [] }).map(encode);
    await fc.assert(
      fc.asyncProperty(fc.oneof(header, part), part, part, async (...parts) => {
        await expect(verify(parts.join('.'))).rejects.toMatchObject({ code: 'invalid_token' });
      }),
    );
  });

  it('before its key is looked for, where its algorithm is not allowed', async () => {
    const asked: unknown[] = [];
    const keyFor = (kid: unknown): Promise<undefined> => {
      asked.push(kid);
      return Promise.resolve(undefined);
    };
    await expect(verify(await token({ header: { alg: 'ES384', kid: 'a' }, pair: PAIRS.ES384 }), { keyFor })).rejects.toMatchObject({ code: 'invalid_token' });
    expect(asked).toEqual([]);
    await expect(verify(await token(), { keyFor })).rejects.toMatchObject({ code: 'invalid_token' });
    expect(asked).toEqual(['ES256']);
  });

  it('while jose alone would accept much of it (control)', async () => {
    const key = PAIRS.ES256.publicKey;
    const bare = (change: Change) => token(change).then((text) => jwtVerify(text, key, { currentDate: new Date(clock.now()) }));
    for (const claims of [{ exp: undefined }, { aud: 'other' }, { aud: ['mayfly', 'other'] }, { iss: 'https://other.test' }, { sub: undefined }, { exp: NOW + 31_536_000 }, { iat: NOW + 300 }]) {
      expect((await bare({ claims })).protectedHeader.alg).toBe('ES256');
    }
    for (const header of [{ typ: 'secevent+jwt' }, { jku: 'https://evil.test' }, { kid: undefined }]) expect((await bare({ header })).payload.sub).toBe('agent:a');
  });
});

describe('a token is accepted', () => {
  it.each(['ES256', 'RS256', 'EdDSA'])('signed by %s', async (alg) => {
    const pair = pairFor(alg);
    const kid = pair === PAIRS.RSA ? 'RSA' : alg;
    expect(await verify(await token({ header: { alg, kid }, pair }))).toMatchObject({ subject: 'agent:a', expiresAtMs: (NOW + 300) * 1000 });
  });

  it.each([
    ['with one audience in a list', { claims: { aud: ['mayfly'] } }],
    ['without a time of issue', { claims: { iat: undefined } }],
    ['of the longest life', { claims: { exp: NOW + 600 } }],
    ['expired within the skew', { claims: { iat: NOW - 100, exp: NOW - 29 } }],
    ['issued in the future, within the skew', { claims: { iat: NOW + 30 } }],
    ['valid in the future, within the skew', { claims: { nbf: NOW + 30 } }],
    ['of an allowed type', { header: { typ: 'at+jwt' } }],
    ['with the thumbprint of a certificate in its header, which brings no key', { header: { x5t: 'abc' } }],
    ['with a subject in another script', { claims: { sub: 'агент' } }],
  ])('%s', async (_name, change) => {
    expect(await verify(await token(change))).toMatchObject({ expiresAtMs: expect.any(Number) });
  });

  it('without a key id where none is required and one key fits', async () => {
    expect(await verify(await token({ header: { kid: undefined } }), { requireKid: false })).toMatchObject({ subject: 'agent:a' });
  });

  it('and says whether its key is still the one in force', async () => {
    let keys = published;
    const verified = await verify(await token(), { keyFor: (kid, algorithm) => keys.find(kid, algorithm) });
    expect(await verified.keyStands()).toBe(true);
    keys = new PublicKeys(usableJwks([await jwkOf(STRANGER, { kid: 'ES256' })]));
    expect(await verified.keyStands()).toBe(false);
    keys = new PublicKeys([]);
    expect(await verified.keyStands()).toBe(false);
  });
});

describe('what a token says of itself', () => {
  it('is read without belief, and only from a compact one', async () => {
    expect(unverifiedClaims(await token({ pair: STRANGER }))).toMatchObject({ iss: ISSUER });
    for (const text of ['', 'hello', 'a.b', 'a.b.c', `${encode({})}.${encode([])}.a`, `${encode({})}.${encode('x'.repeat(16_384))}.a`]) {
      expect(() => unverifiedClaims(text)).toThrow(expect.objectContaining({ code: 'invalid_token' }));
    }
  });
});
