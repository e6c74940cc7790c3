import { isReconciliationId, shardOf, type LeaseId, type ReconciliationId } from '../core/ids.ts';
import type { RunScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Write } from './commit-step.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { openReconciliationsKey, reconciliationKey } from './redis-keys.ts';

/** Why a live credential should not be. */
export type Orphanhood = 'no_record' | 'record_tampered' | 'recorded_as_ended';

/** One thing that is otherwise at the target than in the ledger. */
export type Difference =
  /** Live, and no record accounts for it. `outcome` is null where nothing was done: in a dry run. */
  | { readonly kind: 'orphan'; readonly leaseId: LeaseId; readonly why: Orphanhood; readonly dueAtMs: EpochMs | null; readonly outcome: 'revoked' | 'disclosed' | 'failed' | null }
  /** As an orphan, and in a hold before its time: it waits for an admin. */
  | { readonly kind: 'waiting'; readonly leaseId: LeaseId; readonly dueAtMs: EpochMs | null }
  /** Recorded as revoked, and the order that keeps it out was taken away at the target: ended again. */
  | { readonly kind: 'undone'; readonly leaseId: LeaseId; readonly dueAtMs: EpochMs; readonly outcome: 'revoked' | 'disclosed' | 'failed' | null }
  /** Recorded as live, and not there. Nothing is ever ended by this. */
  | { readonly kind: 'missing'; readonly leaseId: LeaseId; readonly dueAtMs: EpochMs };

/** What came of comparing one provider with the ledger. */
export interface ProviderFindings {
  readonly provider: string;
  /** `cannot_list`: the target tells nobody what is live. `failed`: it broke off; what was found before stands. */
  readonly outcome: 'compared' | 'cannot_list' | 'failed';
  /** Found alive under our deployment id. */
  readonly live: number;
  readonly orphans: number;
  readonly revoked: number;
  readonly waiting: number;
  readonly missing: number;
  readonly undone: number;
  /** The first of them. */
  readonly differences: readonly Difference[];
}

/** A comparison of targets and ledger that somebody asked for. */
export interface ReconciliationRecord {
  readonly id: ReconciliationId;
  readonly generation: number;
  /** Only looks. */
  readonly dryRun: boolean;
  readonly by: WorkloadId;
  readonly requestedAtMs: EpochMs;
  /** Null until a worker has done it. */
  readonly finishedAtMs: EpochMs | null;
  readonly providers: readonly ProviderFindings[];
}

/** How long what came of one can be looked up, s. */
const KEPT_SECONDS = 86_400;

export type ReconciliationRecords = ReturnType<typeof createReconciliationRecords>;

/** Reconciliations that were asked for, and an index of those that no worker has done yet. */
export function createReconciliationRecords({ redis, clock, seal, commit, event }: LedgerSteps, runClaim: RunScript) {
  const write = (record: ReconciliationRecord, index: Write, kept: readonly Write[] = []): Promise<unknown> => {
    const { id, by, dryRun } = record;
    const nowMs = clock.now();
    const { json, mac } = seal.seal('reconciliation', id, record);
    const requested = record.finishedAtMs === null ? [event(nowMs, { type: 'reconciliation.requested', by, facts: { reconciliation: id, dry_run: dryRun } })] : [];
    return commit({
      shard: shardOf(id),
      nowMs,
      expect: [{ key: reconciliationKey(id), generation: record.generation - 1 }],
      writes: [['HSET', reconciliationKey(id), 'generation', record.generation, 'record', json, 'mac', mac], index, ...kept],
      events: requested,
    });
  };

  async function getReconciliation(id: ReconciliationId): Promise<ReconciliationRecord | null> {
    const [json, mac] = await unavailableOnFailure(() => redis.hmget(reconciliationKey(id), 'record', 'mac'));
    return (json ?? null) === null ? null : (seal.open('reconciliation', id, json ?? undefined, mac ?? undefined) as ReconciliationRecord);
  }

  return {
    getReconciliation,

    /** Writes down that one was asked for; a worker takes it up. */
    async requestReconciliation(record: ReconciliationRecord): Promise<void> {
      await write(record, ['ZADD', openReconciliationsKey(), record.requestedAtMs, record.id], [['EXPIRE', reconciliationKey(record.id), KEPT_SECONDS]]);
    },

    /** Those that no worker is at; they are the caller's until `untilMs`. */
    async claimReconciliations(nowMs: EpochMs, untilMs: EpochMs): Promise<readonly ReconciliationRecord[]> {
      const ids = await unavailableOnFailure(() => redis.zrangebyscore(openReconciliationsKey(), '-inf', nowMs, 'LIMIT', 0, 10));
      if (ids.length === 0) return [];
      const ours = ((await unavailableOnFailure(() => runClaim(1, openReconciliationsKey(), nowMs, untilMs, ...ids))) as string[]).filter(isReconciliationId);
      const records = await Promise.all(ours.map((id) => getReconciliation(id).catch(() => null)));
      const gone = ours.filter((_, index) => records[index] === null);
      if (gone.length > 0) await unavailableOnFailure(() => redis.zrem(openReconciliationsKey(), ...gone));
      return records.filter((record) => record !== null);
    },

    /** Writes down what came of one. */
    async finishReconciliation(record: ReconciliationRecord, providers: readonly ProviderFindings[]): Promise<void> {
      await write({ ...record, generation: record.generation + 1, finishedAtMs: clock.now(), providers }, ['ZREM', openReconciliationsKey(), record.id]);
    },
  };
}
