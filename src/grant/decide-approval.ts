import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { shardOf } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { ownPart, sameHuman, envelopeDigest } from '../task/approval.ts';
import { freeText, parse } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';

/** What a human answers to a task that waits for approval. */
export const approvalRequest = z.strictObject({
  decision: z.enum(['approve', 'deny']).describe('`deny` ends the task'),
  note: freeText.optional().describe('for the record'),
  digest: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/, 'the `envelope_digest` of the approval, as sha256: and 64 hexadecimal digits')
    .optional()
    .describe('of the envelope that was looked at: where the task is another, nothing is decided'),
});
export type ApprovalRequest = z.infer<typeof approvalRequest>;
export const parseApprovalRequest = (body: unknown): ApprovalRequest => parse(approvalRequest, body);

export interface DecideApprovalDeps {
  readonly ledger: Pick<Ledger, 'getTask' | 'approveTask' | 'denyTask' | 'recordEvent'>;
  readonly clock: Clock;
  /** How long an approved task waits for its agent. */
  readonly claimWindowSeconds: number;
}

/** Other humans may decide at the same moment; as many as are ever asked, and then some. */
const ATTEMPTS = 10;

/**
 * One human's yes or no to a task that waits for it, bound to its id and to the digest of all that it declares. Enough different
 * humans make it wait for its claim; one no ends it. The same yes twice counts once and answers the same. Throws
 * `approval_refused`, on the record, for whoever asked for the task, acts in it or profits from it; `envelope_changed`;
 * `not_approvable`.
 */
export async function decideApproval(task: Task, request: ApprovalRequest, by: WorkloadId, deps: DecideApprovalDeps): Promise<Task> {
  const part = ownPart(task, by);
  if (part !== null) {
    await deps.ledger.recordEvent({
      shard: shardOf(task.id),
      type: 'task.approval_refused',
      task: task.id,
      agent: task.agent,
      by,
      facts: { purpose: task.purpose, decision_asked: request.decision, note: request.note ?? null, reason: `the human is ${part}`, envelope_digest: envelopeDigest(task) },
    });
    throw new Problem('approval_refused', `the caller is ${part}: somebody else has to decide about it`);
  }
  let current: Task | null = task;
  for (let attempt = 0; attempt < ATTEMPTS && current !== null; attempt += 1) {
    const decided = await decideOnce(current, request, by, deps);
    if (decided !== null) return decided;
    current = await deps.ledger.getTask(task.id);
  }
  throw new Problem('not_approvable', 'the task keeps changing; look at it and decide again');
}

/** Null when the task changed meanwhile. */
async function decideOnce(task: Task, { decision, note, digest }: ApprovalRequest, by: WorkloadId, { ledger, clock, claimWindowSeconds }: DecideApprovalDeps): Promise<Task | null> {
  const nowMs = clock.now();
  const ours = envelopeDigest(task);
  if (digest !== undefined && digest !== ours) {
    throw new Problem('envelope_changed', 'the digest is not that of what this task declares: look at it again, and decide about what it is');
  }
  if (decision === 'approve' && task.endReason === null && task.approval?.given.some((one) => sameHuman(one.by, by)) === true) return task;
  if (task.state !== 'pending_approval') throw new Problem('not_approvable', `the task is ${task.state}${task.endReason === null ? '' : ` (${task.endReason})`}`);
  if (task.waitsUntilMs !== null && nowMs >= task.waitsUntilMs) throw new Problem('not_approvable', 'its approval window has passed');
  const answer = { by: { issuer: by.issuer, subject: by.subject }, atMs: nowMs, note: note ?? null, digest: ours };
  return decision === 'approve' ? ledger.approveTask(task, answer, addSeconds(nowMs, claimWindowSeconds)) : ledger.denyTask(task, answer);
}
