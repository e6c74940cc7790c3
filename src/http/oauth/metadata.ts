import { DPOP_ALGORITHMS } from '../../identity/dpop/dpop-proof.ts';
import { TASK_DETAILS_TYPE } from '../../task/authorization-details.ts';
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from './token-endpoint.ts';

export const METADATA_PATH = '/.well-known/oauth-authorization-server';

/** RFC 8414 section 3: the well-known part stands between the host and the path of an issuer. */
export const metadataPath = (issuer: string): string => `${METADATA_PATH}${new URL(issuer).pathname.replace(/\/$/, '')}`;

/** Where an endpoint of this authorization server is, as seen from outside. */
export const endpointOf = (issuer: string, path: string): string => `${issuer.replace(/\/$/, '')}${path}`;

/** What a client can know beforehand (RFC 8414 section 2, RFC 9396 section 10). */
export function authorizationServerMetadata(issuer: string, assertionAlgorithms: readonly string[], offersDpop: boolean) {
  const methods = ['private_key_jwt', 'spiffe_jwt'];
  const algorithms = [...new Set(assertionAlgorithms)].sort();
  return {
    issuer,
    token_endpoint: endpointOf(issuer, '/oauth2/token'),
    introspection_endpoint: endpointOf(issuer, '/oauth2/introspect'),
    revocation_endpoint: endpointOf(issuer, '/oauth2/revoke'),
    jwks_uri: endpointOf(issuer, '/.well-known/jwks.json'),
    grant_types_supported: [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
    // There is no authorization endpoint, and this member may not be missing.
    response_types_supported: [] as string[],
    // `none`: in a token exchange the subject token is the client's own, and proves it.
    token_endpoint_auth_methods_supported: [...methods, 'none'],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: methods,
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    authorization_details_types_supported: [TASK_DETAILS_TYPE],
    ...(offersDpop ? { dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS] } : {}),
  };
}
