import type { Request } from 'express';
import { Problem } from '../../core/problem.ts';
import { sameWorkload, type Authenticator, type Caller, type Workload } from '../../identity/caller.ts';
import { certificateThumbprint } from '../../identity/certificate-caller.ts';
import type { ClientAssertions } from '../../identity/client-assertions.ts';
import type { Presented } from '../../identity/presented.ts';
import { posesAsSpiffeId } from '../../identity/spiffe-id.ts';
import { unverifiedClaims } from '../../identity/verify-token.ts';
import { presentedBy } from '../presented.ts';
import { OAuthError } from './oauth-error.ts';
import type { OAuthForm } from './oauth-form.ts';

export interface AuthenticateClientDeps {
  readonly authenticator: Authenticator;
  readonly assertions: ClientAssertions;
}

/** A client that proved itself: a workload, under the name it has as a client. */
export interface OAuthClient {
  readonly clientId: string;
  readonly workload: Workload;
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** draft-ietf-oauth-spiffe-client-auth: experimental. */
const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';

/**
 * Who the client is: by its assertion (RFC 7521 section 4.2), one that it signed with a key of its own or its own workload
 * token, whose issuer or trust domain vouches for it; or by the X.509-SVID of its connection, where it says by `client_id` that
 * it is the workload of that (RFC 8705 section 2). Null where it tries neither. Throws `invalid_client` for what is not accepted.
 * There are no client secrets.
 */
export async function authenticateClient(request: Request, form: OAuthForm, deps: AuthenticateClientDeps): Promise<OAuthClient | null> {
  if (form.get('client_secret') !== undefined) throw new OAuthError('invalid_client', 'there are no client secrets here; authenticate by client_assertion');
  const assertion = form.get('client_assertion');
  const type = form.get('client_assertion_type');
  if (assertion === undefined && type === undefined) return byCertificate(request, form, deps);
  if (assertion === undefined || type === undefined) throw new OAuthError('invalid_request', 'client_assertion and client_assertion_type belong together');
  if (request.get('authorization') !== undefined) throw new OAuthError('invalid_request', 'authenticate in one way only: by client_assertion or by the Authorization header');
  const client = await clientOf(request, assertion, type, deps).catch((error: unknown) => {
    throw asInvalidClient(error);
  });
  requireClientId(form, client);
  return client;
}

/** Whoever calls: by the `Authorization` header, else by a client assertion; never by a browser's cookie. Throws `invalid_client` where neither proves it. */
export async function authenticateCaller(request: Request, form: OAuthForm, deps: AuthenticateClientDeps): Promise<Caller> {
  const client = await authenticateClient(request, form, deps);
  return client?.workload ?? deps.authenticator.authenticate({ ...presentedBy(request), session: null });
}

/** A `client_id` beside an assertion names the same client (RFC 7521 section 4.2). */
export function requireClientId(form: OAuthForm, { clientId }: OAuthClient): void {
  const named = form.get('client_id');
  if (named !== undefined && named !== clientId) throw new OAuthError('invalid_client', 'client_id names another client');
}

/** draft-ietf-oauth-spiffe-client-auth: the `client_id` is the SPIFFE ID, and must be that of the certificate. */
async function byCertificate(request: Request, form: OAuthForm, { authenticator }: AuthenticateClientDeps): Promise<OAuthClient | null> {
  const presented = presentedBy(request);
  if (presented.authorization !== null || presented.certificates === null || !posesAsSpiffeId(form.get('client_id') ?? '')) return null;
  const caller = await authenticator.authenticate({ ...presented, dpopProofs: [] }).catch((error: unknown) => {
    throw asInvalidClient(error);
  });
  if (caller.kind !== 'workload') throw new OAuthError('invalid_client', 'an operator is no client');
  const client = { clientId: caller.subject, workload: caller };
  requireClientId(form, client);
  return client;
}

/**
 * The thumbprint of the connection's certificate, where it is an X.509-SVID of the client; null where it is another's, such as that of
 * a proxy on the way, to which nothing is bound. Throws `identity_unavailable`.
 */
export async function certificateOf(presented: Presented, { workload }: OAuthClient, authenticator: Authenticator): Promise<string | null> {
  const [own] = presented.certificates ?? [];
  if (own === undefined) return null;
  try {
    const holder = await authenticator.authenticate({ ...presented, authorization: null, dpopProofs: [] });
    return sameWorkload(holder, workload) ? certificateThumbprint(own) : null;
  } catch (error) {
    if (error instanceof Problem && error.code === 'invalid_token') return null;
    throw error;
  }
}

async function clientOf(request: Request, assertion: string, type: string, { authenticator, assertions }: AuthenticateClientDeps): Promise<OAuthClient> {
  if (type !== JWT_BEARER && type !== JWT_SPIFFE) throw new OAuthError('invalid_client', 'this client_assertion_type is not known here');
  const claimed = unverifiedClaims(assertion);
  const { iss, sub } = claimed;
  if (type === JWT_BEARER && assertions.knows(iss)) {
    return { clientId: iss, workload: await assertions.verify(assertion, { ...claimed, iss }) };
  }
  if (type === JWT_SPIFFE && !(typeof sub === 'string' && posesAsSpiffeId(sub))) throw new OAuthError('invalid_client', 'the client assertion is no JWT-SVID');
  // Judged by the very rules that it would be judged by as a bearer token; a DPoP proof here is for the token that is asked for.
  const caller = await authenticator.authenticate({ ...presentedBy(request), authorization: { scheme: 'bearer', token: assertion }, dpopProofs: [] });
  if (caller.kind !== 'workload') throw new OAuthError('invalid_client', 'an operator is no client');
  return { clientId: caller.subject, workload: caller };
}

/** What makes a token unacceptable makes the client unknown; what passes stays what it is. */
function asInvalidClient(error: unknown): unknown {
  const refused = error instanceof Problem && (error.code === 'invalid_token' || error.code === 'forbidden');
  return refused ? new OAuthError('invalid_client', error.message.replace(/^the token was/, 'the client assertion was')) : error;
}
