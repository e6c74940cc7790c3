import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { Lease } from '../ledger/lease.ts';
import { exposureMs } from '../ledger/exposure.ts';
import type { Answer } from './answer-schemas.ts';
import type { leaseSchema } from './lease-schemas.ts';

const instant = (ms: EpochMs | null): string | null => (ms === null ? null : toRfc3339(ms));

const inSeconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

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
  applied_at: instant(lease.appliedAtMs),
  verified_at: instant(lease.verifiedAtMs),
  effective_by: instant(lease.effectiveByMs),
  exposure_seconds: inSeconds(exposureMs(lease)),
  exposure_unbounded: lease.state === 'disclosed',
  acknowledged: lease.acknowledged === null ? null : { by: lease.acknowledged.by, at: toRfc3339(lease.acknowledged.atMs), reason: lease.acknowledged.reason },
  tool_call: lease.toolCall,
});
