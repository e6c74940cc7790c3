import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { Lease } from '../ledger/lease.ts';
import { deadlineOf } from '../ledger/lease-transitions.ts';
import type { Answer } from './answer-schemas.ts';
import type { leaseSchema } from './lease-schemas.ts';

const instant = (ms: EpochMs | null): string | null => (ms === null ? null : toRfc3339(ms));

/** A lease as operators see it. */
export const leaseView = (lease: Lease): Answer<typeof leaseSchema> => ({
  id: lease.id,
  task_id: lease.taskId,
  agent: lease.agent.subject,
  agent_issuer: lease.agent.issuer,
  purpose: lease.purpose,
  credential: lease.credential,
  kind: lease.kind,
  provider: lease.provider,
  state: lease.state,
  revocability: lease.revocability,
  created_at: toRfc3339(lease.createdAtMs),
  activated_at: instant(lease.activatedAtMs),
  expires_at: toRfc3339(lease.dueAtMs),
  target_expires_at: instant(lease.targetExpiresAtMs),
  revocation_reason: lease.revocationReason,
  revocation_due_at: instant(lease.revocationDueAtMs),
  attempts: lease.attempts,
  next_try_at: instant(lease.nextTryAtMs),
  last_failure: lease.lastFailure,
  ended_at: instant(lease.finalAtMs),
  exposure_seconds: lease.finalAtMs === null || lease.state === 'disclosed' ? null : Math.max(0, lease.finalAtMs - deadlineOf(lease)) / 1000,
  exposure_unbounded: lease.state === 'disclosed',
  tool_call: lease.toolCall,
});
