import type { AuditEvent, SealedEvent } from '../audit/audit-event.ts';
import { toRfc3339 } from '../core/time.ts';
import { keptTrace } from '../telemetry/trace-context.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Lease } from './lease.ts';
import { exposureMs } from './exposure.ts';
import type { EndEvidence, LeaseChange } from './lease-transitions.ts';

/** What the audit log says of a lease. */
export const leaseFacts = (lease: Lease): Record<string, unknown> => ({
  lease: lease.id,
  credential: lease.credential,
  provider: lease.provider,
  kind: lease.kind,
  revocability: lease.revocability,
  decision: lease.decisionId,
  ...(lease.touches.length === 0 ? {} : { touches: lease.touches }),
  due_at: toRfc3339(lease.dueAtMs),
  ...(lease.toolCall === null ? {} : { tool_call: lease.toolCall }),
  ...(lease.targetExpiresAtMs === null ? {} : { target_expires_at: toRfc3339(lease.targetExpiresAtMs) }),
});

const TYPE_OF = {
  activated: 'lease.activated',
  renewal_intended: 'lease.renewing',
  renewed: 'lease.renewed',
  abandoned: 'lease.abandoned',
  end_requested: 'lease.revoking',
  revoked: 'lease.revoked',
  lapsed: 'lease.lapsed',
  disclosed: 'lease.disclosed',
  left_to_lapse: 'lease.lapsing',
  attempt_failed: 'lease.revocation_failed',
  retry_requested: 'lease.revoking',
  acknowledged: 'lease.acknowledged',
} as const satisfies Record<LeaseChange['type'], AuditEvent['type']>;

const evidenceFacts = ({ appliedAtMs, verifiedAtMs, effectiveByMs, seenUnopenedAtMs }: EndEvidence): Record<string, string> => {
  const instants = { applied_at: appliedAtMs, verified_at: verifiedAtMs, effective_by: effectiveByMs, seen_unopened_at: seenUnopenedAtMs };
  return Object.fromEntries(Object.entries(instants).flatMap(([name, ms]) => (ms === undefined ? [] : [[name, toRfc3339(ms)]])));
};

type EventInput = Pick<AuditEvent, 'type' | 'task' | 'leases' | 'agent' | 'by' | 'facts'> & Pick<Lease, 'traceparent'>;

/** The event for one change of one lease; `exposure_ms` is how long it stayed usable after it should have ended. */
export function settleEvent(
  after: Lease,
  change: LeaseChange,
  by: WorkloadId,
  seal: (input: EventInput) => SealedEvent,
): SealedEvent {
  const ended = change.type === 'revoked' || change.type === 'lapsed';
  return seal({
    type: after.state === 'stuck' && change.type !== 'acknowledged' ? 'lease.stuck' : TYPE_OF[change.type],
    task: after.taskId,
    leases: [after.id],
    agent: after.agent,
    by,
    ...keptTrace(after),
    facts: {
      purpose: after.purpose,
      ...leaseFacts(after),
      ...(after.revocationReason === null ? {} : { reason: after.revocationReason }),
      ...(ended ? { exposure_ms: exposureMs(after), attempts: after.attempts } : {}),
      ...(change.type === 'revoked' ? evidenceFacts(change) : {}),
      ...(change.type === 'disclosed' ? { exposure: 'unbounded', attempts: after.attempts } : {}),
      ...(change.type === 'attempt_failed' ? { failure: change.failure, next_try_at: toRfc3339(change.nextTryAtMs) } : {}),
      ...(change.type === 'acknowledged' ? { acknowledged: change.reason } : {}),
      ...(change.type === 'left_to_lapse' ? { lapses_at: toRfc3339(change.lapsesAtMs) } : {}),
    },
  });
}
