import { addSeconds, type EpochMs } from '../core/time.ts';
import { envelopeDigest } from './approval.ts';
import type { Approval, DecisionSummary, EndReason, Task, TaskEnvelope, TaskState, WaitingState } from './task.ts';

export type TaskChange =
  /** The last yes that is needed opens the claim window; until then the task goes on waiting. */
  | { readonly type: 'approved'; readonly approval: Approval; readonly claimUntilMs: EpochMs }
  | { readonly type: 'claimed'; readonly atMs: EpochMs; readonly expiresAtMs: EpochMs; readonly instance: string | null; readonly decision: DecisionSummary }
  | { readonly type: 'extended'; readonly expiresAtMs: EpochMs }
  | { readonly type: 'activated'; readonly atMs: EpochMs }
  | { readonly type: 'heard_from'; readonly atMs: EpochMs }
  /** A lease was added to, or a rule of, the task: same state, one generation up. */
  | { readonly type: 'lease_added' }
  | { readonly type: 'end_requested'; readonly reason: EndReason }
  | { readonly type: 'ended'; readonly atMs: EpochMs };

const ALLOWED_FROM: Readonly<Record<TaskChange['type'], readonly TaskState[]>> = {
  approved: ['pending_approval'],
  claimed: ['pending_claim'],
  extended: ['active'],
  activated: ['minting'],
  heard_from: ['active'],
  lease_added: ['active'],
  end_requested: ['pending_approval', 'pending_claim', 'minting', 'active'],
  ended: ['ending'],
};

/** Whether a change is allowed from a state. */
export const taskAllows = (state: TaskState, change: TaskChange['type']): boolean => ALLOWED_FROM[change].includes(state);

/** A task as it is first written. */
export function declaredTask(envelope: TaskEnvelope, state: 'minting' | WaitingState): Task {
  const startedAtMs = state === 'minting' ? envelope.createdAtMs : null;
  const approval = state === 'pending_approval' ? { needed: envelope.decision.approvalsNeeded, digest: envelopeDigest(envelope), given: [] } : null;
  return { ...envelope, state, generation: 1, startedAtMs, approval, heartbeatDueAtMs: null, endReason: null, endedAtMs: null };
}

/** The task after a change; one generation up. Throws `RangeError` where the state does not allow it. */
export function taskTransition(task: Task, change: TaskChange): Task {
  if (!taskAllows(task.state, change.type)) throw new RangeError(`a task that is ${task.state} cannot be ${change.type}`);
  const next = { ...task, generation: task.generation + 1 };
  switch (change.type) {
    case 'approved': {
      if (task.approval === null) throw new RangeError('no human was asked about this task');
      const approval = { ...task.approval, given: [...task.approval.given, change.approval] };
      if (approval.given.length < approval.needed) return { ...next, approval };
      // Approved before its window ended, it ends no later than was said; a child never after its parent.
      const expiresAtMs = Math.min(addSeconds(change.claimUntilMs, task.ttlSeconds), task.expiresAtMs) as EpochMs;
      return { ...next, approval, state: 'pending_claim', waitsUntilMs: change.claimUntilMs, expiresAtMs };
    }
    case 'claimed':
      return {
        ...next,
        state: 'minting',
        startedAtMs: change.atMs,
        expiresAtMs: change.expiresAtMs,
        waitsUntilMs: null,
        instance: change.instance,
        decision: change.decision,
      };
    case 'extended':
      return { ...next, expiresAtMs: change.expiresAtMs };
    case 'activated':
      return { ...next, state: 'active', heartbeatDueAtMs: heartbeatDue(task, change.atMs) };
    case 'heard_from':
      return { ...next, heartbeatDueAtMs: heartbeatDue(task, change.atMs) };
    case 'lease_added':
      return next;
    case 'end_requested':
      return { ...next, state: 'ending', endReason: change.reason };
    case 'ended':
      return { ...next, state: 'ended', endedAtMs: change.atMs };
    default:
      return change satisfies never;
  }
}

const heartbeatDue = (task: Task, heardAtMs: EpochMs): EpochMs | null =>
  task.heartbeatSeconds === null ? null : addSeconds(heardAtMs, task.heartbeatSeconds);

/** When the sweep must next look at an active task: its expiry, or an earlier missed heartbeat. */
export const activeTaskWakeAt = (task: Task): EpochMs =>
  task.heartbeatDueAtMs !== null && task.heartbeatDueAtMs < task.expiresAtMs ? task.heartbeatDueAtMs : task.expiresAtMs;
