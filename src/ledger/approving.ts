import { shardOf } from '../core/ids.ts';
import { rfc3339OrNull } from '../core/time.ts';
import type { Approval } from '../task/task.ts';
import { taskTransition } from '../task/task-transitions.ts';
import type { Ledger } from './ledger.ts';
import { taskAt, type LedgerSteps } from './ledger-steps.ts';
import { taskWrites } from './record-writes.ts';

type Approving = Pick<Ledger, 'approveTask' | 'denyTask'>;

/** The steps by which humans decide about a task. A yes is guarded as a grant is; a no stands in no guard's way. */
export function createApproving(steps: LedgerSteps, room: Pick<Ledger, 'reserveWaiting' | 'releaseWaiting'>): Approving {
  const { clock, settings, taskEvent, commit, commitGrant } = steps;

  return {
    async approveTask(task, approval, claimUntilMs) {
      const nowMs = clock.now();
      const next = taskTransition(task, { type: 'approved', approval, claimUntilMs });
      const moves = next.state === 'pending_claim';
      // Its room among what waits for a human was bounded already: an approval is not lost because much waits for a claim.
      if (moves) await room.reserveWaiting(task.declarer, 'pending_claim', task.id, claimUntilMs, Number.MAX_SAFE_INTEGER);
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        by: approval.by,
        scope: { task, credentials: task.credentials.map(({ name }) => ({ credential: name })) },
        expect: [taskAt(task)],
        writes: taskWrites(next, false, nowMs, settings),
        events: [
          taskEvent(nowMs, 'task.approved', next, approval.by, [], {
            ...decisionOf(approval),
            state: next.state,
            approvals: next.approval?.given.length ?? 0,
            approvals_needed: next.approval?.needed ?? 0,
            waits_until: rfc3339OrNull(next.waitsUntilMs),
          }),
        ],
      });
      if (outcome !== 'ok') return null;
      // Room that cannot be given back now frees itself when the wait would have ended.
      if (moves) await room.releaseWaiting(task.declarer, 'pending_approval', task.id).catch(() => undefined);
      return next;
    },

    async denyTask(task, denial) {
      const nowMs = clock.now();
      const ending = taskTransition(task, { type: 'end_requested', reason: 'denied' });
      const next = taskTransition(ending, { type: 'ended', atMs: nowMs });
      const result = await commit({
        shard: shardOf(task.id),
        nowMs,
        expect: [taskAt(task)],
        writes: taskWrites(next, false, nowMs, settings),
        events: [
          taskEvent(nowMs, 'task.approval_denied', next, denial.by, [], decisionOf(denial)),
          taskEvent(nowMs, 'task.ended', next, denial.by, [], { reason: 'denied' }),
        ],
      });
      if (result.outcome !== 'ok') return null;
      await room.releaseWaiting(task.declarer, 'pending_approval', task.id).catch(() => undefined);
      return next;
    },
  };
}

const decisionOf = ({ note, digest }: Approval): { note: string | null; envelope_digest: string } => ({ note, envelope_digest: digest });
