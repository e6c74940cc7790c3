import { rfc3339OrNull, toRfc3339, type EpochMs } from '../core/time.ts';
import { openJws, signJws, type SigningKeys, type VerifyingKey } from '../keys/signing-keys.ts';
import { exposureMs } from '../ledger/exposure.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';

/** What a receipt says: what became of one credential, when, and how that is known. */
export interface Receipt {
  readonly version: 1;
  readonly deployment_id: string;
  readonly lease_id: string;
  readonly task_id: string;
  readonly agent: string;
  readonly agent_issuer: string;
  readonly purpose: string;
  readonly credential: string;
  readonly provider: string;
  readonly kind: Lease['kind'];
  readonly revocability: Lease['revocability'];
  readonly outcome: 'revoked' | 'lapsed' | 'abandoned' | 'disclosed';
  readonly reason: Lease['revocationReason'];
  readonly statement: string;
  readonly minted_at: string | null;
  readonly due_at: string;
  readonly target_expires_at: string | null;
  readonly requested_at: string | null;
  readonly applied_at: string | null;
  readonly verified_at: string | null;
  readonly effective_by: string | null;
  readonly ended_at: string;
  /** Null where it is unbounded: an opened static secret. */
  readonly exposure_seconds: number | null;
  readonly attempts: number;
  readonly issued_at: string;
}

/** The receipt of an ended lease; undefined while it has not ended. */
export function receiptOf(lease: Lease, deploymentId: string, nowMs: EpochMs): Receipt | undefined {
  if (!isFinal(lease.state) || lease.finalAtMs === null) return undefined;
  const exposure = exposureMs(lease);
  return {
    version: 1,
    deployment_id: deploymentId,
    lease_id: lease.id,
    task_id: lease.taskId,
    agent: lease.agent.subject,
    agent_issuer: lease.agent.issuer,
    purpose: lease.purpose,
    credential: lease.credential,
    provider: lease.provider,
    kind: lease.kind,
    revocability: lease.revocability,
    outcome: lease.state as Receipt['outcome'],
    reason: lease.revocationReason,
    statement: statementOf(lease),
    minted_at: rfc3339OrNull(lease.activatedAtMs),
    due_at: toRfc3339(lease.dueAtMs),
    target_expires_at: rfc3339OrNull(lease.targetExpiresAtMs),
    requested_at: rfc3339OrNull(lease.revocationDueAtMs),
    applied_at: rfc3339OrNull(lease.appliedAtMs),
    verified_at: rfc3339OrNull(lease.verifiedAtMs),
    effective_by: rfc3339OrNull(lease.effectiveByMs),
    ended_at: toRfc3339(lease.finalAtMs),
    exposure_seconds: exposure === null ? null : exposure / 1000,
    attempts: lease.attempts,
    issued_at: toRfc3339(nowMs),
  };
}

/** How the end is known, in words, and no more than is known. */
function statementOf({ state, verifiedAtMs, effectiveByMs, kind }: Lease): string {
  switch (state) {
    case 'revoked':
      if (effectiveByMs !== null) return 'The target took a deny of this credential and showed it when asked again; it enforces it everywhere by effective_by.';
      if (verifiedAtMs !== null) return 'The target ended it, was asked again, and knew it no longer.';
      return kind === 'jwt' ? 'Every check of it asks Mayfly, and is answered no since then.' : 'The target confirmed that nothing of it is left.';
    case 'lapsed':
      return "Nothing ended it early: the target's own clock did.";
    case 'disclosed':
      return 'Its secret was opened, or nobody can say that it was not. Only rotating the secret ends it.';
    default:
      return 'It was never minted.';
  }
}

/** The receipt as a compact JWS, signed by the first key. */
export const signReceipt = (receipt: Receipt, [key]: SigningKeys): string => signJws(receipt, key, 'mayfly-receipt');

/** The receipt that one of these keys signed; undefined for any other text. */
export const openReceipt = (jws: string, keys: readonly VerifyingKey[]): Receipt | undefined => openJws(jws, keys, 'mayfly-receipt') as Receipt | undefined;
