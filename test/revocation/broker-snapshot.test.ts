import { describe, expect, it } from '@jest/globals';
import type { LedgerSnapshot } from '../../src/ledger/ledger.ts';
import { createBrokerSnapshot, type BrokerSnapshotSources } from '../../src/revocation/broker-snapshot.ts';
import { ManualClock } from '../support/manual-clock.ts';

const NONE = { count: 0, p50Ms: null, p99Ms: null, maxMs: null };
const COUNTS: LedgerSnapshot = { lateness: { hour: NONE, day: NONE, budget: { count: 0, late: 0, remaining: null } }, denials: { hour: 0, day: 0 }, live: 1, within: [0, 1, 1, 1], overdue: 0, oldestOverdueMs: 0, stuck: 0, lapsing: 0, disclosed: 0, auditLagMs: 0, tasks: [], byKind: [] };

function looking(snapshot: BrokerSnapshotSources['ledger']['snapshot']) {
  const clock = new ManualClock();
  const look = createBrokerSnapshot({
    ledger: { snapshot, dueForecast: () => Promise.resolve([]), listLocks: () => Promise.resolve([]) },
    held: () => false,
    providers: [{ name: 'vault-main', type: 'vault', revocability: ['exact'] }, { name: 'jwt-main', type: 'jwt', revocability: ['none'] }],
    kinds: [],
    watch: { states: () => [{ name: 'vault-main', ok: true, detail: '' }] },
    queues: { read: () => Promise.resolve([]) },
    clock,
  });
  return { clock, look };
}

describe('the snapshot of the broker', () => {
  it('asks the ledger once a second at most, however many look at once', async () => {
    let asked = 0;
    const { clock, look } = looking(() => Promise.resolve({ ...COUNTS, live: (asked += 1) }));
    const seen = await Promise.all(Array.from({ length: 20 }, look));
    clock.advance(999);
    expect([...seen, await look()].map(({ ledger }) => ledger.live)).toEqual(Array.from({ length: 21 }, () => 1));
    clock.advance(1);
    expect((await look()).ledger.live).toBe(2);
  });

  it('asks again at once after a failure', async () => {
    let asked = 0;
    const { look } = looking(() => ((asked += 1) === 1 ? Promise.reject(new Error('Redis is away')) : Promise.resolve(COUNTS)));
    await expect(look()).rejects.toThrow('Redis is away');
    expect((await look()).ledger).toEqual(COUNTS);
  });

  it('takes a provider that has not answered yet for down', async () => {
    expect((await looking(() => Promise.resolve(COUNTS)).look()).providers.map(({ name, up }) => [name, up])).toEqual([['vault-main', true], ['jwt-main', false]]);
  });
});
