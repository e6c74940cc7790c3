import type { LeaseId } from '../core/ids.ts';
import type { Secret } from '../core/secret.ts';
import type { EpochMs } from '../core/time.ts';
import type { EndEvidence } from '../ledger/lease-transitions.ts';
import type { CredentialKind, Handle, LeaseIntent, Revocability } from '../ledger/lease.ts';

/** What one configured credential of a provider can promise. Policy may decide on it; nothing is claimed beyond it. */
export interface Capabilities {
  readonly kind: CredentialKind;
  readonly revocability: Revocability;
  /** The shortest lifetime the target itself sells; below it we end the lease early. */
  readonly minTtlSeconds: number;
  /** Whether revocation also cuts sessions that are already open. */
  readonly endsOpenSessions: boolean;
  /** How long after an accepted revocation the credential may still work. */
  readonly propagationSeconds: number;
  /** Whether `renew` can make a live one last longer. */
  readonly renewable: boolean;
  /** Whether `list` can find live credentials at the target. */
  readonly canList: boolean;
}

export interface Minted {
  /** Fields handed over once, by name; the shape for each kind is in docs/providers.md. */
  readonly secret: Readonly<Record<string, Secret>>;
  readonly handle: Handle;
  /** When the target ends it by its own clock, even if Mayfly never runs again. */
  readonly targetExpiresAtMs: EpochMs;
  /**
   * When it is certainly dead even if the target's own clean-up fails (a database login's VALID UNTIL); only past this
   * may an unconfirmed revocation be called lapsed. The same as `targetExpiresAtMs` when absent; null where no clock of
   * the target ends it.
   */
  readonly lapsesAtMs?: EpochMs | null;
}

/** What to end: the intent is enough; the handle makes it quick. */
export interface RevocationOrder {
  readonly intent: LeaseIntent;
  /** Null where the mint was never confirmed: the provider looks the credential up by the lease id. */
  readonly handle: Handle | null;
}

/** A live credential that shall live longer. */
export interface RenewalOrder {
  readonly intent: LeaseIntent;
  readonly handle: Handle;
  /** When we shall end it. */
  readonly dueAtMs: EpochMs;
}

/** What the target granted; it may be less than was asked for. */
export type Renewed = Pick<Minted, 'targetExpiresAtMs' | 'lapsesAtMs'>;

/** The result for one lease. A failure is a value, never a throw: the caller must record it. */
export type RevocationResult =
  | { readonly leaseId: LeaseId; readonly outcome: 'revoked'; readonly evidence?: EndEvidence }
  /** A static secret was opened, or nobody can say that it was not: nothing ends it but a rotation. */
  | { readonly leaseId: LeaseId; readonly outcome: 'disclosed' }
  /** The target cannot end it early; it ends by its own clock at `atMs`. */
  | { readonly leaseId: LeaseId; readonly outcome: 'lapses'; readonly atMs: EpochMs }
  | { readonly leaseId: LeaseId; readonly outcome: 'failed'; readonly error: ProviderError };

/** A credential found alive at the target under our deployment id. */
export interface LiveCredential {
  readonly leaseId: LeaseId;
  readonly handle: Handle;
  readonly createdAtMs: EpochMs;
  /** When it should be dead, as the target itself knows it; null where the target does not tell. */
  readonly dueAtMs: EpochMs | null;
}

/** A configured system that mints. Adapters are folders beside this file and only speak their protocol. */
export interface CredentialProvider {
  readonly name: string;
  /** The configured credentials by name. Throws `RangeError` for a name that is not this provider's. */
  capabilities(credential: string): Capabilities;
  /** Mints for one lease. `intent.id` names the credential at the target. Throws `ProviderError`. */
  mint(intent: LeaseIntent, signal: AbortSignal): Promise<Minted>;
  /**
   * Asks the target to keep a credential longer. Null where this credential cannot be renewed. Absent where none of this
   * provider is `renewable`. Throws `ProviderError`. What was revoked is never revived.
   */
  renew?(order: RenewalOrder, signal: AbortSignal): Promise<Renewed | null>;
  /** Ends credentials; revoking twice, or the missing, is a success. Yields one result for each order, in any order. */
  revokeMany(orders: readonly RevocationOrder[], signal: AbortSignal): AsyncIterable<RevocationResult>;
  /** What is live at the target under our deployment id. Absent where the target cannot list. */
  list?(signal: AbortSignal): AsyncIterable<LiveCredential>;
  /**
   * Of credentials that were revoked and are not dead by their own end yet: those whose revocation somebody undid at the
   * target. Absent where nothing can undo one. Throws `ProviderError`.
   */
  undone?(orders: readonly RevocationOrder[], signal: AbortSignal): Promise<readonly LeaseId[]>;
  /** Removes what revocations left at the target and time has made superfluous. Absent where they leave nothing. */
  tidy?(signal: AbortSignal): Promise<void>;
  /** Answers when the target is usable; throws `ProviderError` otherwise. */
  checkHealth(signal: AbortSignal): Promise<void>;
  /** Stops renewals and closes connections. */
  close(): Promise<void>;
}

/**
 * `unavailable`: not reached, overloaded, sealed, or timed out; the same call can succeed later.
 * `refused`: the target said no for good (no rights, no such role); it needs a human.
 */
export type ProviderFailure = 'unavailable' | 'refused';

/** A failure at a provider. `message` is safe for callers and logs; it never holds the target's own text. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
  readonly provider: string;
  readonly failure: ProviderFailure;
  /** Whether the credential may exist in spite of the failure (a timeout after sending). Decides abandon or look up. */
  readonly mayHaveMinted: boolean;

  constructor(
    provider: string,
    failure: ProviderFailure,
    message: string,
    options: { mayHaveMinted?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.provider = provider;
    this.failure = failure;
    this.mayHaveMinted = options.mayHaveMinted ?? false;
  }

  get retryable(): boolean {
    return this.failure === 'unavailable';
  }
}
