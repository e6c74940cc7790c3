import { shardOf, type TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { isWaiting, type EndReason, type Task } from '../task/task.ts';
import { taskAllows, taskTransition } from '../task/task-transitions.ts';
import { isFinal, type RevocationReason } from './lease.ts';
import { allows, transition } from './lease-transitions.ts';
import { latenessWrites } from './lateness.ts';
import type { Ledger } from './ledger.ts';
import { leaseAt, taskAt, type LedgerSteps } from './ledger-steps.ts';
import { leaseWrites, taskWrites } from './record-writes.ts';
import { taskLiveKey } from './redis-keys.ts';
import { settleEvent } from './settle-event.ts';
import { treeAt } from './tree-steps.ts';

type Ending = Pick<Ledger, 'endTask' | 'endLease' | 'changeLease' | 'settle' | 'finishTask'>;

/** Who the ledger itself is in the audit log. */
const LEDGER: WorkloadId = { issuer: 'mayfly', subject: 'ledger' };

/** The steps that end things. None is guarded: what must die, dies, whatever the clock or the audit log is doing. */
export function createEnding(steps: LedgerSteps, room: Pick<Ledger, 'release' | 'releaseDue' | 'releaseWaiting'>): Ending {
  const { clock, reads, settings, event, taskEvent, commit, untilSettled } = steps;

  async function endTaskOnce(...[id, reason, by, facts]: Parameters<Ledger['endTask']>): Promise<Task | null | 'conflict'> {
    const nowMs = clock.now();
    const task = await reads.getTask(id);
    if (task === null || !taskAllows(task.state, 'end_requested')) return task;
    const { tree, ids } = await reads.tasksBelow(task);
    const below = await reads.getTasks(ids);
    const children = below.filter((child) => child !== null).filter((child) => taskAllows(child.state, 'end_requested'));
    const own = await endOne(task, reason, by, facts, nowMs);
    const ends = [own, ...(await Promise.all(children.map((child) => endOne(child, 'parent_ended', by, { ended_with: id, ...facts }, nowMs))))];
    const result = await commit({
      shard: shardOf(id),
      nowMs,
      // A task that is delegated meanwhile changes the tree: it must not be missed.
      expect: [...(tree === null ? [] : [treeAt(tree)]), ...ends.flatMap(({ expect }) => expect)],
      writes: ends.flatMap(({ writes }) => writes),
      events: ends.flatMap(({ events }) => events),
    });
    if (result.outcome !== 'ok') return 'conflict';
    const waiting = [task, ...children].flatMap(({ declarer, state, id: one }) => (isWaiting(state) ? [room.releaseWaiting(declarer, state, one)] : []));
    await Promise.allSettled(waiting);
    return own.next;
  }

  /** What the end of one task changes, its leases included. */
  async function endOne(task: Task, reason: EndReason, by: WorkloadId, facts: Readonly<Record<string, unknown>> | undefined, nowMs: EpochMs) {
    const leases = await reads.leasesOfTask(task.id);
    const ending = leases
      .filter((lease) => allows(lease.state, 'end_requested'))
      .map((lease) => ({ before: lease, after: transition(lease, { type: 'end_requested', atMs: nowMs, reason: leaseReason(reason) }) }));
    let next = taskTransition(task, { type: 'end_requested', reason });
    const events = [taskEvent(nowMs, 'task.ending', next, by, ending.map(({ after }) => after.id), { reason, ...facts })];
    if (leases.every((lease) => isFinal(lease.state))) {
      next = taskTransition(next, { type: 'ended', atMs: nowMs });
      events.push(taskEvent(nowMs, 'task.ended', next, by, [], { reason }));
    }
    return {
      next,
      expect: [taskAt(task), ...ending.map(({ before }) => leaseAt(before))],
      writes: [...taskWrites(next, false, nowMs, settings), ...ending.flatMap(({ after }) => leaseWrites(after, false, settings, nowMs))],
      events,
    };
  }

  const finishTask = (id: TaskId): Promise<void> =>
    untilSettled<undefined>(async () => {
      const nowMs = clock.now();
      const task = await reads.getTask(id);
      if (task?.state !== 'ending') return undefined;
      const leases = await reads.leasesOfTask(id);
      const ended = leases.every((lease) => isFinal(lease.state));
      const next = ended ? taskTransition(task, { type: 'ended', atMs: nowMs }) : task;
      const result = await commit({
        shard: shardOf(id),
        nowMs,
        expect: [taskAt(task)],
        writes: taskWrites(next, false, nowMs, settings),
        events: ended ? [taskEvent(nowMs, 'task.ended', next, LEDGER, [], { reason: task.endReason })] : [],
      });
      return result.outcome === 'ok' ? undefined : 'conflict';
    });

  const settleWith = async (...[lease, change, by, claimUntilMs, facts]: [...Parameters<Ledger['settle']>, facts?: Readonly<Record<string, unknown>>]): Promise<'ok' | 'conflict'> => {
    const nowMs = clock.now();
    const after = transition(lease, change);
    const result = await commit({
      shard: shardOf(lease.id),
      nowMs,
      expect: [leaseAt(lease)],
      writes: leaseWrites(after, false, settings, claimUntilMs),
      events: [settleEvent(after, change, by, (input) => event(nowMs, { ...input, facts: { ...input.facts, ...facts } }))],
      tally: latenessWrites(after, nowMs),
      count: [taskLiveKey(lease.taskId)],
    });
    if (result.outcome !== 'ok') return 'conflict';
    if (isFinal(after.state)) {
      // Room under the limit also frees itself at the due time; a lost release must not fail a settled lease.
      await Promise.allSettled([room.release(lease.agent, [lease.id]), room.releaseDue(lease.provider, [lease.id])]);
      if (result.counts[0] === 0) await finishTask(lease.taskId);
    }
    return 'ok';
  };

  const changeLease: Ledger['changeLease'] = (id, change, by, facts) =>
    untilSettled(async () => {
      const lease = await reads.getLease(id);
      if (lease === null || !allows(lease.state, change.type)) return lease;
      return (await settleWith(lease, change, by, undefined, facts)) === 'ok' ? transition(lease, change) : 'conflict';
    });

  return {
    finishTask,
    changeLease,
    settle: settleWith,
    endTask: (...args) => untilSettled(() => endTaskOnce(...args)),
    endLease: (id, reason, by, facts) => changeLease(id, { type: 'end_requested', atMs: clock.now(), reason }, by, facts),
  };
}

/** Why the leases of a task end, given why the task does. */
function leaseReason(reason: EndReason): RevocationReason {
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
