import type { Request, RequestHandler } from 'express';
import type { DpopVerifier } from '../../identity/dpop/dpop-verifier.ts';
import type { Confirmation } from '../../ledger/lease.ts';
import { presentedBy } from '../presented.ts';
import { authenticateClient, type AuthenticateClientDeps } from './authenticate-client.ts';
import { grantToken, readTokenRequest, sendToken, type Grant, type GrantTokenDeps } from './grant-token.ts';
import { OAuthError } from './oauth-error.ts';
import { readForm } from './oauth-form.ts';
import { JWT_TYPE, readExchange } from './token-exchange.ts';

export interface TokenEndpointDeps extends AuthenticateClientDeps, GrantTokenDeps {
  /** Absent where the broker does not know its own address (`http.public_url`). */
  readonly dpop: DpopVerifier | undefined;
}

export const CLIENT_CREDENTIALS = 'client_credentials';
export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

/**
 * The token endpoint (RFC 6749 section 3.2). Every token is the one credential of a new task, declared, decided, minted and
 * recorded as any other: nothing is minted beside the ledger, and no refresh token is ever issued.
 */
export function tokenEndpoint(deps: TokenEndpointDeps): RequestHandler {
  const grants = new Map<string, Grant>([
    [CLIENT_CREDENTIALS, clientCredentials(deps)],
    [TOKEN_EXCHANGE, tokenExchange(deps)],
  ]);
  return async (request, response) => {
    const form = readForm(request);
    const grant = grants.get(form.need('grant_type'));
    if (grant === undefined) throw new OAuthError('unsupported_grant_type', `grant_type must be one of ${[...grants.keys()].join(', ')}`);
    if (request.get('authorization') !== undefined) throw new OAuthError('invalid_client', 'authenticate by client_assertion in the body, not by the Authorization header');
    await grant(request, response, form);
  };
}

/** RFC 6749 section 4.4: the client declares a task of its own. */
const clientCredentials =
  (deps: TokenEndpointDeps): Grant =>
  async (request, response, form) => {
    const client = await authenticateClient(request, form, deps);
    if (client === null) throw new OAuthError('invalid_client', 'authenticate by client_assertion');
    const wanted = readTokenRequest(form, deps);
    const granted = await grantToken(wanted, { kind: 'own' }, client, await confirmationOf(request, deps), deps);
    await sendToken(response, granted, {}, deps);
  };

/** RFC 8693: a workload shows its own token, and where it acts for others, theirs. */
const tokenExchange =
  (deps: TokenEndpointDeps): Grant =>
  async (request, response, form) => {
    const { client, authority, issuedTokenType } = await readExchange(request, form, deps);
    const wanted = readTokenRequest(form, deps);
    if (issuedTokenType === JWT_TYPE && !wanted.token.selfContained) throw new OAuthError('invalid_request', 'the token for this resource is a reference; ask for an access_token');
    const granted = await grantToken(wanted, authority, client, await confirmationOf(request, deps), deps);
    await sendToken(response, granted, { issued_token_type: issuedTokenType }, deps);
  };

/** The key that the token is to be bound to, where the client shows that it holds one (RFC 9449 section 5). Never passed over: it would get a bearer token. */
async function confirmationOf(request: Request, { dpop }: TokenEndpointDeps): Promise<Confirmation | undefined> {
  const presented = presentedBy(request);
  if (presented.dpopProofs.length === 0) return undefined;
  if (dpop === undefined) throw new OAuthError('invalid_dpop_proof', 'DPoP is not offered here');
  return dpop.verify(presented, { token: null, demandsNonce: false });
}
