import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Redis } from 'ioredis';
import { SHARDS } from '../../src/core/ids.ts';
import { addMs, addSeconds } from '../../src/core/time.ts';
import type { Lease } from '../../src/ledger/lease.ts';
import type { LeaseChange } from '../../src/ledger/lease-transitions.ts';
import type { Ledger, LedgerSnapshot } from '../../src/ledger/ledger.ts';
import { AGENT, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { at } from '../support/at.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

/** Two minutes past a full hour: ten minutes, in which everything is counted in one part. */
const START_MS = Math.ceil(Date.now() / 3_600_000) * 3_600_000 + 120_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(START_MS);
  ({ ledger } = testLedger(redis, clock));
});

const counts = (of: Ledger = ledger): Promise<LedgerSnapshot> => of.snapshot(clock.now(), { kinds: [], withinMs: [] });

/** A lease whose end was asked for just now. */
async function endingLease(fields: Partial<Pick<Lease, 'revocability' | 'kind'>> = {}): Promise<Lease> {
  const { envelope, intents } = draftTask(clock);
  const intent = { ...at(intents, 0), ...fields };
  await ledger.declareTask(envelope, [intent], AGENT, {});
  await ledger.activate(envelope.id, [mintedLease(intent)], AGENT);
  await ledger.endTask(envelope.id, 'completed', AGENT);
  const lease = await ledger.getLease(intent.id);
  if (lease === null) throw new Error('the lease is gone');
  return lease;
}

/** Ends a lease so many ms after it should have been dead; the clock stays. */
async function endLate(ms: number, fields?: Parameters<typeof endingLease>[0], change: (atMs: ReturnType<typeof clock.now>) => LeaseChange = (atMs) => ({ type: 'revoked', atMs })): Promise<void> {
  const lease = await endingLease(fields);
  expect(await ledger.settle(lease, change(addMs(clock.now(), ms)), AGENT)).toBe('ok');
}

describe('lateness in the ledger', () => {
  it('has the count and the highest exactly, and percentiles within the bucket of the true one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 60_000 })), { minLength: 1, maxLength: 25 }), async (lates) => {
        await redis.flushall();
        ({ ledger } = testLedger(redis, clock));
        for (const ms of lates) await endLate(ms);
        const { hour, day, budget } = (await counts()).lateness;
        const sorted = [...lates].sort((a, b) => a - b);
        const exact = (ratio: number): number => sorted[Math.ceil(ratio * sorted.length) - 1] ?? 0;
        expect(hour).toMatchObject({ count: lates.length, maxMs: sorted.at(-1) });
        expect(day).toEqual(hour);
        for (const [found, ratio] of [[hour.p50Ms, 0.5], [hour.p99Ms, 0.99]] as const) {
          // Below the objective no bucket is wider than half a second; above, none is wider than as long again.
          expect(Math.abs((found ?? NaN) - exact(ratio))).toBeLessThanOrEqual(exact(ratio) <= 5_000 ? 500 : exact(ratio));
          expect(found).toBeLessThanOrEqual(sorted.at(-1) ?? 0);
        }
        const late = lates.filter((ms) => ms > 5_000).length;
        expect(budget).toEqual({ count: lates.length, late, remaining: expect.closeTo(1 - late / (0.001 * lates.length), 6) });
      }),
      { numRuns: 20 },
    );
  }, 60_000);

  it('is the same for every process, and for one that starts afresh', async () => {
    await endLate(300);
    clock.advance(3 * HOUR_MS);
    await counts();
    await endLate(7_000);
    const [first, fresh] = await Promise.all([counts(), counts(testLedger(redis, clock).ledger)]);
    expect(fresh.lateness).toEqual(first.lateness);
    expect(first.lateness).toMatchObject({ hour: { count: 1 }, day: { count: 2 }, budget: { count: 2, late: 1 } });
  });

  it('leaves each span when its time is over, and Redis a day after the last', async () => {
    await endLate(300);
    const seen = async () => ((l) => [l.hour.count, l.day.count, l.budget.count])((await counts()).lateness);
    expect(await seen()).toEqual([1, 1, 1]);
    clock.advance(HOUR_MS + 10 * MINUTE_MS);
    expect(await seen()).toEqual([0, 1, 1]);
    clock.advance(DAY_MS);
    expect(await seen()).toEqual([0, 0, 1]);
    clock.advance(27 * DAY_MS);
    expect(await seen()).toEqual([0, 0, 0]);
    const [key = ''] = await redis.keys('mayfly:*:tally:*');
    expect(await redis.ttl(key)).toBeGreaterThan(28 * 86_400);
    expect(await redis.ttl(key)).toBeLessThanOrEqual(29 * 86_400);
  });

  it('spends the budget while a lease is overdue, not only when it is dead at last', async () => {
    const lease = await endingLease();
    clock.advance(5_000);
    expect((await counts()).lateness.budget).toEqual({ count: 0, late: 0, remaining: null });
    clock.advance(1);
    expect((await counts()).lateness.budget).toMatchObject({ count: 1, late: 1, remaining: expect.closeTo(-999) });
    await ledger.settle(lease, { type: 'revoked', atMs: clock.now() }, AGENT);
    expect((await counts()).lateness).toMatchObject({ hour: { count: 1, maxMs: 5_001 }, budget: { count: 1, late: 1 } });
  });

  it('counts what its target had to end for us, and not what nothing else can end', async () => {
    const lapses = (lease: { revocability: Lease['revocability'] }) =>
      endLate(0, lease, () => ({ type: 'lapsed', atMs: addSeconds(clock.now(), 305) }));
    await lapses({ revocability: 'none' });
    expect((await counts()).lateness).toMatchObject({ hour: { count: 0, p99Ms: null }, budget: { remaining: null } });
    await lapses({ revocability: 'exact' });
    expect((await counts()).lateness).toMatchObject({ hour: { count: 1, maxMs: 305_000 }, budget: { count: 1, late: 1 } });
  });

  it('is no authority: a writer in Redis changes what people read, and hinders no end', async () => {
    await endLate(300);
    const [key = ''] = await redis.keys('mayfly:*:tally:*');
    await redis.zadd(key, 7, '0:late:1234', -5, '0:late:500', 9, 'x', 3, '9:late:500', 'inf', '0:late:750');
    expect((await counts()).lateness.hour).toMatchObject({ count: 1, maxMs: 300 });
    const hour = key.split(':').at(-1) ?? '';
    await Promise.all(SHARDS.map((shard) => redis.set(`mayfly:{${shard}}:tally:${hour}`, 'x')));
    const lease = await endingLease();
    expect(await ledger.settle(lease, { type: 'revoked', atMs: clock.now() }, AGENT)).toBe('ok');
    expect(await ledger.getLease(lease.id)).toMatchObject({ state: 'revoked' });
    expect((await counts()).lateness.hour).toMatchObject({ count: 0 });
  });
});

describe('denials', () => {
  it('are counted by the step that records them, and other events are not', async () => {
    for (const type of ['task.denied', 'credential.denied', 'extension.denied', 'grant.locked'] as const) await ledger.recordEvent({ shard: at(SHARDS, 3), type, by: AGENT, facts: {} });
    expect((await counts()).denials).toEqual({ hour: 3, day: 3 });
    clock.advance(2 * HOUR_MS);
    await ledger.recordEvent({ shard: at(SHARDS, 9), type: 'task.denied', by: AGENT, facts: {} });
    expect((await counts()).denials).toEqual({ hour: 1, day: 4 });
  });
});
