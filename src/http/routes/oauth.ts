import { Router } from 'express';
import { z } from 'zod';
import { Problem } from '../../core/problem.ts';
import { taskDetails } from '../../task/authorization-details.ts';
import { introspection, type IntrospectionDeps } from '../oauth/introspection.ts';
import { authorizationServerMetadata, METADATA_PATH, metadataPath } from '../oauth/metadata.ts';
import { RESOURCE_METADATA_PATH, resourceMetadata, resourceMetadataUrl } from '../oauth/resource-metadata.ts';
import { revocation, type RevocationEndpointDeps } from '../oauth/revocation.ts';
import { tokenEndpoint, type TokenEndpointDeps } from '../oauth/token-endpoint.ts';

export interface OAuthRoutesDeps extends TokenEndpointDeps, IntrospectionDeps, RevocationEndpointDeps {
  readonly ledger: TokenEndpointDeps['ledger'] & RevocationEndpointDeps['ledger'];
  /** Signature algorithms of client assertions. */
  readonly assertionAlgorithms: readonly string[];
  /** Where clients reach this interface; undefined where the broker does not know. */
  readonly publicUrl: string | undefined;
  /** Whether there is a listener where a certificate counts. */
  readonly takesCertificates: boolean;
  /** Where clients reach that; undefined where the broker does not know. */
  readonly mtlsUrl: string | undefined;
}

/** The JSON Schema of authorization details. */
const taskDetailsSchema = z.toJSONSchema(taskDetails, { io: 'input' });

/** The OAuth face: what an OAuth client finds, asks for, asks about and gives back, on the same engine as `/v1/tasks`. */
export function oauthRoutes(deps: OAuthRoutesDeps): Router {
  const router = Router();
  const { issuer, publicUrl } = deps;

  router.get('/.well-known/jwks.json', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').json({ keys: deps.jwtProviders.flatMap((provider) => provider.jwks()) });
  });

  router.use((request, _response, next) => {
    // RFC 8414 section 3.1: of an issuer with a path, the document is below the well-known part, and nowhere else.
    if (issuer !== null && request.path.startsWith(METADATA_PATH)) request.url = request.path === metadataPath(issuer) ? METADATA_PATH : '/.well-known/nothing';
    // RFC 9728 section 3.1 says the same of a resource.
    if (publicUrl !== undefined && request.path.startsWith(RESOURCE_METADATA_PATH)) {
      request.url = request.path === new URL(resourceMetadataUrl(publicUrl)).pathname ? RESOURCE_METADATA_PATH : '/.well-known/nothing';
    }
    next();
  });

  router.get(RESOURCE_METADATA_PATH, (_request, response) => {
    if (publicUrl === undefined) throw new Problem('not_found', 'the broker does not know where clients reach it (http.public_url)');
    response.set('Cache-Control', 'public, max-age=300').json(resourceMetadata(publicUrl, deps.takesCertificates));
  });

  router.get(METADATA_PATH, (_request, response) => {
    if (issuer === null) throw new Problem('not_found', 'no provider signs tokens here');
    response.set('Cache-Control', 'public, max-age=300').json(authorizationServerMetadata(issuer, deps.assertionAlgorithms, { offersDpop: deps.dpop !== undefined, takesCertificates: deps.takesCertificates, mtlsUrl: deps.mtlsUrl }));
  });

  router.get('/oauth2/schemas/task-v1.json', (_request, response) => {
    response.type('application/schema+json').json(taskDetailsSchema);
  });

  router.post('/oauth2/token', tokenEndpoint(deps));
  router.post('/oauth2/introspect', introspection(deps));
  router.post('/oauth2/revoke', revocation(deps));

  return router;
}
