import type { z } from 'zod';
import type { ProblemCode } from '../../core/problem.ts';
import type { OperatorRole } from '../../identity/caller.ts';
import { OAUTH_ERRORS, type OAuthErrorCode } from '../oauth/oauth-error.ts';

/** Who may call: anyone, a workload, an operator with at least this role, or either kind of caller. */
export type CallerKind = 'anyone' | 'workload' | 'workload_or_operator' | OperatorRole;

/** One successful answer. */
export interface OperationAnswer {
  /** In plain words: when this answer is given. */
  readonly description: string;
  /** Of a JSON body. Absent for other media types, which only `mediaType` describes. */
  readonly schema?: z.ZodType;
  /** `application/json` where not given. An operation that answers `text/event-stream` does not end by itself. */
  readonly mediaType?: string;
  /** There is no body. */
  readonly empty?: true;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One call of the interface: what express routes, what its parser takes, what its views answer. */
export interface Operation {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As in OpenAPI: `/v1/tasks/{id}`. */
  readonly path: string;
  /** `operationId`: unique, camelCase. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly caller: CallerKind;
  /** Schemas of the `{parameters}` of the path; each is a plain text where not given. */
  readonly params?: Readonly<Record<string, z.ZodType>>;
  /** The shape that `parseQuery` takes. */
  readonly query?: z.ZodRawShape;
  /** Request headers with a meaning of their own, such as `Idempotency-Key`. */
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  /** The schema that parses the body. */
  readonly body?: z.ZodType;
  /** Whether the body may be left out. */
  readonly bodyOptional?: boolean;
  /** `application/json` where not given. */
  readonly bodyType?: string;
  /** Examples of the body that work on the example configuration. */
  readonly examples?: Readonly<Record<string, unknown>>;
  readonly answers: Readonly<Record<number, OperationAnswer>>;
  /** Of a call of OAuth clients: what goes wrong is told in their words (RFC 6749 section 5.2), and no problem is answered. */
  readonly oauthErrors?: readonly OAuthErrorCode[];
  /** Problems besides those that `problemsOf` adds by itself. */
  readonly problems?: readonly ProblemCode[];
}

/** Operations that belong together, as a chapter of the reference. */
export interface OperationArea {
  readonly name: string;
  readonly description: string;
  readonly operations: readonly Operation[];
}

/** What a grant can meet besides: every operation that mints has these. */
export const GRANT_PROBLEMS: readonly ProblemCode[] = [
  'policy_denied',
  'agent_disabled',
  'agent_unregistered',
  'policy_unavailable',
  'locked',
  'task_not_active',
  'limit_exceeded',
  'revocation_capacity',
  'provider_refused',
  'provider_unavailable',
  'audit_behind',
  'held',
  'clock_skewed',
];

/** Of any request at all: its body is read, and can be too large or coded, before anything looks at it. */
const ANY: readonly ProblemCode[] = ['malformed_body', 'body_too_large', 'unsupported_media_type', 'internal', 'shutting_down'];
const AUTHENTICATED: readonly ProblemCode[] = ['invalid_token', 'invalid_dpop_proof', 'use_dpop_nonce', 'session_ended', 'cross_site_request', 'identity_unavailable', 'ledger_unavailable', 'record_tampered'];

/** Every problem an operation can answer: its own, and those that follow from who may call and from what it takes. */
export function problemsOf(operation: Operation): ReadonlySet<ProblemCode> {
  const { caller, query, body, path, problems = [], oauthErrors } = operation;
  if (oauthErrors !== undefined) return new Set();
  return new Set<ProblemCode>([
    ...ANY,
    ...(caller === 'anyone' ? [] : AUTHENTICATED),
    ...(caller === 'anyone' || caller === 'workload_or_operator' ? [] : (['forbidden'] as const)),
    ...(query === undefined && body === undefined ? [] : (['invalid_request'] as const)),
    ...(path.includes('{') ? (['not_found'] as const) : []),
    ...problems,
  ]);
}

/** Errors that any call of an OAuth client can meet. */
const ANY_OAUTH: readonly OAuthErrorCode[] = ['invalid_request', 'invalid_client', 'temporarily_unavailable', 'server_error'];

/** Every OAuth error an operation can answer, with its statuses; none where it answers problems. */
export function oauthErrorsOf({ oauthErrors }: Operation): readonly { readonly status: number; readonly error: OAuthErrorCode }[] {
  if (oauthErrors === undefined) return [];
  return [...new Set([...ANY_OAUTH, ...oauthErrors])].flatMap((error) => OAUTH_ERRORS[error].map((status) => ({ status, error })));
}

/** A path template as a pattern for paths, and as express writes it. */
export const pathPattern = (template: string): RegExp => new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}/?$`, 'i');
export const expressPath = (template: string): string => template.replaceAll(/\{(\w+)\}/g, ':$1');
