import type { Request, RequestHandler } from 'express';
import type { DpopVerifier } from '../../identity/dpop/dpop-verifier.ts';
import type { Confirmation } from '../../ledger/lease.ts';
import { presentedBy } from '../presented.ts';
import { authenticateClient, certificateOf, type AuthenticateClientDeps, type OAuthClient } from './authenticate-client.ts';
import { grantToken, readTokenRequest, sendToken, type Grant, type GrantTokenDeps } from './grant-token.ts';
import { OAuthError } from './oauth-error.ts';
import { readForm } from './oauth-form.ts';
import { JWT_TYPE, readExchange, type ReadExchangeDeps } from './token-exchange.ts';
import { TXN_TOKEN_TYPE } from './transaction-request.ts';

export interface TokenEndpointDeps extends AuthenticateClientDeps, GrantTokenDeps, Pick<ReadExchangeDeps, 'transactionTokens'> {
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
    if (client === null) throw new OAuthError('invalid_client', 'authenticate by client_assertion, or by the X.509-SVID of the connection, whose SPIFFE ID is client_id');
    const wanted = readTokenRequest(form, deps);
    const granted = await grantToken(wanted, { kind: 'own' }, client, await confirmationOf(request, client, deps), deps);
    await sendToken(response, granted, {}, deps);
  };

/** RFC 8693: a workload shows its own token, and where it acts for others, theirs. */
const tokenExchange =
  (deps: TokenEndpointDeps): Grant =>
  async (request, response, form) => {
    const { client, authority, issuedTokenType } = await readExchange(request, form, deps);
    const forTransaction = issuedTokenType === TXN_TOKEN_TYPE;
    const wanted = readTokenRequest(form, deps, { forTransaction });
    if (issuedTokenType === JWT_TYPE && !wanted.token.selfContained) throw new OAuthError('invalid_request', 'the token for this resource is a reference; ask for an access_token');
    if (forTransaction) refuseProof(request);
    const cnf = forTransaction ? undefined : await confirmationOf(request, client, deps);
    const granted = await grantToken(wanted, authority, client, cnf, deps);
    await sendToken(response, granted, { issued_token_type: issuedTokenType, ...(forTransaction ? { scope: wanted.details.purpose } : {}) }, deps);
  };

/** A transaction token passes through many hands. Who asks to have one bound gets none. */
function refuseProof(request: Request): void {
  if (presentedBy(request).dpopProofs.length > 0) throw new OAuthError('invalid_dpop_proof', 'a transaction token is bound to no key');
}

/**
 * The key that the token is to be bound to: the one of a DPoP proof (RFC 9449 section 5), never passed over, since the client
 * would get a bearer token; without a proof, that of the client's own certificate (RFC 8705 section 3).
 */
async function confirmationOf(request: Request, client: OAuthClient, { dpop, authenticator }: TokenEndpointDeps): Promise<Confirmation | undefined> {
  const presented = presentedBy(request);
  if (presented.dpopProofs.length === 0) {
    const certificate = await certificateOf(presented, client, authenticator);
    return certificate === null ? undefined : { 'x5t#S256': certificate };
  }
  if (dpop === undefined) throw new OAuthError('invalid_dpop_proof', 'DPoP is not offered here');
  return dpop.verify(presented, { token: null, demandsNonce: false });
}
