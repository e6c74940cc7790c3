import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Redis } from 'ioredis';
import { addMs, type EpochMs } from '../../src/core/time.ts';
import { isFinal, type Lease } from '../../src/ledger/lease.ts';
import { allows, deadlineOf, type LeaseChange } from '../../src/ledger/lease-transitions.ts';
import type { Ledger, LedgerSnapshot } from '../../src/ledger/ledger.ts';
import type { Task } from '../../src/task/task.ts';
import { AGENT, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

const KINDS = [
  { provider: 'vault-main', kind: 'vault.dynamic' },
  { provider: 'jwt-main', kind: 'jwt' },
] as const;
const WITHIN_MS = [60_000, 300_000];

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
});

/** What can become of a lease, as far as its state allows it. */
const fate = fc.constantFrom('end', 'revoke', 'lapse', 'disclose', 'leave', 'fail', 'stick', 'retry');
type Fate = typeof fate extends fc.Arbitrary<infer F> ? F : never;

const aTask = fc.record({
  ttlSeconds: fc.constantFrom(10, 50, 200, 900),
  kinds: fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 3 }),
  activated: fc.boolean(),
  fates: fc.array(fate, { maxLength: 6 }),
});

function changeOf(to: Fate, nowMs: EpochMs): LeaseChange {
  switch (to) {
    case 'end':
      return { type: 'end_requested', atMs: nowMs, reason: 'revoked' };
    case 'revoke':
      return { type: 'revoked', atMs: nowMs };
    case 'lapse':
      return { type: 'lapsed', atMs: nowMs };
    case 'disclose':
      return { type: 'disclosed', atMs: nowMs };
    case 'leave':
      return { type: 'left_to_lapse', lapsesAtMs: addMs(nowMs, 30_000) };
    case 'fail':
    case 'stick':
      return { type: 'attempt_failed', nextTryAtMs: addMs(nowMs, 500), failure: 'no answer', stuck: to === 'stick' };
    case 'retry':
      return { type: 'retry_requested', atMs: nowMs };
    default:
      return to satisfies never;
  }
}

async function live({ ttlSeconds, kinds, activated, fates }: typeof aTask extends fc.Arbitrary<infer T> ? T : never): Promise<Task['id']> {
  const { envelope, intents } = draftTask(clock, { ttlSeconds, credentials: kinds.map((_, index) => `credential-${index}`) });
  const ofKinds = intents.map((intent, index) => ({ ...intent, ...(KINDS.find((one) => one === kinds[index]) ?? KINDS[0]) }));
  await ledger.declareTask(envelope, ofKinds, AGENT, {});
  if (activated) await ledger.activate(envelope.id, ofKinds.map(mintedLease), AGENT);
  for (const [index, to] of fates.entries()) {
    const lease = await ledger.getLease(ofKinds[index % ofKinds.length]?.id ?? envelope.id as never);
    const change = changeOf(to, clock.now());
    if (lease !== null && allows(lease.state, change.type)) await ledger.settle(lease, change, AGENT);
    clock.advance(1_000);
  }
  return envelope.id;
}

/** The same counts, each from the records themselves. */
function counted(leases: readonly Lease[], tasks: readonly Task[], nowMs: EpochMs): Omit<LedgerSnapshot, 'auditLagMs' | 'lateness' | 'denials'> {
  const alive = leases.filter(({ state }) => !isFinal(state));
  const isLapsing = (lease: Lease): boolean => lease.state === 'revoking' && lease.nextTryAtMs !== null && lease.nextTryAtMs === lease.lapsesAtMs;
  const from = (lease: Lease): number => (isLapsing(lease) ? (lease.lapsesAtMs ?? 0) : deadlineOf(lease));
  const within = (some: readonly Lease[]) => WITHIN_MS.map((ms) => some.filter((lease) => from(lease) > nowMs && from(lease) <= nowMs + ms).length);
  const overdue = alive.filter((lease) => from(lease) <= nowMs);
  return {
    live: alive.length,
    within: within(alive),
    overdue: overdue.length,
    oldestOverdueMs: Math.max(0, ...overdue.map((lease) => nowMs - from(lease))),
    stuck: alive.filter(({ state }) => state === 'stuck').length,
    lapsing: alive.filter(isLapsing).length,
    disclosed: leases.filter(({ state }) => state === 'disclosed').length,
    tasks: (['pending_approval', 'pending_claim', 'minting', 'active', 'ending'] as const).map((state) => ({ state, count: tasks.filter((task) => task.state === state).length })),
    byKind: KINDS.map(({ provider, kind }) => {
      const own = alive.filter((lease) => lease.provider === provider);
      return { provider, kind, live: own.length, within: within(own) };
    }),
  };
}

describe('the counts of the ledger', () => {
  it('are those of its records, whatever became of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aTask, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 120_000 }), async (drafts, laterMs) => {
        await redis.flushall();
        ({ ledger } = testLedger(redis, clock));
        const ids: Task['id'][] = [];
        for (const draft of drafts) ids.push(await live(draft));
        clock.advance(laterMs);
        const tasks = (await ledger.getTasks(ids)).filter((task) => task !== null);
        const leases = (await Promise.all(ids.map((id) => ledger.leasesOfTask(id)))).flat();
        expect(await ledger.snapshot(clock.now(), { kinds: KINDS, withinMs: WITHIN_MS })).toMatchObject(counted(leases, tasks, clock.now()));
      }),
      { numRuns: 20 },
    );
  }, 60_000);

  it('count what is left to its target\'s clock for itself, and as overdue only once that should have ended it', async () => {
    await live({ ttlSeconds: 200, kinds: [KINDS[1]], activated: true, fates: ['end', 'leave'] });
    const count = () => ledger.snapshot(clock.now(), { kinds: [], withinMs: [] });
    expect(await count()).toMatchObject({ live: 1, lapsing: 1, overdue: 0 });
    clock.advance(30_000);
    expect(await count()).toMatchObject({ live: 1, lapsing: 1, overdue: 1 });
  });

  it('count what the target could have ended and did not as overdue from the first instant (control)', async () => {
    await live({ ttlSeconds: 200, kinds: [KINDS[0]], activated: true, fates: ['end', 'fail'] });
    expect(await ledger.snapshot(clock.now(), { kinds: [], withinMs: [] })).toMatchObject({ live: 1, lapsing: 0, overdue: 1, oldestOverdueMs: 2_000 });
  });
});
