import type { ErrorRequestHandler, Request, Response } from 'express';
import type { TamperedRecord } from '../../ledger/record-seal.ts';
import { reportFailure, toProblem, type ErrorLog } from '../problem-response.ts';
import { OAuthError, oauthErrorOf } from './oauth-error.ts';

/** Where a token may authenticate who calls (RFC 6750); at the token endpoint only an assertion can. */
const BEARER_ENDPOINTS = ['/oauth2/introspect', '/oauth2/revoke'];
/** The calls that OAuth clients and issuers make; what goes wrong in them is told in their own words. */
export const OAUTH_ENDPOINTS = ['/oauth2/token', ...BEARER_ENDPOINTS, '/auth/back-channel-logout'];

/** Ends a failed call of an OAuth client with an `error` and an `error_description` (RFC 6749 section 5.2). Nothing internal leaves. */
export function oauthErrorResponse(log: ErrorLog, onTampered: (error: TamperedRecord) => void): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent || request.method !== 'POST') {
      next(error);
      return;
    }
    if (error instanceof OAuthError) {
      send(request, response, error);
      return;
    }
    const problem = toProblem(error);
    reportFailure(error, problem, response, log, onTampered);
    send(request, response, oauthErrorOf(problem));
  };
}

function send(request: Request, response: Response, error: OAuthError): void {
  const scheme = error.code === 'invalid_client' ? challengeOf(request) : undefined;
  if (scheme !== undefined) response.set('WWW-Authenticate', `${scheme} realm="mayfly"`);
  response.set(error.headers);
  if (error.retryAfterSeconds !== undefined) response.set('Retry-After', String(error.retryAfterSeconds));
  response
    .status(scheme === undefined ? error.status : 401)
    .set('Pragma', 'no-cache')
    .json({ error: error.code, error_description: printable(error.message), ...error.members });
}

/**
 * The scheme a client is told to use. RFC 9110 section 15.5.2: 401 names one, so it is for where one can help; RFC 6749 section
 * 5.2: whoever tried by a header is answered by the scheme of that.
 */
function challengeOf(request: Request): string | undefined {
  if (BEARER_ENDPOINTS.includes(request.baseUrl.toLowerCase())) return 'Bearer';
  const tried = request.get('authorization');
  if (tried === undefined) return undefined;
  return /^basic(?: |$)/i.test(tried) ? 'Basic' : 'Bearer';
}

/** RFC 6749 section 5.2 allows printable ASCII without quotes and backslashes. */
const printable = (text: string): string => text.replaceAll('"', "'").replaceAll('\\', '/').replaceAll(/[^\x20-\x7e]/g, '?');
