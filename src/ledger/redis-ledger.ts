import type { AuditEventType } from '../audit/audit-event.ts';
import { SHARDS, shardOf, type LeaseId } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import { createApproving } from './approving.ts';
import { createAgentRecords } from './agent-records.ts';
import { createDueRoom } from './due-room.ts';
import { createEnding } from './ending.ts';
import { createGranting } from './granting.ts';
import { tallyWrites } from './hourly-tally.ts';
import { createIdempotency } from './idempotency.ts';
import type { Ledger } from './ledger.ts';
import { createLedgerCounts, DENIED } from './ledger-counts.ts';
import { createLedgerSteps, type RedisLedgerDeps } from './ledger-steps.ts';
import { createLocks } from './locks.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { approvalsKey, disclosedKey, keptOutKey, leasesKey, tasksKey, wakeKey } from './redis-keys.ts';
import { createNoticeRecords } from './notice-records.ts';
import { createReconciliationRecords } from './reconciliation-records.ts';
import { createRevocationRecords } from './revocation-records.ts';
import { createRoom } from './room.ts';
import { createSessionRecords } from './session-records.ts';
import { createSingleUse } from './single-use.ts';

const DENIALS: ReadonlySet<AuditEventType> = new Set(['task.denied', 'credential.denied', 'extension.denied']);

/** The ledger on Redis. Every change is one run of `scripts/commit.lua`; what changes is decided by pure functions. */
export function createRedisLedger(deps: RedisLedgerDeps): Ledger {
  const steps = createLedgerSteps(deps);
  const { redis, clock, event, commit } = steps;
  const runClaim = defineScript(redis, 'mayflyClaim', new URL('./scripts/claim.lua', import.meta.url));
  const room = createRoom(steps);
  const dueRoom = createDueRoom(steps);
  const locks = createLocks(steps);
  const ending = createEnding(steps, { ...room, ...dueRoom });

  return {
    ...steps.reads,
    ...createLedgerCounts(redis, clock),
    ...room,
    ...dueRoom,
    ...ending,
    ...createGranting(steps, (id) => ending.finishTask(id)),
    ...createApproving(steps, room),
    ...createIdempotency(steps),
    ...createSingleUse(steps),
    ...locks,
    ...createRevocationRecords(steps, runClaim),
    ...createReconciliationRecords(steps, runClaim),
    ...createAgentRecords(steps),
    ...createNoticeRecords(steps, runClaim),
    ...createSessionRecords(steps),
    isGranting: steps.isGranting,
    currentHold: steps.epochs.currentHold,
    releaseHold: steps.epochs.releaseHold,

    async claim(shard, leases, nowMs, untilMs) {
      if (leases.length === 0) return [];
      return (await unavailableOnFailure(() => runClaim(1, wakeKey(shard), nowMs, untilMs, ...leases))) as LeaseId[];
    },

    async wake(leases, atMs) {
      await unavailableOnFailure(() => Promise.all(leases.map((id) => redis.zadd(wakeKey(shardOf(id)), 'XX', atMs, id))));
    },

    async recordEvent({ shard, ...input }) {
      const nowMs = clock.now();
      const tally = DENIALS.has(input.type) ? tallyWrites(shard, nowMs, DENIED) : [];
      await commit({ shard, nowMs, expect: [], writes: [], events: [event(nowMs, input)], tally });
    },

    async prune(nowMs) {
      await locks.pruneLocks(nowMs);
      const oldest = nowMs - deps.retentionSeconds * 1000;
      await unavailableOnFailure(() => Promise.all(SHARDS.map((shard) => redis.zremrangebyscore(keptOutKey(shard), '-inf', nowMs))));
      await unavailableOnFailure(() =>
        Promise.all(SHARDS.flatMap((shard) => [tasksKey(shard), approvalsKey(shard), leasesKey(shard), disclosedKey(shard)].map((key) => redis.zremrangebyscore(key, '-inf', oldest)))),
      );
    },

    async ping() {
      await unavailableOnFailure(() => redis.ping());
    },
  };
}
