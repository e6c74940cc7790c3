import { SHARDS, isLeaseId, isRevocationId, isTaskId, shardOf, type LeaseId, type RevocationId, type Shard, type TaskId } from '../core/ids.ts';
import type { RunScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { SealedEvent } from '../audit/audit-event.ts';
import type { Write } from './commit-step.ts';
import { absent, type LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { TamperedRecord } from './record-seal.ts';
import { openRevocationsKey, revocationKey, revocationLeasesKey, revocationOpenKey, revocationTodoKey } from './redis-keys.ts';

/** How far a revocation has looked for what it ends: shards in order, ids in order within each. */
export interface SelectionPlace {
  /** Position in `SHARDS`; past the last when everything was looked at. */
  readonly shard: number;
  /** The last id looked at in that shard; empty before the first. */
  readonly after: string;
}

/**
 * An operator's revocation: what was asked, and how far it is. `selecting`: writing down what it ends; `ending`: asking
 * for the end of each, then following them. Which leases it selected, and which it still has to ask for, stand beside it.
 */
export interface RevocationRecord {
  readonly id: RevocationId;
  /** Goes up with every change. */
  readonly generation: number;
  readonly selector: Readonly<Record<string, string | true | readonly string[] | undefined>>;
  readonly reason: string;
  readonly by: WorkloadId;
  readonly createdAtMs: EpochMs;
  readonly state: 'selecting' | 'ending' | 'done' | 'cancelled';
  readonly place: SelectionPlace;
  /** Providers of the selected leases: what is still to be asked for is kept by provider, so that each has its own pace. */
  readonly providers: readonly string[];
  /** Leases selected. */
  readonly total: number;
  /** Tasks selected. */
  readonly tasks: number;
  /** Leases that could not be followed to their end: their record is gone or fails its seal. */
  readonly failed: number;
}

/** What one slice of looking found. */
export interface SelectedSlice {
  readonly leases: readonly { readonly id: LeaseId; readonly provider: string }[];
  readonly tasks: readonly TaskId[];
  /** Where the next slice goes on. */
  readonly next: SelectionPlace;
}

/** How many are still to be asked for, and how many were asked for and are not known to be final. */
export interface RevocationCounts {
  readonly tasksToAsk: number;
  readonly leasesToAsk: number;
  readonly open: number;
}

export type RevocationRecords = ReturnType<typeof createRevocationRecords>;

/**
 * Revocations, each in the shard of its id, and an index of those that have work left: the ledger, not a queue,
 * remembers them. Nothing here is guarded by clock or audit log: it ends things.
 */
export function createRevocationRecords({ redis, clock, seal, event, commit, reads, onTampered, settings, untilSettled }: LedgerSteps, runClaim: RunScript) {
  const recordWrite = (record: RevocationRecord): Write => {
    const { json, mac } = seal.seal('revocation', record.id, record);
    return ['HSET', revocationKey(record.id), 'generation', record.generation, 'record', json, 'mac', mac];
  };
  const jobEvent = (nowMs: EpochMs, type: 'revocation.requested' | 'revocation.selected' | 'revocation.completed' | 'revocation.cancelled', { id }: RevocationRecord, by: WorkloadId, facts: object): SealedEvent =>
    event(nowMs, { type, by, facts: { revocation: id, ...facts } });

  /** Writes the record as changed; null when somebody else changed it first. */
  async function change(record: RevocationRecord, fields: Partial<RevocationRecord>, writes: readonly Write[], events: (nowMs: EpochMs, next: RevocationRecord) => readonly SealedEvent[] = () => []): Promise<RevocationRecord | null> {
    const nowMs = clock.now();
    const next = { ...record, ...fields, generation: record.generation + 1 };
    const expect = [{ key: revocationKey(record.id), generation: record.generation }];
    const result = await commit({ shard: shardOf(record.id), nowMs, expect, writes: [recordWrite(next), ...writes], events: events(nowMs, next) });
    return result.outcome === 'ok' ? next : null;
  }

  async function dueIn(shard: Shard, nowMs: EpochMs, untilMs: EpochMs): Promise<RevocationId[]> {
    const ids = await unavailableOnFailure(() => redis.zrangebyscore(openRevocationsKey(shard), '-inf', nowMs, 'LIMIT', 0, 10));
    if (ids.length === 0) return [];
    return ((await unavailableOnFailure(() => runClaim(1, openRevocationsKey(shard), nowMs, untilMs, ...ids))) as string[]).filter(isRevocationId);
  }

  return {
    /** Writes what was asked, before anything is done. Nobody else takes it up before `lookAtMs`. */
    async saveRevocation(record: RevocationRecord, lookAtMs: EpochMs): Promise<void> {
      const nowMs = clock.now();
      const { id, by, selector, reason } = record;
      await commit({
        shard: shardOf(id),
        nowMs,
        expect: [absent(revocationKey(id))],
        writes: [recordWrite(record), ['ZADD', openRevocationsKey(shardOf(id)), lookAtMs, id]],
        events: [jobEvent(nowMs, 'revocation.requested', record, by, { selector, reason })],
      });
    },

    /** Revocations with work left that nobody works on; they are the caller's until `untilMs`. */
    async claimRevocations(nowMs: EpochMs, untilMs: EpochMs): Promise<readonly RevocationId[]> {
      return (await Promise.all(SHARDS.map((shard) => dueIn(shard, nowMs, untilMs)))).flat();
    },

    /** When a revocation with work left is next looked at. */
    async lookAtRevocation(id: RevocationId, atMs: EpochMs): Promise<void> {
      await unavailableOnFailure(() => redis.zadd(openRevocationsKey(shardOf(id)), 'XX', atMs, id));
    },

    /** Takes a revocation whose record is gone off the schedule, and tells it. */
    async dropRevocation(id: RevocationId): Promise<void> {
      await unavailableOnFailure(() => redis.zrem(openRevocationsKey(shardOf(id)), id));
      onTampered(new TamperedRecord('revocation', id), shardOf(id));
    },

    /** Writes down what a slice of looking found, and where the next goes on, in one step. */
    async addSelected(record: RevocationRecord, { leases, tasks, next }: SelectedSlice): Promise<RevocationRecord | null> {
      const providers = [...new Set([...record.providers, ...leases.map(({ provider }) => provider)])];
      const todo = [...tasks.flatMap((id) => [TASKS, id]), ...leases.flatMap(({ id, provider }) => [groupOf(providers.indexOf(provider)), id])];
      const rows = leases.flatMap(({ id }, index) => [record.total + index, id]);
      const finished = next.shard >= SHARDS.length;
      return change(
        record,
        { state: finished ? 'ending' : 'selecting', place: next, providers, total: record.total + leases.length, tasks: record.tasks + tasks.length },
        [
          ...(rows.length === 0 ? [] : [['ZADD', revocationLeasesKey(record.id), ...rows] as const]),
          ...(todo.length === 0 ? [] : [['ZADD', revocationTodoKey(record.id), ...todo] as const]),
        ],
        (nowMs, { total, tasks: selected }) => (finished ? [jobEvent(nowMs, 'revocation.selected', record, record.by, { leases: total, tasks: selected })] : []),
      );
    },

    /** Tasks whose end is still to be asked for, at most `limit`. */
    async tasksToAsk(id: RevocationId, limit: number): Promise<readonly TaskId[]> {
      return (await unavailableOnFailure(() => redis.zrangebyscore(revocationTodoKey(id), TASKS, TASKS, 'LIMIT', 0, limit))).filter(isTaskId);
    },

    /** Leases of one provider whose end is still to be asked for, at most `limit`. */
    async leasesToAsk({ id, providers }: RevocationRecord, provider: string, limit: number): Promise<readonly LeaseId[]> {
      const group = groupOf(providers.indexOf(provider));
      return (await unavailableOnFailure(() => redis.zrangebyscore(revocationTodoKey(id), group, group, 'LIMIT', 0, limit))).filter(isLeaseId);
    },

    /** The end of these was asked for: they are followed from here on. Answers the record as it is by now; null when it is gone. */
    markAsked: (id: RevocationId, tasks: readonly TaskId[], leases: readonly LeaseId[]): Promise<RevocationRecord | null> =>
      untilSettled<RevocationRecord | null>(async () => {
        const record = await reads.getRevocation(id);
        if (record === null || record.state === 'done') return record;
        const result = await commit({
          shard: shardOf(id),
          nowMs: clock.now(),
          expect: [{ key: revocationKey(id), generation: record.generation }],
          writes: [
            ['ZREM', revocationTodoKey(id), ...tasks, ...leases],
            ...(leases.length === 0 ? [] : [['ZADD', revocationOpenKey(id), ...leases.flatMap((lease) => [0, lease])] as const]),
          ],
          events: [],
        });
        return result.outcome === 'ok' ? record : 'conflict';
      }),

    async revocationCounts(id: RevocationId): Promise<RevocationCounts> {
      const [tasksToAsk, leasesToAsk, open] = await unavailableOnFailure(() =>
        Promise.all([redis.zcount(revocationTodoKey(id), TASKS, TASKS), redis.zcount(revocationTodoKey(id), groupOf(0), '+inf'), redis.zcard(revocationOpenKey(id))]),
      );
      return { tasksToAsk, leasesToAsk, open };
    },

    /** Leases that were asked for and are not known to be final, by position in no order of meaning. */
    async openLeases(id: RevocationId, from: number, limit: number): Promise<readonly LeaseId[]> {
      return (await unavailableOnFailure(() => redis.zrange(revocationOpenKey(id), String(from), String(from + limit - 1)))).filter(isLeaseId);
    },

    /** Selected leases in the order of their selection, from a position on. */
    async selectedLeases(id: RevocationId, from: number, limit: number): Promise<readonly LeaseId[]> {
      return (await unavailableOnFailure(() => redis.zrange(revocationLeasesKey(id), String(from), String(from + limit - 1)))).filter(isLeaseId);
    },

    /** These need not be followed any more: they are final, or, of `failed`, their record cannot be read. */
    async markFollowed(record: RevocationRecord, final: readonly LeaseId[], failed: readonly LeaseId[]): Promise<RevocationRecord | null> {
      if (final.length + failed.length === 0) return record;
      return change(record, { failed: record.failed + failed.length }, [['ZREM', revocationOpenKey(record.id), ...final, ...failed]]);
    },

    /** Nothing is left to do: kept for the retention time. */
    async finishRevocation(record: RevocationRecord): Promise<RevocationRecord | null> {
      const { id } = record;
      const kept = [revocationKey(id), revocationLeasesKey(id), revocationTodoKey(id)].map((key) => ['EXPIRE', key, settings.retentionSeconds] as const);
      const state = record.state === 'cancelled' ? 'cancelled' : 'done';
      return change(record, { state }, [['ZREM', openRevocationsKey(shardOf(id)), id], ['DEL', revocationOpenKey(id)], ...kept], (nowMs, { total, tasks, failed }) =>
        state === 'done' ? [jobEvent(nowMs, 'revocation.completed', record, LEDGER, { leases: total, tasks, failed })] : [],
      );
    },

    /** Asks for no further end. What was asked for goes on; where that is all, nothing changes. Null when there is no such revocation. */
    cancelRevocation: (id: RevocationId, by: WorkloadId): Promise<RevocationRecord | null> =>
      untilSettled<RevocationRecord | null>(async () => {
        const record = await reads.getRevocation(id);
        if (record === null || record.state === 'done' || record.state === 'cancelled') return record;
        if (record.state === 'ending' && (await unavailableOnFailure(() => redis.zcard(revocationTodoKey(id)))) === 0) return record;
        const { state, total, tasks } = record;
        return (await change(record, { state: 'cancelled' }, [['ZADD', openRevocationsKey(shardOf(id)), clock.now(), id]], (nowMs) => [jobEvent(nowMs, 'revocation.cancelled', record, by, { state, leases: total, tasks })])) ?? 'conflict';
      }),
  };
}

const LEDGER: WorkloadId = { issuer: 'mayfly', subject: 'ledger' };

/** Scores of what is still to be asked for: tasks first, then the leases of each provider. */
const TASKS = 0;
const groupOf = (provider: number): number => provider + 1;
