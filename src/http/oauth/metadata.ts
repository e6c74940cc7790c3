import { DPOP_ALGORITHMS } from '../../identity/dpop/dpop-proof.ts';
import { TASK_DETAILS_TYPE } from '../../task/authorization-details.ts';
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from './token-endpoint.ts';

export const METADATA_PATH = '/.well-known/oauth-authorization-server';

/** RFC 8414 section 3: the well-known part stands between the host and the path of an issuer. */
export const metadataPath = (issuer: string): string => `${METADATA_PATH}${new URL(issuer).pathname.replace(/\/$/, '')}`;

/** Where an endpoint of this authorization server is, as seen from outside. */
export const endpointOf = (issuer: string, path: string): string => `${issuer.replace(/\/$/, '')}${path}`;

/** What there is beyond what every broker has. */
export interface MetadataOptions {
  readonly offersDpop: boolean;
  /** Whether there is a listener where a certificate counts. */
  readonly takesCertificates: boolean;
  /** Where clients reach it; undefined where the broker does not know, or where that is the issuer. */
  readonly mtlsUrl: string | undefined;
}

/** What a client can know beforehand (RFC 8414 section 2, RFC 9396 section 10, RFC 8705 sections 2.1, 3.3 and 5). */
export function authorizationServerMetadata(issuer: string, assertionAlgorithms: readonly string[], { offersDpop, takesCertificates, mtlsUrl }: MetadataOptions) {
  const methods = ['private_key_jwt', 'spiffe_jwt', ...(takesCertificates ? ['tls_client_auth', 'spiffe_x509'] : [])];
  const algorithms = [...new Set(assertionAlgorithms)].sort();
  return {
    issuer,
    ...endpointsAt(issuer),
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
    tls_client_certificate_bound_access_tokens: takesCertificates,
    ...(takesCertificates && mtlsUrl !== undefined ? { mtls_endpoint_aliases: endpointsAt(mtlsUrl) } : {}),
    ...(offersDpop ? { dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS] } : {}),
  };
}

const endpointsAt = (address: string) => ({
  token_endpoint: endpointOf(address, '/oauth2/token'),
  introspection_endpoint: endpointOf(address, '/oauth2/introspect'),
  revocation_endpoint: endpointOf(address, '/oauth2/revoke'),
});
