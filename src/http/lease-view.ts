import type { AgentTag } from '../agents/agent-directory.ts';
import { rfc3339OrNull, toRfc3339 } from '../core/time.ts';
import type { Lease } from '../ledger/lease.ts';
import { exposureMs } from '../ledger/exposure.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import type { Answer } from './answer-schemas.ts';
import type { leaseSchema } from './lease-schemas.ts';

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** A lease as operators see it. */
export const leaseView = (lease: Lease, { owner, reviewOverdue, disabled }: AgentTag): Answer<typeof leaseSchema> => ({
  id: lease.id,
  task_id: lease.taskId,
  agent: lease.agent.subject,
  agent_issuer: lease.agent.issuer,
  owner,
  review_overdue: reviewOverdue,
  agent_disabled: disabled,
  purpose: lease.purpose,
  credential: lease.credential,
  kind: lease.kind,
  provider: lease.provider,
  state: lease.state,
  revocability: lease.revocability,
  created_at: toRfc3339(lease.createdAtMs),
  activated_at: rfc3339OrNull(lease.activatedAtMs),
  expires_at: toRfc3339(lease.dueAtMs),
  target_expires_at: rfc3339OrNull(lease.targetExpiresAtMs),
  revocation_reason: lease.revocationReason,
  revocation_due_at: rfc3339OrNull(lease.revocationDueAtMs),
  attempts: lease.attempts,
  next_try_at: rfc3339OrNull(lease.nextTryAtMs),
  last_failure: lease.lastFailure,
  ended_at: rfc3339OrNull(lease.finalAtMs),
  applied_at: rfc3339OrNull(lease.appliedAtMs),
  verified_at: rfc3339OrNull(lease.verifiedAtMs),
  effective_by: rfc3339OrNull(lease.effectiveByMs),
  exposure_seconds: inSeconds(exposureMs(lease)),
  exposure_unbounded: lease.state === 'disclosed',
  acknowledged: lease.acknowledged === null ? null : { by: lease.acknowledged.by, at: toRfc3339(lease.acknowledged.atMs), reason: lease.acknowledged.reason },
  tool_call: lease.toolCall,
  trace_id: traceIdOf(lease.traceparent),
});
