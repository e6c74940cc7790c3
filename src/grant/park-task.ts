import { createHash, randomBytes } from 'node:crypto';
import { Problem } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { HeldSlot } from '../ledger/idempotency.ts';
import type { Delegation } from '../ledger/ledger.ts';
import type { TaskEnvelope } from '../task/task.ts';
import type { JointDecision } from './decide-credentials.ts';
import type { DeclaredTask } from './declare-task.ts';
import { decisionFacts } from './deny.ts';
import type { GrantDeps } from './grant-deps.ts';

/** 256 bits: not to be guessed, and known to nobody but the declarer and whom it tells. */
const TICKET_BYTES = 32;

/** What is kept of a claim ticket. */
export const ticketDigest = (ticket: string): string => createHash('sha256').update(ticket).digest('base64url');

/**
 * Writes a permitted task that waits: for a human where policy wants an approval, else for its agent's claim. Throws
 * `limit_exceeded` when too many of this declarer's tasks wait already.
 */
export async function parkTask(
  envelope: Omit<TaskEnvelope, 'decision'>,
  decision: JointDecision,
  { withTicket, under, facts = {} }: { readonly withTicket: boolean; readonly under?: Delegation; readonly facts?: Readonly<Record<string, unknown>> },
  deps: Pick<GrantDeps, 'ledger' | 'limits'>,
  slot?: HeldSlot,
): Promise<DeclaredTask> {
  const { limits, ledger } = deps;
  const state = decision.summary.result === 'approval_required' ? 'pending_approval' : 'pending_claim';
  const needsApproval = state === 'pending_approval';
  const waitsUntilMs = addSeconds(envelope.createdAtMs, needsApproval ? limits.approval_window_seconds : limits.claim_window_seconds);
  // An approved task still has its claim window before its lifetime begins.
  const latestMs = addSeconds(waitsUntilMs, (needsApproval ? limits.claim_window_seconds : 0) + envelope.ttlSeconds);
  const expiresAtMs = Math.min(latestMs, under?.parent.expiresAtMs ?? latestMs) as EpochMs;
  const limit = needsApproval ? limits.waiting_approvals_per_agent : limits.waiting_claims_per_agent;
  if (!(await ledger.reserveWaiting(envelope.declarer, state, envelope.id, waitsUntilMs, limit))) {
    throw new Problem('limit_exceeded', `${limit} tasks of this declarer are ${state} already; complete some, or wait`, { retryAfterSeconds: 30 });
  }
  const ticket = withTicket ? randomBytes(TICKET_BYTES).toString('base64url') : undefined;
  const waiting: TaskEnvelope = {
    ...envelope,
    waitsUntilMs,
    expiresAtMs,
    claimTicketSha256: ticket === undefined ? null : ticketDigest(ticket),
    decision: decision.summary,
  };
  try {
    const task = await ledger.parkTask(waiting, state, envelope.declarer, { ...facts, ...decisionFacts(decision) }, slot, under);
    return { task, granted: [], ...(ticket === undefined ? {} : { claimTicket: ticket }) };
  } catch (error) {
    // Room that cannot be given back now frees itself when the wait would have ended.
    await ledger.releaseWaiting(envelope.declarer, state, envelope.id).catch(() => undefined);
    throw error;
  }
}
