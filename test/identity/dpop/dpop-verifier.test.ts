import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { deriveKey } from '../../../src/core/derive-key.ts';
import { toEpochSeconds } from '../../../src/core/time.ts';
import { createDpopNonces } from '../../../src/identity/dpop/dpop-nonces.ts';
import { createDpopVerifier, type DpopRules, type DpopVerifier } from '../../../src/identity/dpop/dpop-verifier.ts';
import { testLedger } from '../../support/ledger-fixture.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { useRedis } from '../../support/use-redis.ts';
import { PAIRS, STRANGER } from '../published-issuer.ts';
import { proofOf, thumbprintOf, TOKEN, type ProofChange } from './proofs.ts';

const KEY = deriveKey(Buffer.alloc(32, 7), 'DPoP nonces');
const RULES: DpopRules = { token: { text: TOKEN, jkt: await thumbprintOf(PAIRS.ES256) }, demandsNonce: false };
const SEEN = { code: 'invalid_dpop_proof', message: expect.stringContaining('it was used before') };

let redis: Redis;
let clock: ManualClock;
let verifier: DpopVerifier;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock();
  verifier = replica();
});

const replica = (publicUrl = 'https://mayfly.example.org'): DpopVerifier =>
  createDpopVerifier({ publicUrl, nonces: createDpopNonces(KEY, clock), useOnce: (what, untilMs) => testLedger(redis, clock).ledger.useOnce(what, untilMs), clock });
const proof = (change?: ProofChange): Promise<string> => proofOf(toEpochSeconds(clock.now()), change);
const verify = (one: string, { by = verifier, path = '/v1/tasks', rules = RULES }: { by?: DpopVerifier; path?: string; rules?: DpopRules } = {}) =>
  by.verify({ dpopProofs: [one], method: 'POST', path }, rules);

describe('a proof is good for one request', () => {
  it('not for a second one, at no replica; a fresh one is (control)', async () => {
    const one = await proof();
    expect(await verify(one)).toEqual({ jkt: RULES.token?.jkt });
    await expect(verify(one)).rejects.toMatchObject(SEEN);
    await expect(verify(one, { by: replica() })).rejects.toMatchObject(SEEN);
    expect(await verify(await proof())).toEqual({ jkt: RULES.token?.jkt });
  });

  it('and stays used for as long as it would be accepted', async () => {
    const ahead = await proof({ claims: { iat: toEpochSeconds(clock.now()) + 30 } });
    await verify(ahead);
    clock.advance(90_999);
    await expect(verify(ahead)).rejects.toMatchObject(SEEN);
    clock.advance(1);
    await expect(verify(ahead)).rejects.toMatchObject({ message: expect.stringContaining('older than 60 seconds') });
  });

  it('not for a request to another URL under the same name, and nobody can use up the name of another', async () => {
    const jti = 'the-same';
    await verify(await proof({ claims: { jti } }));
    await expect(verify(await proof({ claims: { jti } }))).rejects.toMatchObject(SEEN);
    const elsewhere = await proof({ claims: { jti, htu: 'https://mayfly.example.org/v1/whoami' } });
    expect(await verify(elsewhere, { path: '/v1/whoami' })).toMatchObject({ jkt: RULES.token?.jkt });
    expect(await verify(await proof({ claims: { jti }, pair: STRANGER }), { rules: { ...RULES, token: null } })).toMatchObject({ jkt: await thumbprintOf(STRANGER) });
  });

  it('and what is no proof leaves no mark', async () => {
    await expect(verify(await proof({ pair: STRANGER }))).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    expect(await redis.dbsize()).toBe(0);
  });
});

describe('the URL of a proof', () => {
  it('is below the public one, and a path that poses as a host changes nothing', async () => {
    const below = replica('https://example.org/mayfly/');
    expect(await verify(await proof({ claims: { htu: 'https://example.org/mayfly/v1/tasks' } }), { by: below, path: '/v1/tasks?limit=5' })).toMatchObject({ jkt: RULES.token?.jkt });
    await expect(verify(await proof(), { by: below })).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    await expect(verify(await proof({ claims: { htu: 'https://evil.test/v1/tasks' } }), { path: '//evil.test/v1/tasks' })).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    await expect(verify(await proof({ claims: { htu: 'https://evil.test/v1/tasks' } }), { path: 'https://evil.test/v1/tasks' })).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
  });
});

describe('nonces', () => {
  it('are demanded where the rules say so, and those of every replica are accepted', async () => {
    const rules = { ...RULES, demandsNonce: true };
    await expect(verify(await proof(), { rules })).rejects.toMatchObject({ code: 'use_dpop_nonce' });
    const nonce = createDpopNonces(KEY, clock).current();
    expect(await verify(await proof({ claims: { nonce } }), { rules, by: replica() })).toMatchObject({ jkt: RULES.token?.jkt });
    const strangers = createDpopNonces(Buffer.alloc(32, 8), clock).current();
    await expect(verify(await proof({ claims: { nonce: strangers } }), { rules })).rejects.toMatchObject({ code: 'use_dpop_nonce' });
  });

  it('change each minute, and are good for one to two', () => {
    const nonces = createDpopNonces(KEY, clock);
    const first = nonces.current();
    clock.advance(59_999);
    expect(nonces.current()).toBe(first);
    clock.advance(1);
    expect(nonces.current()).not.toBe(first);
    clock.advance(59_999);
    expect(nonces.accepts(first)).toBe(true);
    clock.advance(1);
    expect(nonces.accepts(first)).toBe(false);
  });

  it('of a replica whose clock is a little ahead are accepted, made-up ones never', () => {
    const ahead = new ManualClock(clock.now() + 60_000);
    const nonces = createDpopNonces(KEY, clock);
    expect(nonces.accepts(createDpopNonces(KEY, ahead).current())).toBe(true);
    const [turn = '', tag = ''] = nonces.current().split('.');
    for (const made of ['', '.', tag, `${turn}.`, `${Number(turn) + 1}.${tag}`, `0${turn}.${tag}`, ` ${turn}.${tag}`, `${turn}.${tag}A`]) expect(nonces.accepts(made)).toBe(false);
  });
});
