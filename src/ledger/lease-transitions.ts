import type { EpochMs } from '../core/time.ts';
import { isFinal, type Handle, type Lease, type LeaseIntent, type LeaseState, type RevocationReason } from './lease.ts';

/** What can happen to a lease. The table below says from which states. */
export type LeaseChange =
  | { readonly type: 'activated'; readonly atMs: EpochMs; readonly handle: Handle; readonly targetExpiresAtMs: EpochMs; readonly lapsesAtMs: EpochMs | null }
  /** The target is about to be asked for more time: until it has answered, the longest it can give counts. */
  | { readonly type: 'renewal_intended'; readonly lapsesAtMs: EpochMs }
  | { readonly type: 'renewed'; readonly dueAtMs: EpochMs; readonly targetExpiresAtMs: EpochMs; readonly lapsesAtMs: EpochMs }
  | { readonly type: 'abandoned'; readonly atMs: EpochMs }
  | { readonly type: 'end_requested'; readonly atMs: EpochMs; readonly reason: RevocationReason; readonly minted?: MintedFacts }
  | ({ readonly type: 'revoked'; readonly atMs: EpochMs } & EndEvidence)
  | { readonly type: 'lapsed'; readonly atMs: EpochMs }
  /** A static secret was opened, or may have been: nothing ends it but a rotation. */
  | { readonly type: 'disclosed'; readonly atMs: EpochMs }
  /** The target cannot end it early: wait for its own clock. */
  | { readonly type: 'left_to_lapse'; readonly lapsesAtMs: EpochMs }
  | { readonly type: 'attempt_failed'; readonly nextTryAtMs: EpochMs; readonly failure: string; readonly stuck: boolean }
  | { readonly type: 'retry_requested'; readonly atMs: EpochMs }
  /** A person has seen that it is overdue. It stays so, is counted so, and is tried as before. */
  | { readonly type: 'acknowledged'; readonly atMs: EpochMs; readonly by: string; readonly reason: string };

/** What the target said of a revocation, where it said it. */
export interface EndEvidence {
  readonly appliedAtMs?: EpochMs;
  readonly verifiedAtMs?: EpochMs;
  readonly effectiveByMs?: EpochMs;
  /** Of what is handed over wrapped: when the target last said that nobody had opened it. */
  readonly seenUnopenedAtMs?: EpochMs;
}

/** Known of a credential that was minted but never activated. */
export interface MintedFacts {
  readonly handle: Handle;
  readonly targetExpiresAtMs: EpochMs;
  /** Null: no clock of the target ends it. */
  readonly lapsesAtMs: EpochMs | null;
}

const ALLOWED_FROM: Readonly<Record<LeaseChange['type'], readonly LeaseState[]>> = {
  activated: ['intended'],
  renewal_intended: ['active'],
  renewed: ['active'],
  abandoned: ['intended'],
  end_requested: ['intended', 'active'],
  revoked: ['revoking', 'stuck'],
  lapsed: ['active', 'revoking', 'stuck'],
  disclosed: ['revoking', 'stuck'],
  left_to_lapse: ['revoking', 'stuck'],
  attempt_failed: ['revoking', 'stuck'],
  retry_requested: ['stuck'],
  acknowledged: ['stuck'],
};

/** A change that the lease's state does not allow; the caller worked on an old picture. */
export class IllegalTransition extends Error {
  override readonly name = 'IllegalTransition';
}

/** Whether a change is allowed from a state. */
export const allows = (state: LeaseState, change: LeaseChange['type']): boolean => ALLOWED_FROM[change].includes(state);

/** A lease as it is first written, before anything is minted. */
export function intendedLease(intent: LeaseIntent): Lease {
  return {
    ...intent,
    state: 'intended',
    generation: 1,
    handle: null,
    activatedAtMs: null,
    targetExpiresAtMs: null,
    lapsesAtMs: null,
    revocationReason: null,
    revocationDueAtMs: null,
    attempts: 0,
    nextTryAtMs: null,
    finalAtMs: null,
    appliedAtMs: null,
    verifiedAtMs: null,
    effectiveByMs: null,
    acknowledged: null,
    lastFailure: null,
  };
}

/**
 * The lease after a change; one generation up. Pure: the ledger writes the result only if the stored generation is
 * still the one this was computed from. Throws `IllegalTransition`.
 */
export function transition(lease: Lease, change: LeaseChange): Lease {
  if (!allows(lease.state, change.type)) {
    throw new IllegalTransition(`a lease that is ${lease.state} cannot be ${change.type}`);
  }
  const next = { ...lease, generation: lease.generation + 1 };
  switch (change.type) {
    case 'activated':
      return {
        ...next,
        state: 'active',
        activatedAtMs: change.atMs,
        handle: change.handle,
        targetExpiresAtMs: change.targetExpiresAtMs,
        lapsesAtMs: change.lapsesAtMs,
      };
    case 'renewal_intended':
      return { ...next, lapsesAtMs: Math.max(change.lapsesAtMs, lease.lapsesAtMs ?? 0) as EpochMs };
    case 'renewed':
      // Never earlier: a renewal that was intended before and not answered may still take effect.
      return { ...next, dueAtMs: change.dueAtMs, targetExpiresAtMs: change.targetExpiresAtMs, lapsesAtMs: Math.max(change.lapsesAtMs, lease.lapsesAtMs ?? 0) as EpochMs };
    case 'abandoned':
      return { ...next, state: 'abandoned', finalAtMs: change.atMs };
    case 'end_requested':
      return {
        ...next,
        ...(change.minted ?? {}),
        state: 'revoking',
        revocationReason: change.reason,
        revocationDueAtMs: Math.min(change.atMs, lease.dueAtMs) as EpochMs,
      };
    case 'revoked':
      return {
        ...next,
        state: 'revoked',
        finalAtMs: change.atMs,
        nextTryAtMs: null,
        appliedAtMs: change.appliedAtMs ?? change.atMs,
        verifiedAtMs: change.verifiedAtMs ?? null,
        effectiveByMs: change.effectiveByMs ?? null,
      };
    case 'lapsed':
    case 'disclosed':
      return { ...next, state: change.type, finalAtMs: change.atMs, nextTryAtMs: null };
    case 'left_to_lapse':
      return { ...next, state: 'revoking', attempts: lease.attempts + 1, nextTryAtMs: change.lapsesAtMs, lapsesAtMs: change.lapsesAtMs };
    case 'attempt_failed':
      return {
        ...next,
        state: change.stuck ? 'stuck' : 'revoking',
        attempts: lease.attempts + 1,
        nextTryAtMs: change.nextTryAtMs,
        lastFailure: change.failure,
      };
    case 'retry_requested':
      return { ...next, state: 'revoking', nextTryAtMs: change.atMs };
    case 'acknowledged':
      return { ...next, acknowledged: { by: change.by, atMs: change.atMs, reason: change.reason } };
    default:
      return change satisfies never;
  }
}

/** When the sweep must next look at a lease, or null when it is final. `mintDeadlineMs`: how long a mint may take. */
export function wakeAt(lease: Lease, mintDeadlineMs: number): EpochMs | null {
  if (isFinal(lease.state)) return null;
  switch (lease.state) {
    case 'intended':
      return (lease.createdAtMs + mintDeadlineMs) as EpochMs;
    case 'active':
      return lease.dueAtMs;
    default:
      return lease.nextTryAtMs ?? lease.revocationDueAtMs ?? lease.dueAtMs;
  }
}

/** The instant by which the lease must be dead. */
export const deadlineOf = (lease: Lease): EpochMs => lease.revocationDueAtMs ?? lease.dueAtMs;

/** Whether nothing ends it any more but its target's clock: it was to end, and the target cannot end it early. */
export const isLeftToLapse = ({ state, nextTryAtMs, lapsesAtMs }: Lease): boolean => state === 'revoking' && lapsesAtMs !== null && nextTryAtMs === lapsesAtMs;

/** The instant from which a live lease is overdue: when it must be dead, or where it is left to its target's clock, when that must have ended it. */
export const overdueFrom = (lease: Lease): EpochMs => (isLeftToLapse(lease) && lease.lapsesAtMs !== null ? lease.lapsesAtMs : deadlineOf(lease));
