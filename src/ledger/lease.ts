import type { LeaseId, TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { DelegationLink } from '../task/task.ts';

export const LEASE_STATES = [
  'intended',
  'active',
  'revoking',
  'stuck',
  'revoked',
  'lapsed',
  'abandoned',
  'disclosed',
] as const;
export type LeaseState = (typeof LEASE_STATES)[number];

/** States that never change again; kept for the retention time. */
export const FINAL_LEASE_STATES: ReadonlySet<LeaseState> = new Set(['revoked', 'lapsed', 'abandoned', 'disclosed']);

export const isFinal = (state: LeaseState): boolean => FINAL_LEASE_STATES.has(state);

/** What can be done about a credential before its own expiry. */
export type Revocability = 'exact' | 'eventual' | 'none';

/** `vault.dynamic`, `vault.token`, `jwt` and so on: provider type and kind. */
export const CREDENTIAL_KINDS = ['vault.token', 'vault.dynamic', 'vault.kv', 'aws.sts', 'jwt'] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** A tool call an extra credential was asked for. */
export interface ToolCall {
  readonly id: string;
  readonly tool: string;
}

/** Where a provider finds the credential again. Plain JSON, never secret, sealed when recorded. */
export type Handle = Readonly<Record<string, string | number | boolean | null>>;

/** The key that whoever uses a token must show that it holds (RFC 7800 section 3): by DPoP (RFC 9449), or by TLS (RFC 8705). */
export interface Confirmation {
  /** SHA-256 thumbprint of a JWK (RFC 7638), base64url. */
  readonly jkt?: string;
  /** SHA-256 of a certificate in DER, base64url. */
  readonly 'x5t#S256'?: string;
}

/** What was agreed with an OAuth client about its token. */
export interface TokenTerms {
  readonly clientId: string;
  /** Absent for a bearer token. */
  readonly cnf?: Confirmation;
}

/** What is written before the mint; only a renewal moves the due time. Enough to find and end the credential without a handle. */
export interface LeaseIntent {
  readonly id: LeaseId;
  readonly taskId: TaskId;
  readonly agent: WorkloadId;
  /** The tasks its authority came through, from the root of the tree to the parent of its own; empty below a root. */
  readonly chain: readonly DelegationLink[];
  /** The person on whose behalf the agent acts; null where it acts for itself. */
  readonly subject: string | null;
  readonly purpose: string;
  /** What the task declared that it will do. */
  readonly actions: readonly string[];
  /** The data that its task declared; absent in records of before it was kept. */
  readonly dataClasses?: readonly string[];
  /** Data classes that its holder can reach with it, out of those its task declared. */
  readonly touches: readonly string[];
  /** Absent where no OAuth client asked. */
  readonly token?: TokenTerms;
  readonly credential: string;
  readonly kind: CredentialKind;
  readonly provider: string;
  readonly revocability: Revocability;
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly toolCall: ToolCall | null;
  readonly decisionId: string;
  readonly createdAtMs: EpochMs;
  /** When we end it. */
  readonly dueAtMs: EpochMs;
  /** Of its task; absent in records of before it was kept. */
  readonly traceparent?: string;
}

/** Why a lease is being ended. */
export type RevocationReason =
  | 'completed'
  | 'expired'
  | 'revoked'
  | 'mint_failed'
  | 'mint_interrupted'
  | 'parent_ended'
  | 'reissued'
  | 'orphaned';

/** The lifetime record of one minted credential; never contains the secret. */
export interface Lease extends LeaseIntent {
  readonly state: LeaseState;
  /** Goes up with every transition; a change names the generation it was based on. */
  readonly generation: number;
  readonly handle: Handle | null;
  readonly activatedAtMs: EpochMs | null;
  /** When the target's own clock ends it; null until minted. */
  readonly targetExpiresAtMs: EpochMs | null;
  /**
   * When it is certainly dead, even if the target's own clean-up fails (a database login's VALID UNTIL). Null until minted,
   * and for ever where no clock of the target ends it: an opened static secret.
   */
  readonly lapsesAtMs: EpochMs | null;
  readonly revocationReason: RevocationReason | null;
  /** When it should have been dead: due time, or when somebody asked for the end, whichever came first. */
  readonly revocationDueAtMs: EpochMs | null;
  readonly attempts: number;
  readonly nextTryAtMs: EpochMs | null;
  readonly finalAtMs: EpochMs | null;
  /** When the target took the order to end it, when it was asked again and showed it ended, and when that holds everywhere. Null where not known. */
  readonly appliedAtMs: EpochMs | null;
  readonly verifiedAtMs: EpochMs | null;
  readonly effectiveByMs: EpochMs | null;
  /** Who took note of an overdue end, when and why; nothing else changes by it. */
  readonly acknowledged: { readonly by: string; readonly atMs: EpochMs; readonly reason: string } | null;
  /** The last failure in our own words; never the target's text, which could hold a secret. */
  readonly lastFailure: string | null;
}
