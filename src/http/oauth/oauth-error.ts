import { PROBLEMS, type Problem, type ProblemCode } from '../../core/problem.ts';

/**
 * Every error of the OAuth face, with the statuses it can have: RFC 6749 section 5.2, RFC 8693 section 2.2.2, RFC 9396
 * section 5, RFC 7009 section 2.2.1, RFC 9449 sections 5 and 8; `access_denied`, `temporarily_unavailable` and `server_error` are borrowed from RFC 6749
 * section 4.1.2.1, which has no others for them.
 */
export const OAUTH_ERRORS = {
  invalid_request: [400, 413, 415],
  invalid_client: [400, 401],
  invalid_grant: [400],
  unauthorized_client: [400],
  unsupported_grant_type: [400],
  invalid_scope: [400],
  invalid_target: [400],
  invalid_authorization_details: [400],
  unsupported_token_type: [400],
  access_denied: [400],
  invalid_dpop_proof: [400],
  use_dpop_nonce: [400],
  temporarily_unavailable: [503, 429],
  server_error: [500, 502],
} as const satisfies Record<string, readonly number[]>;
export type OAuthErrorCode = keyof typeof OAUTH_ERRORS;

export interface OAuthErrorOptions {
  readonly status?: number;
  /** Further members of the answer, such as `decision`. Never secret. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error as OAuth clients know it. `message` is safe for the caller. */
export class OAuthError extends Error {
  override readonly name = 'OAuthError';
  readonly code: OAuthErrorCode;
  readonly status: number;
  readonly members: Readonly<Record<string, unknown>>;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OAuthErrorCode, message: string, { status = OAUTH_ERRORS[code][0], members = {}, retryAfterSeconds, headers = {} }: OAuthErrorOptions = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.members = members;
    this.retryAfterSeconds = retryAfterSeconds;
    this.headers = headers;
  }
}

/** What a problem of the engine is called on this face. Nothing more is told than the problem itself tells. */
export function oauthErrorOf(problem: Problem): OAuthError {
  const code = codeOf(problem.code);
  const statuses: readonly number[] = OAUTH_ERRORS[code];
  return new OAuthError(code, problem.message, {
    status: statuses.find((status) => status === problem.status) ?? OAUTH_ERRORS[code][0],
    headers: problem.headers,
    members: 'decision' in problem.members ? { decision: problem.members['decision'] } : {},
    retryAfterSeconds: problem.retryAfterSeconds ?? (PROBLEMS[problem.code].retryable ? DEFAULT_RETRY_SECONDS : undefined),
  });
}

/** RFC 9110 section 15.6.4 wants to know when; where nobody can tell, this is soon enough. */
const DEFAULT_RETRY_SECONDS = 5;

function codeOf(code: ProblemCode): OAuthErrorCode {
  switch (code) {
    case 'policy_denied':
    case 'locked':
      return 'access_denied';
    case 'invalid_token':
      return 'invalid_client';
    case 'forbidden':
      return 'unauthorized_client';
    case 'task_not_active':
      return 'invalid_grant';
    case 'invalid_dpop_proof':
    case 'use_dpop_nonce':
      return code;
    default:
      if (PROBLEMS[code].retryable) return 'temporarily_unavailable';
      return PROBLEMS[code].status < 500 ? 'invalid_request' : 'server_error';
  }
}
