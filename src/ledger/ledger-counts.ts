import type { Redis } from 'ioredis';
import { eventsKey } from '../audit/event-stream-keys.ts';
import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import { TASK_STATES } from '../task/task.ts';
import { createTallyReader } from './hourly-tally.ts';
import { budgetIn, LATENESS_OBJECTIVE, latenessIn } from './lateness.ts';
import type { CredentialKind } from './lease.ts';
import type { Ledger, LedgerSnapshot } from './ledger.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { disclosedKey, dueKey, lapsingKey, liveOfKindKey, stuckKey, tasksInStateKey } from './redis-keys.ts';

/** What one provider mints of one kind: counted for itself. */
export interface CountedKind {
  readonly provider: string;
  readonly kind: CredentialKind;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** Counts over all shards, each from an index: exact, and as quick with a million leases as with ten. No record is read. */
export function createLedgerCounts(redis: Redis, clock: Clock): Pick<Ledger, 'snapshot'> {
  const readTallies = createTallyReader(redis, clock);
  const total = async (count: (shard: Shard) => Promise<number>): Promise<number> => sum(await Promise.all(SHARDS.map(count)));

  /** How many of an index there are, and how many fall due within each of these times from now: the overdue not among them. */
  const dueWithin = (keyOf: (shard: Shard) => string, nowMs: EpochMs, withinMs: readonly number[]): Promise<[live: number, ...within: number[]]> =>
    Promise.all([total((shard) => redis.zcard(keyOf(shard))), ...withinMs.map((ms) => total((shard) => redis.zcount(keyOf(shard), `(${nowMs}`, nowMs + ms)))]);

  async function snapshot(nowMs: EpochMs, { kinds, withinMs }: { readonly kinds: readonly CountedKind[]; readonly withinMs: readonly number[] }): Promise<LedgerSnapshot> {
    const [[live, ...within], overdue, oldest, stuck, lapsing, disclosed, oldestEvents, tasks, tooLate, tallyOf, byKind] = await Promise.all([
      dueWithin(dueKey, nowMs, withinMs),
      total((shard) => redis.zcount(dueKey(shard), '-inf', nowMs)),
      Promise.all(SHARDS.map((shard) => redis.zrange(dueKey(shard), '0', '0', 'WITHSCORES'))),
      total((shard) => redis.zcard(stuckKey(shard))),
      total((shard) => redis.zcard(lapsingKey(shard))),
      total((shard) => redis.zcard(disclosedKey(shard))),
      Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+', 'COUNT', 1))),
      Promise.all(LIVE_STATES.map(async (state) => ({ state, count: await total((shard) => redis.zcard(tasksInStateKey(shard, state))) }))),
      total((shard) => redis.zcount(dueKey(shard), '-inf', `(${nowMs - LATENESS_OBJECTIVE.seconds * 1000}`)),
      readTallies(nowMs, WINDOW_MS),
      Promise.all(
        kinds.map(async ({ provider, kind }) => {
          const [count, ...soon] = await dueWithin((shard) => liveOfKindKey(shard, provider, kind), nowMs, withinMs);
          return { provider, kind, live: count, within: soon };
        }),
      ),
    ]);
    const [hour, day] = [tallyOf(HOUR_MS), tallyOf(DAY_MS)];
    const oldestMs = Math.min(...oldest.map(([, score]) => (score === undefined ? nowMs : Number(score))));
    const oldestEventMs = Math.min(...oldestEvents.map(([entry]) => Number(entry?.[0].split('-')[0] ?? nowMs)));
    return {
      ...{ live, within, overdue, stuck, lapsing, disclosed, tasks, byKind },
      oldestOverdueMs: Math.max(0, nowMs - oldestMs),
      lateness: { hour: latenessIn(hour), day: latenessIn(day), budget: budgetIn(tallyOf(WINDOW_MS), tooLate) },
      denials: { hour: hour.counts.get(DENIED) ?? 0, day: day.counts.get(DENIED) ?? 0 },
      auditLagMs: Math.max(0, nowMs - oldestEventMs),
    };
  }

  return { snapshot: (nowMs, counted) => unavailableOnFailure(() => snapshot(nowMs, counted)) };
}

/** A denial, as it is tallied. */
export const DENIED = 'denied';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WINDOW_MS = LATENESS_OBJECTIVE.days * DAY_MS;
const LIVE_STATES = TASK_STATES.filter((state) => state !== 'ended');
