import type { Redis } from 'ioredis';
import type { AuditEvent, SealedEvent } from '../audit/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { newEventId, SHARDS, shardOf, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import { Problem } from '../core/problem.ts';
import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Task } from '../task/task.ts';
import { declaredTask, taskAllows, taskTransition } from '../task/task-transitions.ts';
import { createCommitter, type Expectation, type Step, type StepGuards, type StepResult } from './commit-step.ts';
import { isFinal, type Lease, type LeaseIntent } from './lease.ts';
import { allows, intendedLease, transition, type MintedFacts } from './lease-transitions.ts';
import { createLedgerReads, type OnTampered } from './ledger-reads.ts';
import type { FailedLease, Ledger } from './ledger.ts';
import { createRecordSeal } from './record-seal.ts';
import { onFailureUnavailable, unavailableOnFailure } from './lost-redis.ts';
import { leaseWrites, taskWrites, type WriteSettings } from './record-writes.ts';
import {
  agentGrantsKey,
  agentLiveKey,
  disclosedKey,
  leaseKey,
  leasesKey,
  revocationKey,
  taskKey,
  taskLiveKey,
  tasksKey,
  wakeKey,
} from './redis-keys.ts';
import { leaseFacts, settleEvent } from './settle-event.ts';

export interface RedisLedgerDeps {
  /** A connection of the ledger's own: no offline queue and a command time-out, so that a lost Redis is an error, not a wait. */
  readonly redis: Redis;
  /** 32 bytes, for sealing records only. */
  readonly recordKey: Buffer;
  readonly sealEvent: (event: AuditEvent) => SealedEvent;
  readonly clock: Clock;
  readonly guards: StepGuards;
  /** How long after its creation an intent must be activated, ms: the mint time-out and a margin. */
  readonly mintDeadlineMs: number;
  readonly retentionSeconds: number;
  /** Replicas that must have an intent before anything is minted; 0 where Redis stands alone. */
  readonly minReplicaAcks: number;
  readonly onTampered: OnTampered;
}

/** Who the ledger itself is in the audit log. */
const LEDGER: WorkloadId = { issuer: 'mayfly', subject: 'ledger' };
/** Somebody else changing the same task this often in a row means something is wrong. */
const MAX_CONFLICTS = 20;
/** How long a grant waits for replicas. */
const REPLICA_WAIT_MS = 1_000;

/** The ledger on Redis. Every change is one run of `scripts/commit.lua`; what changes is decided by pure functions. */
export function createRedisLedger(deps: RedisLedgerDeps): Ledger {
  const { redis, clock } = deps;
  const seal = createRecordSeal(deps.recordKey);
  const reads = createLedgerReads(redis, seal, deps.onTampered);
  const runStep = createCommitter(redis, deps.guards);
  const runReserve = defineScript(redis, 'mayflyReserve', new URL('./scripts/reserve.lua', import.meta.url));
  const runClaim = defineScript(redis, 'mayflyClaim', new URL('./scripts/claim.lua', import.meta.url));
  const settings: WriteSettings = { seal, mintDeadlineMs: deps.mintDeadlineMs, retentionSeconds: deps.retentionSeconds };

  type EventInput = Pick<AuditEvent, 'type' | 'by' | 'facts'> & Partial<Pick<AuditEvent, 'task' | 'leases' | 'agent'>>;
  const event = (nowMs: EpochMs, input: EventInput): SealedEvent =>
    deps.sealEvent({ id: newEventId(), at: toRfc3339(nowMs), task: null, leases: [], agent: null, ...input });
  const taskEvent = (nowMs: EpochMs, type: AuditEvent['type'], task: Task, by: WorkloadId, leases: readonly LeaseId[], facts: AuditEvent['facts']) =>
    event(nowMs, { type, task: task.id, agent: task.agent, by, leases, facts: { purpose: task.purpose, ...facts } });

  async function commit(step: Step): Promise<StepResult> {
    return unavailableOnFailure(() => runStep(step));
  }

  /** A step that grants: anything but success is a problem for the caller, and nothing was written. */
  async function commitGrant(step: Omit<Step, 'guarded'>): Promise<'ok' | 'conflict'> {
    const result = await commit({ ...step, guarded: true });
    if (result.outcome === 'clock_skewed') {
      throw new Problem('clock_skewed', `the broker's clock and the ledger's differ by ${result.ms} ms; nothing is granted until they agree`, { retryAfterSeconds: 5 });
    }
    if (result.outcome === 'audit_behind') {
      throw new Problem('audit_behind', `the audit log is ${Math.round(result.ms / 1000)} s behind; nothing is granted until it catches up`, { retryAfterSeconds: 5 });
    }
    if (result.outcome === 'ok') await awaitReplicas();
    return result.outcome;
  }

  async function awaitReplicas(): Promise<void> {
    if (deps.minReplicaAcks === 0) return;
    const acks = await unavailableOnFailure(() => redis.wait(deps.minReplicaAcks, REPLICA_WAIT_MS));
    if (acks < deps.minReplicaAcks) {
      throw new Problem('ledger_unavailable', `${acks} of ${deps.minReplicaAcks} replicas confirmed the record`, { retryAfterSeconds: 5 });
    }
  }

  const taskAt = (task: Task): Expectation => ({ key: taskKey(task.id), generation: task.generation });
  const leaseAt = (lease: Lease): Expectation => ({ key: leaseKey(lease.id), generation: lease.generation });
  const absent = (key: string): Expectation => ({ key, generation: 0 });

  async function declare(task: Task, intents: readonly LeaseIntent[], by: WorkloadId, facts: AuditEvent['facts']): Promise<Task> {
    const nowMs = clock.now();
    const leases = intents.map(intendedLease);
    const outcome = await commitGrant({
      shard: shardOf(task.id),
      nowMs,
      expect: [absent(taskKey(task.id)), ...leases.map((lease) => absent(leaseKey(lease.id)))],
      writes: [...taskWrites(task, true, nowMs, settings), ...leases.flatMap((lease) => leaseWrites(lease, true, settings))],
      events: [
        taskEvent(nowMs, 'task.declared', task, by, leases.map((lease) => lease.id), {
          state: task.state,
          actions: task.actions,
          data_classes: task.dataClasses,
          context: task.context,
          evidence: task.evidence,
          justification: task.justification,
          ticket: task.ticket,
          expires_at: toRfc3339(task.expiresAtMs),
          credentials: leases.map(leaseFacts),
          ...facts,
        }),
      ],
    });
    if (outcome === 'conflict') throw new Problem('internal', 'the new task id is already taken');
    return task;
  }

  /** Runs `attempt` until no one else was quicker. */
  async function untilSettled<T>(attempt: () => Promise<T | 'conflict'>): Promise<T> {
    for (let round = 0; round < MAX_CONFLICTS; round += 1) {
      const result = await attempt();
      if (result !== 'conflict') return result;
    }
    throw new Problem('ledger_unavailable', 'the record keeps changing; try again', { retryAfterSeconds: 1 });
  }

  const readGrant = (taskId: TaskId, leases: readonly { readonly leaseId: LeaseId }[]): Promise<[Task | null, (Lease | null)[]]> =>
    unavailableOnFailure(() => Promise.all([reads.getTask(taskId), Promise.all(leases.map(({ leaseId }) => reads.getLease(leaseId)))]));

  async function endTaskOnce(...[id, reason, by, facts]: Parameters<Ledger['endTask']>): Promise<Task | null | 'conflict'> {
    const nowMs = clock.now();
    const task = await unavailableOnFailure(() => reads.getTask(id));
    if (task === null || !taskAllows(task.state, 'end_requested')) return task;
    const leases = await unavailableOnFailure(() => reads.leasesOfTask(id));
    const ending = leases
      .filter((lease) => allows(lease.state, 'end_requested'))
      .map((lease) => ({ before: lease, after: transition(lease, { type: 'end_requested', atMs: nowMs, reason: leaseReason(reason) }) }));
    const stillLive = leases.some((lease) => !isFinal(lease.state));
    let next = taskTransition(task, { type: 'end_requested', reason });
    const events = [
      taskEvent(nowMs, 'task.ending', next, by, ending.map(({ after }) => after.id), { reason, ...facts }),
    ];
    if (!stillLive) {
      next = taskTransition(next, { type: 'ended', atMs: nowMs });
      events.push(taskEvent(nowMs, 'task.ended', next, by, [], { reason }));
    }
    const result = await commit({
      shard: shardOf(id),
      nowMs,
      expect: [taskAt(task), ...ending.map(({ before }) => leaseAt(before))],
      writes: [...taskWrites(next, false, nowMs, settings), ...ending.flatMap(({ after }) => leaseWrites(after, false, settings, nowMs))],
      events,
    });
    return result.outcome === 'ok' ? next : 'conflict';
  }

  async function finishTask(id: TaskId): Promise<void> {
    await untilSettled(async () => {
      const nowMs = clock.now();
      const task = await unavailableOnFailure(() => reads.getTask(id));
      if (task?.state !== 'ending') return 'done';
      const leases = await unavailableOnFailure(() => reads.leasesOfTask(id));
      const ended = leases.every((lease) => isFinal(lease.state));
      const next = ended ? taskTransition(task, { type: 'ended', atMs: nowMs }) : task;
      const result = await commit({
        shard: shardOf(id),
        nowMs,
        expect: [taskAt(task)],
        writes: taskWrites(next, false, nowMs, settings),
        events: ended ? [taskEvent(nowMs, 'task.ended', next, LEDGER, [], { reason: task.endReason })] : [],
      });
      return result.outcome === 'ok' ? 'done' : 'conflict';
    });
  }

  const ledger: Ledger = {
    ...onFailureUnavailable(reads),
    finishTask,

    async reserve(agent, leases, limit) {
      const pairs = leases.flatMap(({ id, dueAtMs }) => [id, dueAtMs]);
      const [granted, live, grants] = (await unavailableOnFailure(() =>
        runReserve(2, agentLiveKey(agent), agentGrantsKey(agent), clock.now(), limit, ...pairs),
      )) as number[];
      return { granted: granted === 1, liveLeases: Number(live), grantsLastHour: Number(grants) };
    },

    async release(agent, leases) {
      if (leases.length > 0) await unavailableOnFailure(() => redis.zrem(agentLiveKey(agent), ...leases));
    },

    declareTask: (envelope, intents, by, facts) => declare(declaredTask(envelope, 'minting'), intents, by, facts),
    parkTask: (envelope, by, facts) => declare(declaredTask(envelope, 'pending_approval'), [], by, facts),

    async intendCredential(task, intent, by) {
      const nowMs = clock.now();
      const next = taskTransition(task, { type: 'lease_added' });
      const lease = intendedLease(intent);
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        expect: [taskAt(task), absent(leaseKey(lease.id))],
        writes: [...taskWrites(next, false, nowMs, settings), ...leaseWrites(lease, true, settings)],
        events: [taskEvent(nowMs, 'lease.intended', next, by, [lease.id], leaseFacts(lease))],
      });
      if (outcome === 'conflict') throw new Problem('task_not_active', 'the task changed while the credential was being granted; ask again');
      return next;
    },

    activate: (taskId, minted, by) =>
      untilSettled(async () => {
        const nowMs = clock.now();
        const [task, leases] = await readGrant(taskId, minted);
        if (task?.state !== 'minting' && task?.state !== 'active') return 'refused';
        const changes = minted.flatMap((facts, index) => {
          const before = leases[index];
          return before && allows(before.state, 'activated')
            ? [{ before, after: transition(before, { ...facts, type: 'activated', atMs: nowMs }) }]
            : [];
        });
        if (changes.length !== minted.length) return 'refused';
        const next = task.state === 'minting' ? taskTransition(task, { type: 'activated', atMs: nowMs }) : task;
        const outcome = await commitGrant({
          shard: shardOf(taskId),
          nowMs,
          expect: [taskAt(task), ...changes.map(({ before }) => leaseAt(before))],
          writes: [...taskWrites(next, false, nowMs, settings), ...changes.flatMap(({ after }) => leaseWrites(after, false, settings))],
          events: [
            taskEvent(nowMs, task.state === 'minting' ? 'task.activated' : 'lease.activated', next, by, changes.map(({ after }) => after.id), {
              credentials: changes.map(({ after }) => leaseFacts(after)),
            }),
          ],
        });
        return outcome === 'ok' ? 'active' : 'conflict';
      }),

    heartbeat: (id) =>
      untilSettled(async () => {
        const nowMs = clock.now();
        const task = await unavailableOnFailure(() => reads.getTask(id));
        if (task === null || !taskAllows(task.state, 'heard_from')) return task;
        const next = taskTransition(task, { type: 'heard_from', atMs: nowMs });
        const result = await commit({
          shard: shardOf(id),
          nowMs,
          expect: [taskAt(task)],
          writes: taskWrites(next, false, nowMs, settings),
          events: [],
        });
        return result.outcome === 'ok' ? next : 'conflict';
      }),

    async failGrant({ taskId, leases: failed, endsTask, by, failure }) {
      await untilSettled(async () => {
        const nowMs = clock.now();
        const [task, leases] = await readGrant(taskId, failed);
        if (task === null) return 'done';
        const changes = failed.flatMap((fate, index) => {
          const before = leases[index];
          if (!before || !allows(before.state, 'end_requested')) return [];
          const after =
            fate.fate === 'abandoned' && before.state === 'intended'
              ? transition(before, { type: 'abandoned', atMs: nowMs })
              : transition(before, { type: 'end_requested', atMs: nowMs, reason: 'mint_failed', ...mintedFacts(fate) });
          return [{ before, after }];
        });
        const next =
          endsTask && taskAllows(task.state, 'end_requested')
            ? taskTransition(task, { type: 'end_requested', reason: 'mint_failed' })
            : task;
        const result = await commit({
          shard: shardOf(taskId),
          nowMs,
          expect: [taskAt(task), ...changes.map(({ before }) => leaseAt(before))],
          writes: [...taskWrites(next, false, nowMs, settings), ...changes.flatMap(({ after }) => leaseWrites(after, false, settings, nowMs))],
          events: changes.map(({ after }) =>
            taskEvent(nowMs, after.state === 'abandoned' ? 'lease.abandoned' : 'lease.revoking', next, by, [after.id], {
              ...leaseFacts(after),
              failure,
            }),
          ),
        });
        return result.outcome === 'ok' ? 'done' : 'conflict';
      });
      await finishTask(taskId);
    },

    endTask: (...args) => untilSettled(() => endTaskOnce(...args)),

    endLease: (id, reason, by) =>
      untilSettled(async () => {
        const nowMs = clock.now();
        const lease = await unavailableOnFailure(() => reads.getLease(id));
        if (lease === null || !allows(lease.state, 'end_requested')) return lease;
        const change = { type: 'end_requested', atMs: nowMs, reason } as const;
        return (await ledger.settle(lease, change, by)) === 'ok' ? transition(lease, change) : 'conflict';
      }),

    async settle(lease, change, by, claimUntilMs) {
      const nowMs = clock.now();
      const after = transition(lease, change);
      const result = await commit({
        shard: shardOf(lease.id),
        nowMs,
        expect: [leaseAt(lease)],
        writes: leaseWrites(after, false, settings, claimUntilMs),
        events: [settleEvent(after, change, by, nowMs, (input) => event(nowMs, input))],
        count: [taskLiveKey(lease.taskId)],
      });
      if (result.outcome !== 'ok') return 'conflict';
      if (isFinal(after.state)) {
        // Room under the limit also frees itself at the due time; a lost release must not fail a settled lease.
        await ledger.release(lease.agent, [lease.id]).catch(() => undefined);
        if (result.counts[0] === 0) await finishTask(lease.taskId);
      }
      return 'ok';
    },

    async claim(shard, leases, nowMs, untilMs) {
      if (leases.length === 0) return [];
      return (await unavailableOnFailure(() => runClaim(1, wakeKey(shard), nowMs, untilMs, ...leases))) as LeaseId[];
    },

    async wake(leases, atMs) {
      await unavailableOnFailure(() => Promise.all(leases.map((id) => redis.zadd(wakeKey(shardOf(id)), 'XX', atMs, id))));
    },

    async saveRevocation(record) {
      const { json, mac } = seal.seal('revocation', record.id, record);
      const key = revocationKey(record.id);
      const nowMs = clock.now();
      await commit({
        shard: shardOf(record.id),
        nowMs,
        expect: [],
        writes: [['HSET', key, 'record', json, 'mac', mac], ['EXPIRE', key, deps.retentionSeconds]],
        events: [
          event(nowMs, {
            type: 'revocation.requested',
            by: record.by,
            leases: record.leases,
            facts: { revocation: record.id, selector: record.selector, reason: record.reason, tasks: record.tasks },
          }),
        ],
      });
    },

    async recordEvent({ shard, ...input }) {
      const nowMs = clock.now();
      await commit({ shard, nowMs, expect: [], writes: [], events: [event(nowMs, input)] });
    },

    async prune(nowMs) {
      const oldest = nowMs - deps.retentionSeconds * 1000;
      await unavailableOnFailure(() =>
        Promise.all(SHARDS.flatMap((shard: Shard) => [tasksKey(shard), leasesKey(shard), disclosedKey(shard)].map((key) => redis.zremrangebyscore(key, '-inf', oldest)))),
      );
    },

    async ping() {
      await unavailableOnFailure(() => redis.ping());
    },
  };
  return ledger;
}

const mintedFacts = (failed: FailedLease): { minted?: MintedFacts } =>
  failed.fate === 'revoke' && failed.minted !== null ? { minted: failed.minted } : {};

/** Why the leases of a task end, given why the task does. */
function leaseReason(reason: Parameters<Ledger['endTask']>[1]): 'completed' | 'expired' | 'revoked' | 'mint_failed' | 'mint_interrupted' | 'parent_ended' {
  switch (reason) {
    case 'completed':
    case 'expired':
    case 'mint_failed':
    case 'mint_interrupted':
    case 'parent_ended':
      return reason;
    default:
      return 'revoked';
  }
}
