import { shardOf } from '../core/ids.ts';
import {
  agentTasksKey,
  approvalsKey,
  disclosedKey,
  dueKey,
  keptOutKey,
  leaseKey,
  lapsingKey,
  leasesKey,
  liveOfKindKey,
  liveOfCredentialKey,
  liveOfSubjectKey,
  liveTasksOfSubjectKey,
  noticesKey,
  stuckKey,
  taskKey,
  taskLeasesKey,
  taskLiveKey,
  tasksInStateKey,
  tasksKey,
  waitingApprovalsKey,
  wakeKey,
} from './redis-keys.ts';
import { deadlineOf, isLeftToLapse, overdueFrom, wakeAt } from './lease-transitions.ts';
import { isFinal, type Lease } from './lease.ts';
import { sameWorkload } from '../identity/caller.ts';
import { TASK_STATES, type Task } from '../task/task.ts';
import { activeTaskWakeAt } from '../task/task-transitions.ts';
import type { EpochMs } from '../core/time.ts';
import type { Write } from './commit-step.ts';
import { noticeMember } from './notice-records.ts';
import type { RecordSeal } from './record-seal.ts';

export interface WriteSettings {
  readonly seal: RecordSeal;
  /** How long after its creation an intent must be activated, ms. */
  readonly mintDeadlineMs: number;
  /** How long final records are kept, seconds. */
  readonly retentionSeconds: number;
  /** Who is told of tasks that wait for a human. */
  readonly noticesTo: readonly string[];
}

/** How long after a task's leases should all be final the sweep looks whether they are. */
const ENDING_CHECK_MS = 5_000;

/** The record and every index of a lease as it now is. `isNew` adds it to the indexes that never change. */
export function leaseWrites(lease: Lease, isNew: boolean, settings: WriteSettings, wakeAtMs?: EpochMs): Write[] {
  const shard = shardOf(lease.id);
  const { json, mac } = settings.seal.seal('lease', lease.id, lease);
  const writes: Write[] = [['HSET', leaseKey(lease.id), 'generation', lease.generation, 'record', json, 'mac', mac]];
  const live = [
    taskLiveKey(lease.taskId),
    ...subjectsOf(lease).map((subject) => liveOfSubjectKey(shard, subject)),
    liveOfCredentialKey(shard, lease.credential),
  ];
  const ofKind = liveOfKindKey(shard, lease.provider, lease.kind);
  if (isNew) {
    writes.push(['ZADD', leasesKey(shard), lease.createdAtMs, lease.id], ['SADD', taskLeasesKey(lease.taskId), lease.id]);
    for (const key of live) writes.push(['SADD', key, lease.id]);
  }
  const wake = wakeAtMs ?? wakeAt(lease, settings.mintDeadlineMs);
  if (isFinal(lease.state) || wake === null) {
    for (const key of [wakeKey(shard), dueKey(shard), ofKind, stuckKey(shard), lapsingKey(shard)]) writes.push(['ZREM', key, lease.id]);
    for (const key of live) writes.push(['SREM', key, lease.id]);
    writes.push(['EXPIRE', leaseKey(lease.id), settings.retentionSeconds]);
    if (lease.state === 'revoked' && lease.revocability === 'eventual') writes.push(['ZADD', keptOutKey(shard), lease.lapsesAtMs ?? lease.dueAtMs, lease.id]);
    if (lease.state === 'disclosed') writes.push(['ZADD', disclosedKey(shard), deadlineOf(lease), lease.id]);
  } else {
    const overdueFromMs = overdueFrom(lease);
    writes.push(['ZADD', wakeKey(shard), wake, lease.id], ['ZADD', dueKey(shard), overdueFromMs, lease.id], ['ZADD', ofKind, overdueFromMs, lease.id]);
    writes.push(lease.state === 'stuck' ? ['ZADD', stuckKey(shard), overdueFromMs, lease.id] : ['ZREM', stuckKey(shard), lease.id]);
    writes.push(isLeftToLapse(lease) ? ['ZADD', lapsingKey(shard), overdueFromMs, lease.id] : ['ZREM', lapsingKey(shard), lease.id]);
  }
  return writes;
}

/** Whose name leads to it: its agent's, and that of each agent who handed a part of its own task on. */
const subjectsOf = ({ agent, chain }: Pick<Task, 'agent' | 'chain'>): string[] => [...new Set([agent, ...chain].map(({ subject }) => subject))];

/** The record and every index of a task as it now is. */
export function taskWrites(task: Task, isNew: boolean, nowMs: EpochMs, settings: WriteSettings): Write[] {
  const shard = shardOf(task.id);
  const { json, mac } = settings.seal.seal('task', task.id, task);
  const writes: Write[] = [['HSET', taskKey(task.id), 'generation', task.generation, 'record', json, 'mac', mac]];
  if (isNew) {
    writes.push(
      ['ZADD', tasksKey(shard), task.createdAtMs, task.id],
      ['ZADD', agentTasksKey(shard, task.agent), task.createdAtMs, task.id],
      ...subjectsOf(task).map((subject): Write => ['SADD', liveTasksOfSubjectKey(shard, subject), task.id]),
    );
    if (!sameWorkload(task.declarer, task.agent)) {
      writes.push(['ZADD', agentTasksKey(shard, task.declarer), task.createdAtMs, task.id]);
    }
  }
  if (task.approval !== null) {
    if (isNew) writes.push(['ZADD', approvalsKey(shard), task.createdAtMs, task.id], ['ZADD', waitingApprovalsKey(shard), task.createdAtMs, task.id]);
    if (isNew) for (const recipient of settings.noticesTo) writes.push(['ZADD', noticesKey(shard), task.createdAtMs, noticeMember({ task: task.id, recipient })]);
    if (task.state !== 'pending_approval') writes.push(['ZREM', waitingApprovalsKey(shard), task.id]);
  }
  for (const state of TASK_STATES) {
    if (state === 'ended') continue;
    const inState = tasksInStateKey(shard, state);
    writes.push(state === task.state ? ['ZADD', inState, task.createdAtMs, task.id] : ['ZREM', inState, task.id]);
  }
  if (task.state === 'ended') {
    writes.push(['ZREM', wakeKey(shard), task.id], ...subjectsOf(task).map((subject): Write => ['SREM', liveTasksOfSubjectKey(shard, subject), task.id]));
    for (const key of [taskKey(task.id), taskLeasesKey(task.id)]) writes.push(['EXPIRE', key, settings.retentionSeconds]);
  } else {
    writes.push(['ZADD', wakeKey(shard), taskWakeAt(task, nowMs, settings.mintDeadlineMs), task.id]);
  }
  return writes;
}

function taskWakeAt(task: Task, nowMs: EpochMs, mintDeadlineMs: number): number {
  switch (task.state) {
    case 'minting':
      return nowMs + mintDeadlineMs;
    case 'ending':
      return nowMs + ENDING_CHECK_MS;
    case 'active':
      return activeTaskWakeAt(task);
    case 'pending_approval':
    case 'pending_claim':
    case 'ended':
      return task.waitsUntilMs ?? task.expiresAtMs;
    default:
      return task.state satisfies never;
  }
}
