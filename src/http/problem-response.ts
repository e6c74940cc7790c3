import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { Problem, PROBLEMS, type ProblemCode } from '../core/problem.ts';
import { DPOP_ALGORITHMS } from '../identity/dpop/dpop-proof.ts';
import { TamperedRecord } from '../ledger/record-seal.ts';
import { resourceMetadataUrl } from './oauth/resource-metadata.ts';
import { requestIdOf } from './request-id.ts';
import { requestTraceOf } from './trace-request.ts';

/** What is offered to whoever did not authenticate. */
export interface Offered {
  /** Whether tokens that are bound to a key can be used here. */
  readonly offersDpop: boolean;
  /** Where clients reach this interface, where that is known: a document tells them more of it (RFC 9728). */
  readonly resource: string | undefined;
}

export interface ErrorLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Ends every failed request with a problem document (RFC 9457). Nothing internal leaves: the cause goes to the log. */
export function problemResponse(log: ErrorLog, onTampered: (error: TamperedRecord) => void, offered: Offered): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const problem = toProblem(error);
    reportFailure(error, problem, response, log, onTampered);
    if (problem.status === 401) response.set('WWW-Authenticate', challenge(problem.code, request.get('authorization') ?? '', offered));
    sendProblem(response, problem, request.originalUrl.split('?')[0] ?? '/');
  };
}

/** Tells the log why a request failed, and the alarm where a record was tampered with. */
export function reportFailure(error: unknown, problem: Problem, response: Response, log: ErrorLog, onTampered: (error: TamperedRecord) => void): void {
  if (error instanceof TamperedRecord) onTampered(error);
  const fields = { request_id: requestIdOf(response), code: problem.code };
  // A state of affairs that passes, such as a hold, is no fault: who is refused in it fills no log with stacks.
  if (problem.status >= 500 && !(PROBLEMS[problem.code].retryable && problem.cause === undefined)) log.error({ ...fields, err: error }, 'request failed');
  else if (problem.status >= 500) log.warn({ ...fields, detail: problem.message }, 'request refused');
  else if (problem.cause !== undefined) log.warn({ ...fields, err: error }, 'request refused');
}

/** For paths no route knows. */
export const notFound: RequestHandler = (request, _response, next) => {
  next(new Problem('not_found', `there is no ${request.method} ${request.path} here`));
};

function sendProblem(response: Response, problem: Problem, instance: string): void {
  if (problem.retryAfterSeconds !== undefined) response.set('Retry-After', String(problem.retryAfterSeconds));
  response
    .set(problem.headers)
    .status(problem.status)
    .type('application/problem+json')
    .json({
      type: problem.type,
      title: problem.title,
      status: problem.status,
      detail: problem.message,
      instance,
      code: problem.code,
      request_id: requestIdOf(response),
      trace_id: requestTraceOf(response),
      ...(problem.errors.length > 0 ? { errors: problem.errors } : {}),
      ...problem.members,
    });
}

/** How to authenticate instead (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1). */
function challenge(code: ProblemCode, authorization: string, { offersDpop, resource }: Offered): string {
  const algorithms = `algs="${DPOP_ALGORITHMS.join(' ')}"`;
  const more = resource === undefined ? '' : `, resource_metadata="${resourceMetadataUrl(resource)}"`;
  if (code !== 'invalid_token' && code !== 'session_ended') return `DPoP error="${code}", ${algorithms}${more}`;
  if (/^DPoP /i.test(authorization)) return `DPoP error="invalid_token", ${algorithms}${more}`;
  return `Bearer error="invalid_token"${more}${offersDpop ? `, DPoP ${algorithms}` : ''}`;
}

/** The problem that an error is; one that nobody foresaw is `internal`. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TamperedRecord) {
    return new Problem('record_tampered', 'a stored record was changed behind the broker; it is not used, and this is on the audit log', { cause: error });
  }
  // express.raw and the router signal bad input with a status of their own.
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : undefined;
  if (status === 413) return new Problem('body_too_large', 'the body may hold at most 64 KiB');
  if (status === 400) return new Problem('malformed_body', 'the request could not be read', { cause: error });
  if (status === 415) return new Problem('unsupported_media_type', 'the body has an encoding that is not accepted; send it plain', { cause: error });
  return new Problem('internal', 'the broker failed to answer; the request id finds the reason in its log', { cause: error });
}
