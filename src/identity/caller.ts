import type { SessionId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { Presented } from './presented.ts';

/**
 * Who a workload is: an issuer and the subject it vouches for. Two issuers can utter the same subject, so ownership is
 * always compared on both. For a JWT-SVID the issuer is the trust domain, as `spiffe://example.org`.
 */
export interface WorkloadId {
  readonly issuer: string;
  readonly subject: string;
}

/** What a token says of its workload besides who it is, where its issuer is configured for that: for the record. */
export interface WorkloadAttributes {
  readonly owner: string | null;
  readonly environment: string | null;
}

/** A program that proved who it is, for this one call. */
export interface Workload extends WorkloadId {
  readonly kind: 'workload';
  /** The instance the token names (pod UID, run id), or the thumbprint of the key that this call proved to hold; null without either. */
  readonly instance: string | null;
  /** Whether this call proved possession of a key that the identity is bound to: by DPoP (RFC 9449) or by mTLS. */
  readonly senderBound: boolean;
  /** Undefined where its issuer is configured for none. */
  readonly attributes?: WorkloadAttributes;
  readonly tokenExpiresAtMs: EpochMs;
}

/** Ordered from least to most: each role may do all that those before it may. */
export const OPERATOR_ROLES = ['viewer', 'operator', 'admin'] as const;
export type OperatorRole = (typeof OPERATOR_ROLES)[number];

/** A human operator, from the operator issuer. Never declares, claims or receives a secret. */
export interface Operator extends WorkloadId {
  readonly kind: 'operator';
  readonly role: OperatorRole;
  /** Of a session, when that ends. */
  readonly tokenExpiresAtMs: EpochMs;
  /** Of a person who signed in, in place of a token. */
  readonly session?: { readonly id: SessionId; readonly endsAtMs: EpochMs; readonly idleEndsAtMs: EpochMs };
}

export type Caller = Workload | Operator;

/** Whether two identities are the same workload. */
export function sameWorkload(a: WorkloadId, b: WorkloadId): boolean {
  return a.issuer === b.issuer && a.subject === b.subject;
}

/** Proves who is calling. */
export interface Authenticator {
  /**
   * Throws `invalid_token`, `invalid_dpop_proof`, `use_dpop_nonce`, `session_ended`, `cross_site_request`, `identity_unavailable`, `ledger_unavailable` where it cannot
   * be known whether this was used before, or `forbidden` for an operator without a role.
   */
  authenticate(presented: Presented): Promise<Caller>;
  /** Whether what was accepted at the beginning of a request that lasts would still be: proofs and uses are not asked for again. Throws as above. */
  recheck(presented: Presented): Promise<Caller>;
}
