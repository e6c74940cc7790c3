import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { configSchema } from '../../src/config/config-schema.ts';
import { deriveKey } from '../../src/core/derive-key.ts';
import { toEpochSeconds } from '../../src/core/time.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import type { Authenticator } from '../../src/identity/caller.ts';
import { createDpopNonces } from '../../src/identity/dpop/dpop-nonces.ts';
import { createDpopVerifier } from '../../src/identity/dpop/dpop-verifier.ts';
import { createKeySources } from '../../src/identity/key-sources.ts';
import { testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { bearer } from '../support/presented.ts';
import { useRedis } from '../support/use-redis.ts';
import { athOf, proofOf, thumbprintOf, type ProofChange } from './dpop/proofs.ts';
import { jwkOf, PAIRS, publishIssuer, signed, STRANGER, type PublishedIssuer } from './published-issuer.ts';

const JKT = await thumbprintOf(PAIRS.ES256);
const HTU = 'https://mayfly.example.org/v1/whoami';
const because = (reason: string) => ({ code: 'invalid_token', message: `the token was not accepted: ${reason}` });
const USED = because('it was used before, and its issuer is configured for tokens that are good for one call');
const AS_BOUND = because('it is bound to a key; send it as `Authorization: DPoP <token>`, with a proof in a DPoP header');

let issuer: PublishedIssuer;
let redis: Redis;
let clock: ManualClock;

beforeAll(async () => {
  issuer = await publishIssuer([await jwkOf(STRANGER, { kid: 'k1' })]);
});
afterAll(() => issuer.stop());
useRedis((connection) => {
  redis = connection;
  clock = new ManualClock();
});

/** A replica of the broker's front door; with other settings for the issuer. */
function replica(settings: object = {}, { publicUrl = 'https://mayfly.example.org' }: { publicUrl?: string | null } = {}): Authenticator {
  const { identity, operators } = configSchema.shape;
  const { ledger } = testLedger(redis, clock);
  const useOnce: typeof ledger.useOnce = (what, untilMs) => ledger.useOnce(what, untilMs);
  const nonces = createDpopNonces(deriveKey(Buffer.alloc(32), 'DPoP nonces'), clock);
  return createAuthenticator({
    sessions: undefined,
    identity: identity.parse({ audience: 'mayfly', issuers: [{ issuer: issuer.issuer, instance_claim: 'run_id', ...settings }] }),
    operators: operators.parse({ issuer: 'https://people.test', audience: 'mayfly-operators' }),
    keys: createKeySources([], { outboundFetch: issuer.fetch, clock, log: { warn: () => undefined } }),
    outboundFetch: issuer.fetch,
    dpop: publicUrl === null ? undefined : createDpopVerifier({ publicUrl, nonces, useOnce, clock }),
    useOnce,
    clock,
  });
}

const now = (): number => toEpochSeconds(clock.now());
const token = (claims: object = {}): Promise<string> => signed({ iss: issuer.issuer, sub: 'agent:a', aud: 'mayfly', iat: now(), exp: now() + 300, ...claims }, { alg: 'ES256', kid: 'k1' }, STRANGER);
const boundToken = (claims: object = {}): Promise<string> => token({ cnf: { jkt: JKT }, ...claims });
/** The token with a fresh proof that fits it, but for the change. */
const dpop = async (text: string, change: ProofChange = {}) =>
  bearer(text, { authorization: { scheme: 'dpop', token: text }, dpopProofs: [await proofOf(now(), { ...change, claims: { htm: 'GET', htu: HTU, ath: athOf(text), ...change.claims } })] });

describe('a token that is bound to a key', () => {
  it('makes a sender-bound caller, whose instance is the key, with proof of it', async () => {
    expect(await replica().authenticate(await dpop(await boundToken()))).toMatchObject({ subject: 'agent:a', senderBound: true, instance: JKT });
  });

  it('keeps the instance that the issuer names', async () => {
    expect(await replica().authenticate(await dpop(await boundToken({ run_id: 'run-7' })))).toMatchObject({ senderBound: true, instance: 'run-7' });
  });

  it('DPoP 7.2: is refused as a bearer token, with or without a proof; an unbound one is accepted (control)', async () => {
    const text = await boundToken();
    await expect(replica().authenticate(bearer(text))).rejects.toMatchObject(AS_BOUND);
    const { dpopProofs } = await dpop(text);
    await expect(replica().authenticate(bearer(text, { dpopProofs }))).rejects.toMatchObject(AS_BOUND);
    expect(await replica().authenticate(bearer(await token()))).toMatchObject({ senderBound: false, instance: null });
  });

  it('is refused without its key, each time: nothing of an earlier proof is remembered', async () => {
    const text = await boundToken();
    const front = replica();
    await front.authenticate(await dpop(text));
    await expect(front.authenticate(bearer(text))).rejects.toMatchObject(AS_BOUND);
    await expect(front.authenticate(await dpop(text, { pair: PAIRS.ES384, header: { alg: 'ES384' } }))).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    await expect(front.authenticate({ ...(await dpop(text)), dpopProofs: [] })).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    expect(await front.authenticate(await dpop(text))).toMatchObject({ senderBound: true });
  });

  it('is refused with a proof that was used, at any replica', async () => {
    const presented = await dpop(await boundToken());
    await replica().authenticate(presented);
    await expect(replica().authenticate(presented)).rejects.toMatchObject({ code: 'invalid_dpop_proof', message: expect.stringContaining('used before') });
  });

  it('is refused where nobody could check a proof', async () => {
    await expect(replica({}, { publicUrl: null }).authenticate(await dpop(await boundToken()))).rejects.toMatchObject(because('it is bound to a key, and proofs cannot be checked here without http.public_url'));
  });

  it.each([[{ cnf: null }], [{ cnf: 'jkt' }], [{ cnf: { jkt: '' } }], [{ cnf: { jkt: 5 } }], [{ cnf: { jkt: null } }], [{ cnf: { jkt: [JKT] } }], [{ cnf: { jkt: `${JKT}=` } }]])('is refused with a binding that is not understood: %j', async (claims) => {
    await expect(replica().authenticate(bearer(await token(claims)))).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(replica().authenticate(await dpop(await token(claims)))).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('whose request lasts is looked at again without another proof', async () => {
    const front = replica();
    const presented = await dpop(await boundToken());
    await front.authenticate(presented);
    expect(await front.recheck(presented)).toMatchObject({ subject: 'agent:a' });
    clock.advance(331_000);
    await expect(front.recheck(presented)).rejects.toMatchObject({ code: 'invalid_token' });
  });
});

describe('a token that is bound to no key', () => {
  it('is refused with a proof: nobody shall believe that it was bound', async () => {
    await expect(replica().authenticate(await dpop(await token()))).rejects.toMatchObject(because('it is bound to no key; send it as `Authorization: Bearer <token>`'));
  });

  it('is refused where its issuer must bind; there a bound one is accepted (control)', async () => {
    const strict = replica({ sender_binding: 'required' });
    await expect(strict.authenticate(bearer(await token()))).rejects.toMatchObject(because('its issuer is configured for tokens that are bound to a key, and it is bound to none'));
    expect(await strict.authenticate(await dpop(await boundToken()))).toMatchObject({ senderBound: true });
  });
});

describe('nonces', () => {
  it('are demanded of the tokens of an issuer that is configured so', async () => {
    const strict = replica({ dpop_nonces: true });
    const text = await boundToken();
    const challenge: unknown = await strict.authenticate(await dpop(text)).catch((error: unknown) => error);
    expect(challenge).toMatchObject({ code: 'use_dpop_nonce', headers: { 'DPoP-Nonce': expect.stringMatching(/^[\w.-]+$/) } });
    const { headers } = challenge as { headers: Record<string, string> };
    expect(await replica({ dpop_nonces: true }).authenticate(await dpop(text, { claims: { nonce: headers['DPoP-Nonce'] } }))).toMatchObject({ senderBound: true });
  });
});

describe('a token that is good for one call', () => {
  const once = { single_use: true };

  it('is refused the second time, at every replica; without the setting it is accepted again (control)', async () => {
    const front = replica(once);
    const text = await token({ jti: 'a' });
    expect(await front.authenticate(bearer(text))).toMatchObject({ subject: 'agent:a' });
    await expect(front.authenticate(bearer(text))).rejects.toMatchObject(USED);
    await expect(replica(once).authenticate(bearer(text))).rejects.toMatchObject(USED);
    expect(await replica().authenticate(bearer(text))).toMatchObject({ subject: 'agent:a' });
    expect(await replica().authenticate(bearer(text))).toMatchObject({ subject: 'agent:a' });
  });

  it('is used by one of many calls at once', async () => {
    const front = replica(once);
    const text = await token();
    const calls = await Promise.allSettled(Array.from({ length: 20 }, () => front.authenticate(bearer(text))));
    expect(calls.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is known by its jti, whatever else it says, and otherwise by all that was signed', async () => {
    const front = replica(once);
    await front.authenticate(bearer(await token({ jti: 'a' })));
    await expect(front.authenticate(bearer(await token({ jti: 'a', exp: now() + 200 })))).rejects.toMatchObject(USED);
    expect(await front.authenticate(bearer(await token({ jti: 'b' })))).toMatchObject({ subject: 'agent:a' });
    await front.authenticate(bearer(await token({ exp: now() + 100 })));
    expect(await front.authenticate(bearer(await token({ exp: now() + 101 })))).toMatchObject({ subject: 'agent:a' });
  });

  it('is the same token with the other form of its signature, which fits as well (control)', async () => {
    const text = await token();
    const other = otherForm(text);
    expect(other).not.toBe(text);
    expect(await replica().authenticate(bearer(other))).toMatchObject({ subject: 'agent:a' });
    const front = replica(once);
    await front.authenticate(bearer(text));
    await expect(front.authenticate(bearer(other))).rejects.toMatchObject(USED);
  });

  it('is not used up by who cannot prove to be its holder', async () => {
    const front = replica(once);
    const text = await boundToken();
    await expect(front.authenticate(bearer(text))).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(front.authenticate(await dpop(text, { pair: STRANGER }))).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    expect(await front.authenticate(await dpop(text))).toMatchObject({ senderBound: true });
    await expect(front.authenticate(await dpop(text))).rejects.toMatchObject(USED);
  });

  it('stays used until it has expired, the skew included', async () => {
    const front = replica(once);
    const text = await token({ exp: now() + 60 });
    await front.authenticate(bearer(text));
    clock.advance(89_999);
    await expect(front.authenticate(bearer(text))).rejects.toMatchObject(USED);
    clock.advance(1);
    await expect(front.authenticate(bearer(text))).rejects.toMatchObject(because('it has expired'));
  });
});

/** Of an ECDSA signature (r, s), (r, n - s) is one as well. */
function otherForm(text: string): string {
  const dot = text.lastIndexOf('.') + 1;
  const signature = Buffer.from(text.slice(dot), 'base64url');
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const s = order - BigInt(`0x${signature.subarray(32).toString('hex')}`);
  return text.slice(0, dot) + Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]).toString('base64url');
}
