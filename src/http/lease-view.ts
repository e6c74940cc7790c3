import { toRfc3339, type EpochMs } from '../core/time.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import { exposureMs } from '../ledger/exposure.ts';
import type { RevocationRecord } from '../ledger/ledger.ts';
import type { Answer } from './answer-schemas.ts';
import type { dryRunSchema, leaseSchema, revocationResultSchema, revocationSchema } from './lease-schemas.ts';

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

/** What became of one lease of a revocation. Until it is final, it says how long the credential may still live. */
const resultView = (lease: Lease): Answer<typeof revocationResultSchema> => ({
  lease_id: lease.id,
  task_id: lease.taskId,
  credential: lease.credential,
  agent: lease.agent.subject,
  state: lease.state,
  revocability: lease.revocability,
  may_live_until: isFinal(lease.state) ? null : instant(lease.lapsesAtMs ?? lease.targetExpiresAtMs ?? lease.dueAtMs),
});

/** A revocation with its progress, read from the leases as they now are. */
export function revocationView(record: RevocationRecord, leases: readonly Lease[]): Answer<typeof revocationSchema> {
  const ended = leases.filter((lease) => isFinal(lease.state)).length;
  return {
    id: record.id,
    state: ended === leases.length ? 'done' : 'running',
    selector: record.selector,
    reason: record.reason,
    dry_run: false,
    requested_by: record.by.subject,
    created_at: toRfc3339(record.createdAtMs),
    progress: { total: leases.length, ended, pending: leases.length - ended, tasks: record.tasks.length },
    results: leases.map(resultView),
  };
}

/** What a revocation would do. */
export const dryRunView = (selector: Readonly<Record<string, unknown>>, reason: string, leases: readonly Lease[], tasks: number): Answer<typeof dryRunSchema> => ({
  id: null,
  state: 'dry_run',
  selector,
  reason,
  dry_run: true,
  progress: { total: leases.length, ended: 0, pending: leases.length, tasks },
  results: leases.map(resultView),
});
