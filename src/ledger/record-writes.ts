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
  leasesOfSubjectKey,
  leasesOfTraceKey,
  liveOfKindKey,
  liveOfCredentialKey,
  liveOfPurposeKey,
  liveOfSubjectKey,
  liveTasksOfSubjectKey,
  noticesKey,
  stuckKey,
  taskKey,
  taskLeasesKey,
  taskLiveKey,
  tasksInStateKey,
  tasksKey,
  tasksOfSubjectKey,
  waitingApprovalsKey,
  wakeKey,
} from './redis-keys.ts';
import { deadlineOf, isLeftToLapse, overdueFrom, wakeAt } from './lease-transitions.ts';
import { isFinal, type Lease } from './lease.ts';
import { sameWorkload } from '../identity/caller.ts';
import { TASK_STATES, type Task } from '../task/task.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
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
  const { id, taskId, credential, provider, kind, purpose, state, createdAtMs } = lease;
  const shard = shardOf(id);
  const { json, mac } = settings.seal.seal('lease', id, lease);
  const writes: Write[] = [['HSET', leaseKey(id), 'generation', lease.generation, 'record', json, 'mac', mac]];
  if (isNew) {
    writes.push(['ZADD', leasesKey(shard), createdAtMs, id], ['SADD', taskLeasesKey(taskId), id], ['SADD', taskLiveKey(taskId), id]);
    writes.push(...indexedForRetention(leasesOfSubjectKey(shard, lease.agent.subject), createdAtMs, id, settings));
    const traceId = traceIdOf(lease.traceparent);
    if (traceId !== null) writes.push(...indexedForRetention(leasesOfTraceKey(shard, traceId), createdAtMs, id, settings));
  }
  // Those of live leases by the instant from which each is overdue: one of all, and one for each word that operators look for.
  const byDue = [
    dueKey(shard),
    liveOfKindKey(shard, provider, kind),
    liveOfCredentialKey(shard, credential),
    liveOfPurposeKey(shard, purpose),
    ...subjectsOf(lease).map((subject) => liveOfSubjectKey(shard, subject)),
  ];
  const wake = wakeAtMs ?? wakeAt(lease, settings.mintDeadlineMs);
  if (isFinal(state) || wake === null) {
    for (const key of [wakeKey(shard), stuckKey(shard), lapsingKey(shard), ...byDue]) writes.push(['ZREM', key, id]);
    writes.push(['SREM', taskLiveKey(taskId), id], ['EXPIRE', leaseKey(id), settings.retentionSeconds]);
    if (state === 'revoked' && lease.revocability === 'eventual') writes.push(['ZADD', keptOutKey(shard), lease.lapsesAtMs ?? lease.dueAtMs, id]);
    if (state === 'disclosed') writes.push(['ZADD', disclosedKey(shard), deadlineOf(lease), id]);
    return writes;
  }
  const overdueFromMs = overdueFrom(lease);
  writes.push(['ZADD', wakeKey(shard), wake, id]);
  for (const key of byDue) writes.push(['ZADD', key, overdueFromMs, id]);
  writes.push(state === 'stuck' ? ['ZADD', stuckKey(shard), overdueFromMs, id] : ['ZREM', stuckKey(shard), id]);
  writes.push(isLeftToLapse(lease) ? ['ZADD', lapsingKey(shard), overdueFromMs, id] : ['ZREM', lapsingKey(shard), id]);
  return writes;
}

/** Adds to an index by creation that nobody else prunes: what is older than the retention time goes, and the whole of it with the last. */
function indexedForRetention(key: string, createdAtMs: EpochMs, id: string, { retentionSeconds }: WriteSettings): Write[] {
  return [
    ['ZADD', key, createdAtMs, id],
    ['ZREMRANGEBYSCORE', key, '-inf', createdAtMs - retentionSeconds * 1000],
    ['EXPIRE', key, retentionSeconds],
  ];
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
      ...indexedForRetention(agentTasksKey(shard, task.agent), task.createdAtMs, task.id, settings),
      ...indexedForRetention(tasksOfSubjectKey(shard, task.agent.subject), task.createdAtMs, task.id, settings),
      ...subjectsOf(task).map((subject): Write => ['SADD', liveTasksOfSubjectKey(shard, subject), task.id]),
    );
    if (!sameWorkload(task.declarer, task.agent)) {
      writes.push(...indexedForRetention(agentTasksKey(shard, task.declarer), task.createdAtMs, task.id, settings));
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
