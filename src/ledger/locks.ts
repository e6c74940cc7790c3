import { SHARDS, shardOf, type LockId, type Shard } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { SealedEvent } from '../audit/audit-event.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { isInForce, lockSetId, type GrantScope, type Lock, type LockSet } from './lock.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { TamperedRecord } from './record-seal.ts';
import { locksKey } from './redis-keys.ts';

/** A lock, and whether every shard has it. */
export interface LockStatus {
  readonly lock: Lock;
  /** False where writing or lifting it broke off, or somebody took it out of a shard in Redis: place it again, or lift it. */
  readonly everywhere: boolean;
}

/** Locks at once. Each grant reads them all, so that they have to be few: a kill switch, not a second policy. */
const MAX_LOCKS = 100;
/** Disabled agents at once, each with its lock: some 400 KB in each shard, which a grant reads only when they change. */
const MAX_DISABLED = 1_000;

const LEDGER: WorkloadId = { issuer: 'mayfly', subject: 'ledger' };

/**
 * Locks, kept in every shard so that the step which grants can compare them there. Writing them is not guarded: what
 * refuses must work whatever the clock or the audit log is doing.
 */
export function createLocks(steps: LedgerSteps) {
  const { redis, clock, reads, seal, event, commit, awaitReplicas, untilSettled, refuseLocked } = steps;

  const lockEvent = (nowMs: EpochMs, type: 'lock.created' | 'lock.lifted' | 'lock.expired', lock: Lock, by: WorkloadId): SealedEvent =>
    event(nowMs, { type, by, facts: { lock: lock.id, selector: lock.selector, reason: lock.reason, until: toRfc3339(lock.untilMs) } });

  /** The locks of every shard; null where they fail their seal, which is told. */
  const allSets = async (): Promise<ReadonlyMap<Shard, LockSet | null>> =>
    new Map(await Promise.all(SHARDS.map(async (shard) => [shard, await readable(shard)] as const)));

  async function readable(shard: Shard): Promise<LockSet | null> {
    try {
      return await reads.lockSet(shard);
    } catch (error) {
      if (!(error instanceof TamperedRecord)) throw error;
      steps.onTampered(error, shard);
      return null;
    }
  }

  /** Every lock that some shard has. Throws where no shard can be read: what was locked is not known then. */
  function merged(sets: ReadonlyMap<Shard, LockSet | null>): readonly Lock[] {
    const found = [...sets.values()].filter((set) => set !== null);
    if (found.length === 0) throw new TamperedRecord('locks', lockSetId(SHARDS[0] as Shard));
    return [...new Map(found.flatMap(({ locks }) => locks.map((lock) => [lock.id, lock] as const))).values()];
  }

  /** What a shard has, to be changed. Locks that fail their seal are put back from the other shards, so that none is lost. */
  async function readForChange(shard: Shard): Promise<LockSet> {
    const set = await readable(shard);
    if (set !== null) return set;
    const generation = Number(await unavailableOnFailure(() => redis.hget(locksKey(shard), 'generation')));
    return { generation, locks: merged(await allSets()) };
  }

  const change = (shard: Shard, changed: (locks: readonly Lock[]) => readonly Lock[], eventsOf: (before: readonly Lock[], nowMs: EpochMs) => readonly SealedEvent[] = () => []): Promise<undefined> =>
    untilSettled<undefined>(async () => {
      const nowMs = clock.now();
      const before = await readForChange(shard);
      const next: LockSet = { generation: before.generation + 1, locks: changed(before.locks) };
      const key = locksKey(shard);
      const { json, mac } = seal.seal('locks', lockSetId(shard), next);
      const result = await commit({
        shard,
        nowMs,
        expect: [{ key, generation: before.generation }],
        writes: [['HSET', key, 'generation', next.generation, 'record', json, 'mac', mac]],
        events: eventsOf(before.locks, nowMs),
      });
      return result.outcome === 'ok' ? undefined : 'conflict';
    });

  const elsewhere = (lock: Lock): Shard[] => SHARDS.filter((shard) => shard !== shardOf(lock.id));

  async function listLocks(): Promise<readonly LockStatus[]> {
    const sets = await allSets();
    const nowMs = clock.now();
    // A shard whose locks cannot be read grants nothing at all: there, every lock is in force.
    const has = (set: LockSet | null, lock: Lock): boolean => set === null || set.locks.some(({ id }) => id === lock.id);
    return merged(sets)
      .filter((lock) => isInForce(lock, nowMs))
      .sort((a, b) => a.createdAtMs - b.createdAtMs || a.id.localeCompare(b.id))
      .map((lock) => ({ lock, everywhere: [...sets.values()].every((set) => has(set, lock)) }));
  }

  return {
    listLocks,

    /** Writes a lock to every shard: first, with who asked, where its id belongs. Once this answers, no grant it covers is activated. */
    async saveLock(lock: Lock): Promise<void> {
      const withLock = (locks: readonly Lock[]): readonly Lock[] => [...locks.filter(({ id }) => id !== lock.id), lock];
      const withinBounds = (locks: readonly Lock[]): readonly Lock[] => {
        const disables = lock.disables !== undefined;
        const others = locks.filter((other) => other.id !== lock.id && isInForce(other, clock.now()) && (other.disables !== undefined) === disables).length;
        if (others >= (disables ? MAX_DISABLED : MAX_LOCKS)) {
          throw new Problem('limit_exceeded', disables ? `${others} agents are disabled, which is the limit; lock what they do by purpose or credential` : `there are ${others} locks; lift some first`, { retryAfterSeconds: 30 });
        }
        return withLock(locks);
      };
      await change(shardOf(lock.id), withinBounds, (_before, nowMs) => [lockEvent(nowMs, 'lock.created', lock, lock.by)]);
      await Promise.all(elsewhere(lock).map((shard) => change(shard, withLock)));
      await awaitReplicas();
    },

    /** Takes a lock out of every shard; last, with who asked, where its id belongs. Null when no shard has it. The caller knows whether it may. */
    async liftLock(id: LockId, by: WorkloadId): Promise<Lock | null> {
      const lock = (await listLocks()).find((status) => status.lock.id === id)?.lock;
      if (lock === undefined) return null;
      const withoutLock = (locks: readonly Lock[]): readonly Lock[] => locks.filter((other) => other.id !== id);
      await Promise.all(elsewhere(lock).map((shard) => change(shard, withoutLock)));
      await change(shardOf(id), withoutLock, (_before, nowMs) => [lockEvent(nowMs, 'lock.lifted', lock, by)]);
      return lock;
    },

    /** Throws `locked` where a lock covers this now, and `held`. For what is done before its granting step, which looks again. */
    async refuseWhereLocked(scope: GrantScope, by: WorkloadId): Promise<void> {
      await steps.epochs.grantingAt(shardOf(scope.task.id));
      await refuseLocked({ scope, by, shard: shardOf(scope.task.id), nowMs: clock.now() });
    },

    /** Forgets locks whose time is over. They refuse nothing any more, whether or not this runs. */
    async pruneLocks(nowMs: EpochMs): Promise<void> {
      const over = (lock: Lock): boolean => !isInForce(lock, nowMs);
      const sets = await allSets();
      const stale = SHARDS.filter((shard) => sets.get(shard)?.locks.some(over) === true);
      await Promise.all(
        stale.map((shard) =>
          change(
            shard,
            (locks) => locks.filter((lock) => !over(lock)),
            (before, atMs) => before.filter((lock) => over(lock) && shardOf(lock.id) === shard).map((lock) => lockEvent(atMs, 'lock.expired', lock, LEDGER)),
          ),
        ),
      );
    },
  };
}
