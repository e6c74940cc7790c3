import { beforeEach, describe, expect, it } from '@jest/globals';
import type { LeaseId } from '../../src/core/ids.ts';
import type { RevocationOrder, RevocationResult } from '../../src/providers/credential-provider.ts';
import { probeFirst } from '../../src/revocation/probe-first.ts';
import { draftTask } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';

const LEASES = 50;

let provider: MemoryProvider;
let orders: readonly RevocationOrder[];

beforeEach(async () => {
  provider = new MemoryProvider();
  const { intents } = draftTask(new ManualClock(Date.now()), { credentials: Array.from({ length: LEASES }, (_, n) => `c${n}`) });
  orders = await Promise.all(intents.map(async (intent) => ({ intent, handle: (await provider.mint(intent)).handle })));
});

async function revoke(away: boolean): Promise<RevocationResult[]> {
  const results: RevocationResult[] = [];
  for await (const result of probeFirst(provider, () => away, orders, AbortSignal.timeout(1_000))) results.push(result);
  return results;
}

const answeredFor = (results: readonly RevocationResult[]): LeaseId[] => results.map(({ leaseId }) => leaseId).sort();
const all = (): LeaseId[] => orders.map(({ intent }) => intent.id).sort();

describe('a batch for a target that is known to be away', () => {
  it('asks it once, and answers for every lease', async () => {
    provider.failure = 'unavailable';
    const results = await revoke(true);
    expect(answeredFor(results)).toEqual(all());
    expect(results.every((result) => result.outcome === 'failed' && result.error.retryable)).toBe(true);
    expect(provider.revocations).toBe(1);
  });

  it('would ask it for each of them, were that not known (control)', async () => {
    provider.failure = 'unavailable';
    await revoke(false);
    expect(provider.revocations).toBe(LEASES);
  });

  it('ends all of them where the target is back and nobody has noticed yet', async () => {
    const results = await revoke(true);
    expect(answeredFor(results)).toEqual(all());
    expect(provider.live.size).toBe(0);
  });

  it('tries each where the first was refused: that says nothing of the others', async () => {
    provider.failure = 'refused';
    expect(answeredFor(await revoke(true))).toEqual(all());
    expect(provider.revocations).toBe(LEASES);
  });
});
