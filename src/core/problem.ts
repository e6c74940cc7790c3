/**
 * Every error a caller can meet (RFC 9457). `docs/problems.md` explains each; a test holds the two together.
 * `retryable` says whether the same request can succeed later without a change.
 */
export const PROBLEMS = {
  malformed_body: { status: 400, title: 'The body is not valid JSON', retryable: false },
  invalid_evaluation: { status: 400, title: 'The body is not an AuthZEN request', retryable: false },
  invalid_token: { status: 401, title: 'The bearer token was not accepted', retryable: false },
  invalid_dpop_proof: { status: 401, title: 'The DPoP proof was not accepted', retryable: false },
  session_ended: { status: 401, title: 'The session has ended', retryable: false },
  use_dpop_nonce: { status: 401, title: 'The DPoP proof needs a nonce', retryable: false },
  forbidden: { status: 403, title: 'This caller may not do this', retryable: false },
  agent_disabled: { status: 403, title: 'The agent is disabled', retryable: false },
  agent_unregistered: { status: 403, title: 'The agent is not registered', retryable: false },
  cross_site_request: { status: 403, title: "The request does not come from the broker's own page", retryable: false },
  sign_in_refused: { status: 403, title: 'The sign-in was refused', retryable: false },
  claim_refused: { status: 403, title: 'The claim was refused', retryable: false },
  approval_refused: { status: 403, title: 'This human may not approve it', retryable: false },
  evidence_refused: { status: 403, title: 'The evidence was not accepted', retryable: false },
  locked: { status: 403, title: 'An operator has locked this', retryable: false },
  policy_denied: { status: 403, title: 'Policy denied the request', retryable: false },
  not_found: { status: 404, title: 'There is no such thing here', retryable: false },
  method_not_allowed: { status: 405, title: 'This path does not take the method', retryable: false },
  agent_configured: { status: 409, title: 'The agent is registered by the configuration', retryable: false },
  agent_exists: { status: 409, title: 'The agent is registered already', retryable: false },
  lock_of_agent: { status: 409, title: 'The lock stands for a disabled agent', retryable: false },
  task_not_active: { status: 409, title: 'The task is not active', retryable: false },
  lease_not_ended: { status: 409, title: 'The lease has not ended', retryable: false },
  lease_not_stuck: { status: 409, title: 'The lease is not stuck', retryable: false },
  not_held: { status: 409, title: 'There is no hold', retryable: false },
  not_claimable: { status: 409, title: 'The task cannot be claimed', retryable: false },
  already_claimed: { status: 409, title: 'The task was claimed already', retryable: false },
  not_approvable: { status: 409, title: 'The task does not wait for this approval', retryable: false },
  envelope_changed: { status: 409, title: 'The task is not what was looked at', retryable: false },
  idempotency_in_progress: { status: 409, title: 'The first request with this Idempotency-Key is still running', retryable: true },
  duplicate_credential: { status: 409, title: 'The task already holds this credential', retryable: false },
  not_proven: { status: 409, title: 'There is no proof of it', retryable: true },
  body_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The body must be JSON', retryable: false },
  invalid_request: { status: 422, title: 'The request is not valid', retryable: false },
  idempotency_mismatch: { status: 422, title: 'This Idempotency-Key was used for another request', retryable: false },
  revocation_capacity: { status: 503, title: 'It could not be revoked in time', retryable: true },
  limit_exceeded: { status: 429, title: 'A limit was reached', retryable: true },
  internal: { status: 500, title: 'Something went wrong on our side', retryable: false },
  record_tampered: { status: 500, title: 'A stored record fails its seal', retryable: false },
  provider_refused: { status: 502, title: 'The provider refused to mint', retryable: false },
  policy_unavailable: { status: 503, title: 'The external policy decision point is not available', retryable: true },
  provider_unavailable: { status: 503, title: 'The provider is not available', retryable: true },
  ledger_unavailable: { status: 503, title: 'The ledger is not available', retryable: true },
  held: { status: 503, title: 'The broker is held', retryable: true },
  audit_elsewhere: { status: 503, title: 'The audit log is not here', retryable: false },
  audit_behind: { status: 503, title: 'The audit log is behind', retryable: true },
  clock_skewed: { status: 503, title: 'The clock disagrees with the ledger', retryable: true },
  identity_unavailable: { status: 503, title: "The issuer's keys are not available", retryable: true },
  shutting_down: { status: 503, title: 'The broker is shutting down', retryable: true },
} as const satisfies Record<string, { status: number; title: string; retryable: boolean }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One fault in the input: a JSON Pointer (RFC 6901) to the field, and what was expected there. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

export interface ProblemOptions {
  readonly errors?: readonly FieldFault[];
  /** Further members of the document, such as `decision` or `provider`. Never secret. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds?: number;
  /** Further headers of the answer. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the log only; a caller never sees it. */
  readonly cause?: unknown;
}

/** An error with a place in the problem table. `detail` is safe for the caller; `cause` is for the log. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly errors: readonly FieldFault[];
  readonly members: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.errors = options.errors ?? [];
    this.members = options.members ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  get title(): string {
    return PROBLEMS[this.code].title;
  }

  /** The problem's type URI, listed in `docs/problems.md`. */
  get type(): string {
    return `urn:mayfly:problem:${this.code}`;
  }
}
