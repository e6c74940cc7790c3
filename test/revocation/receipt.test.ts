import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { addMs, type EpochMs } from '../../src/core/time.ts';
import { loadSigningKeys, signJws, verifyingKeyOf, type SigningKeys } from '../../src/keys/signing-keys.ts';
import type { Lease } from '../../src/ledger/lease.ts';
import { intendedLease, transition, type LeaseChange } from '../../src/ledger/lease-transitions.ts';
import { openReceipt, receiptOf, signReceipt } from '../../src/revocation/receipt.ts';
import { draftTask } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { at } from '../support/at.ts';

const clock = new ManualClock();
const later = (ms: number): EpochMs => addMs(clock.now(), ms);
let folder: string;
let keys: SigningKeys;
let others: SigningKeys;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-receipt-'));
  const keyFile = (name: string, { privateKey }: { privateKey: { export: (as: { type: 'pkcs8'; format: 'pem' }) => string | Buffer } }): string => {
    writeFileSync(join(folder, name), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return join(folder, name);
  };
  keys = loadSigningKeys([keyFile('a', generateKeyPairSync('ed25519')), keyFile('b', generateKeyPairSync('ec', { namedCurve: 'P-256' }))]);
  others = loadSigningKeys([keyFile('c', generateKeyPairSync('ed25519'))]);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A lease that went through these changes. */
function leaseAfter(...changes: LeaseChange[]): Lease {
  const minted: LeaseChange = { type: 'activated', atMs: later(5), handle: {}, targetExpiresAtMs: later(905_000), lapsesAtMs: later(305_000) };
  return [minted, ...changes].reduce(transition, intendedLease(at(draftTask(clock).intents, 0)));
}
const ending: LeaseChange = { type: 'end_requested', atMs: later(10_000), reason: 'completed' };

describe('a receipt', () => {
  it('is there once a lease has ended, and not before', () => {
    expect([leaseAfter(), leaseAfter(ending)].map((lease) => receiptOf(lease, 'prod', later(11_000)))).toEqual([undefined, undefined]);
    const receipt = receiptOf(leaseAfter(ending, { type: 'revoked', atMs: later(10_020), verifiedAtMs: later(10_020) }), 'prod', later(11_000));
    expect(receipt).toMatchObject({ version: 1, deployment_id: 'prod', outcome: 'revoked', reason: 'completed', exposure_seconds: 0.02, attempts: 0 });
  });

  it.each<[string, LeaseChange[], RegExp, number | null]>([
    ['revoked and looked up', [ending, { type: 'revoked', atMs: later(10_020), verifiedAtMs: later(10_020) }], /asked again, and knew it no longer/, 0.02],
    ['revoked, with no second look', [ending, { type: 'revoked', atMs: later(10_020) }], /confirmed that nothing of it is left/, 0.02],
    ['denied, and soon enforced', [ending, { type: 'revoked', atMs: later(10_500), appliedAtMs: later(10_400), verifiedAtMs: later(10_450), effectiveByMs: later(70_400) }], /everywhere by effective_by/, 60.4],
    ['denied, but dead by its own clock sooner', [ending, { type: 'revoked', atMs: later(10_500), effectiveByMs: later(600_000) }], /effective_by/, 295],
    ['lapsed, however late that was noticed', [ending, { type: 'left_to_lapse', lapsesAtMs: later(305_000) }, { type: 'lapsed', atMs: later(400_000) }], /own clock did/, 295],
    ['opened', [ending, { type: 'disclosed', atMs: later(10_020) }], /Only rotating the secret/, null],
  ])('of one that was %s says no more than is known', (_name, changes, statement, exposure) => {
    expect(receiptOf(leaseAfter(...changes), 'prod', later(500_000))).toMatchObject({ statement: expect.stringMatching(statement), exposure_seconds: exposure });
  });
});

describe('a signed receipt', () => {
  const receipt = () => receiptOf(leaseAfter(ending, { type: 'revoked', atMs: later(10_020) }), 'prod', later(11_000)) ?? fail();
  const fail = (): never => {
    throw new Error('there is no receipt');
  };

  it('opens with the published key, also one that has retired', () => {
    const signed = receipt();
    const published = keys.map(({ publicJwk }) => verifyingKeyOf(publicJwk));
    expect(openReceipt(signReceipt(signed, keys), published)).toEqual(signed);
    expect(openReceipt(signReceipt(signed, [keys[1] ?? keys[0]]), published)).toEqual(signed);
  });

  it('does not open with another key, changed by one character, or made as a token', () => {
    const jws = signReceipt(receipt(), keys);
    const at = jws.indexOf('.') + 40;
    const changed = `${jws.slice(0, at)}${jws[at] === 'A' ? 'B' : 'A'}${jws.slice(at + 1)}`;
    expect(openReceipt(jws, others)).toBeUndefined();
    expect(openReceipt(changed, keys)).toBeUndefined();
    expect(openReceipt(signJws(receipt(), keys[0], 'at+jwt'), keys)).toBeUndefined();
    expect(openReceipt(jws, keys)).toBeDefined();
  });
});
