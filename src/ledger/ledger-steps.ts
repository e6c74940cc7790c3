import type { Redis } from 'ioredis';
import type { AuditEvent, SealedEvent } from '../audit/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { newEventId, type LeaseId, type Shard } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Task } from '../task/task.ts';
import type { TaskTree } from '../task/task-tree.ts';
import { keptTrace, requestTraceId, traceIdOf } from '../telemetry/trace-context.ts';
import { createEpochs, type Epochs, type EpochSettings } from './epochs.ts';
import { createCommitter, type Expectation, type Step, type StepGuards, type StepResult } from './commit-step.ts';
import { createGrantActivity } from './grant-activity.ts';
import type { Lease } from './lease.ts';
import { lockAgainst, type GrantScope, type LockSet } from './lock.ts';
import { createLedgerReads, type LedgerReads, type OnTampered } from './ledger-reads.ts';
import { onFailureUnavailable, unavailableOnFailure } from './lost-redis.ts';
import { createRecordSeal, type RecordSeal } from './record-seal.ts';
import type { WriteSettings } from './record-writes.ts';
import { epochKey, leaseKey, locksKey, taskKey } from './redis-keys.ts';
import { treeAt, treeWrites, TreeChanged } from './tree-steps.ts';

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
  /** Who is told of tasks that wait for a human; nobody where not given. */
  readonly noticesTo?: readonly string[];
  /** Replicas that must have an intent before anything is minted; 0 where Redis stands alone. */
  readonly minReplicaAcks: number;
  readonly onTampered: OnTampered;
  readonly epoch: EpochSettings;
}

type EventInput = Pick<AuditEvent, 'type' | 'by' | 'facts'> & Partial<Pick<AuditEvent, 'task' | 'leases' | 'agent'>> & Pick<Task, 'traceparent'>;

/** A step that grants, or lets something live longer. */
export interface GrantStep extends Omit<Step, 'guarded'> {
  readonly scope: GrantScope;
  readonly by: WorkloadId;
  /** The tree that was decided on, and what becomes of it in this very step. */
  readonly tree?: { readonly before: TaskTree; readonly after: TaskTree } | undefined;
  /** Whether the task is written by this very step: where it is refused, there is no such task. */
  readonly isNew?: boolean | undefined;
}

/** What every part of the ledger builds its steps with. */
export interface LedgerSteps {
  readonly redis: Redis;
  readonly clock: Clock;
  readonly seal: RecordSeal;
  readonly reads: LedgerReads;
  readonly settings: WriteSettings;
  readonly event: (nowMs: EpochMs, input: EventInput) => SealedEvent;
  readonly taskEvent: (nowMs: EpochMs, type: AuditEvent['type'], task: Task, by: WorkloadId, leases: readonly LeaseId[], facts: AuditEvent['facts']) => SealedEvent;
  readonly commit: (step: Step) => Promise<StepResult>;
  /**
   * A step that grants: anything but success is a problem for the caller, and nothing was written. Locks are compared in
   * the step itself, so that a lock which every shard has lets no later step pass.
   */
  readonly commitGrant: (step: GrantStep) => Promise<'ok' | 'conflict'>;
  /** Whether a grant was made within about the last second, by any process. */
  readonly isGranting: () => Promise<boolean>;
  /** Whether the ledger still has all that was written to it. */
  readonly epochs: Epochs;
  /** Throws `locked`, on the record, where a lock covers the grant; else the locks that do not. */
  readonly refuseLocked: (grant: Pick<GrantStep, 'scope' | 'by' | 'shard' | 'nowMs' | 'isNew'>) => Promise<LockSet>;
  /** Throws `ledger_unavailable` unless enough replicas have what was written. */
  readonly awaitReplicas: () => Promise<void>;
  readonly onTampered: OnTampered;
  /** Runs `attempt` until no one else was quicker. */
  readonly untilSettled: <T>(attempt: () => Promise<T | 'conflict'>) => Promise<T>;
}

/** Somebody else changing the same task this often in a row means something is wrong. */
const MAX_CONFLICTS = 20;
/** How long a grant waits for replicas. */
const REPLICA_WAIT_MS = 1_000;

export function createLedgerSteps(deps: RedisLedgerDeps): LedgerSteps {
  const { redis, clock } = deps;
  const seal = createRecordSeal(deps.recordKey);
  const runStep = createCommitter(redis, deps.guards);
  const commit = (step: Step): Promise<StepResult> => unavailableOnFailure(() => runStep(step));
  const event: LedgerSteps['event'] = (nowMs, { traceparent, ...input }) =>
    deps.sealEvent({ id: newEventId(), at: toRfc3339(nowMs), task: null, leases: [], agent: null, ...input, trace_id: requestTraceId() ?? traceIdOf(traceparent) });

  async function awaitReplicas(): Promise<void> {
    if (deps.minReplicaAcks === 0) return;
    const acks = await unavailableOnFailure(() => redis.wait(deps.minReplicaAcks, REPLICA_WAIT_MS));
    if (acks < deps.minReplicaAcks) {
      throw new Problem('ledger_unavailable', `${acks} of ${deps.minReplicaAcks} replicas confirmed the record`, { retryAfterSeconds: 5 });
    }
  }

  const settings: WriteSettings = { seal, mintDeadlineMs: deps.mintDeadlineMs, retentionSeconds: deps.retentionSeconds, noticesTo: deps.noticesTo ?? [] };
  const epochs = createEpochs({ redis, clock, seal, event, commit, untilSettled, onTampered: deps.onTampered }, deps.epoch);
  const activity = createGrantActivity(redis, clock);
  const reads = onFailureUnavailable(createLedgerReads(redis, seal, deps.onTampered));

  const refuseLocked: LedgerSteps['refuseLocked'] = async ({ scope, by, shard, nowMs, isNew }) => {
    const locks = await reads.lockSet(shard);
    const lock = lockAgainst(locks, scope, nowMs);
    if (lock === undefined) return locks;
    const until = toRfc3339(lock.untilMs);
    const { id, agent, purpose } = scope.task;
    const credentials = scope.credentials.map(({ credential, provider = null }) => ({ credential, provider }));
    const refusal = event(nowMs, { type: 'grant.locked', task: isNew === true ? null : id, agent, by, facts: { lock: lock.id, until, purpose, credentials } });
    await commit({ shard, nowMs, expect: [], writes: [], events: [refusal] });
    if (lock.disables !== undefined) throw new Problem('agent_disabled', 'the agent, or one that the task has its authority from, is disabled');
    throw new Problem('locked', `an operator has locked this until ${until}`, { members: { lock: { id: lock.id, until } } });
  };

  async function untilSettled<T>(attempt: () => Promise<T | 'conflict'>): Promise<T> {
    for (let round = 0; round < MAX_CONFLICTS; round += 1) {
      const result = await attempt();
      if (result !== 'conflict') return result;
    }
    throw new Problem('ledger_unavailable', 'the record keeps changing; try again', { retryAfterSeconds: 1 });
  }

  /** The locks of a shard as they were last read: while their generation stands, the step itself says so, and nothing has to be read. */
  const known = new Map<Shard, LockSet>();

  async function lookAtLocks(grant: Parameters<LedgerSteps['refuseLocked']>[0]): Promise<LockSet> {
    const before = known.get(grant.shard);
    if (before !== undefined && lockAgainst(before, grant.scope, grant.nowMs) === undefined) return before;
    const locks = await refuseLocked(grant);
    known.set(grant.shard, locks);
    return locks;
  }

  /** One attempt; `conflict` when the epoch or the locks changed meanwhile and have to be looked at again. */
  async function attemptGrant({ scope, by, isNew, tree, ...step }: GrantStep): Promise<StepResult | 'conflict'> {
    const { shard, nowMs, expect } = step;
    const epoch = { key: epochKey(shard), generation: await epochs.grantingAt(shard) };
    const locks = { key: locksKey(shard), generation: (await lookAtLocks({ scope, by, shard, nowMs, isNew })).generation };
    const inTree = tree === undefined ? { expect: [], writes: [] } : { expect: [treeAt(tree.before)], writes: treeWrites(tree.before, tree.after, settings) };
    const result = await commit({ ...step, expect: [epoch, locks, ...inTree.expect, ...expect], writes: [...step.writes, ...inTree.writes], guarded: true });
    if (result.outcome === 'conflict' && inTree.expect.some(({ key }) => key === result.key)) throw new TreeChanged(scope.task.root);
    if (result.outcome !== 'conflict' || ![epoch.key, locks.key].includes(result.key)) return result;
    epochs.forget(shard);
    known.delete(shard);
    return 'conflict';
  }

  return {
    redis,
    clock,
    seal,
    reads,
    settings,
    event,
    taskEvent: (nowMs, type, task, by, leases, facts) =>
      event(nowMs, { type, task: task.id, agent: task.agent, by, leases, ...keptTrace(task), facts: { purpose: task.purpose, ...facts } }),
    commit,

    isGranting: activity.isGranting,

    async commitGrant(step) {
      activity.noteGrant();
      const result = await untilSettled(() => attemptGrant(step));
      if (result.outcome === 'clock_skewed') {
        throw new Problem('clock_skewed', `the broker's clock and the ledger's differ by ${result.ms} ms; nothing is granted until they agree`, { retryAfterSeconds: 5 });
      }
      if (result.outcome === 'audit_behind') {
        throw new Problem('audit_behind', `the audit log is ${Math.round(result.ms / 1000)} s behind; nothing is granted until it catches up`, { retryAfterSeconds: 5 });
      }
      if (result.outcome === 'ok') await awaitReplicas();
      return result.outcome;
    },

    untilSettled,
    epochs,
    refuseLocked,
    awaitReplicas,
    onTampered: deps.onTampered,
  };
}

/** The record must still be as it was read. */
export const taskAt = (task: Task): Expectation => ({ key: taskKey(task.id), generation: task.generation });
export const leaseAt = (lease: Lease): Expectation => ({ key: leaseKey(lease.id), generation: lease.generation });
/** There must be no such record yet. */
export const absent = (key: string): Expectation => ({ key, generation: 0 });
