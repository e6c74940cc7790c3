import { DPOP_ALGORITHMS } from '../../identity/dpop/dpop-proof.ts';

export const RESOURCE_METADATA_PATH = '/.well-known/oauth-protected-resource';

/** RFC 9728 section 3.1: where the document about a resource is; the well-known part stands between its host and its path. */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}${RESOURCE_METADATA_PATH}${pathname.replace(/\/$/, '')}`;
}

/**
 * What a client can know of this interface beforehand (RFC 9728 section 2). Who issues the tokens it takes is not told: those are
 * issuers of workload identities, seldom authorization servers, and whom the broker trusts is no stranger's business.
 */
export const resourceMetadata = (resource: string, takesCertificates: boolean) => ({
  resource,
  resource_name: 'Mayfly',
  resource_documentation: `${resource.replace(/\/$/, '')}/docs`,
  bearer_methods_supported: ['header'],
  dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS],
  tls_client_certificate_bound_access_tokens: takesCertificates,
});
