import { Router } from 'express';
import { z } from 'zod';
import { Problem } from '../../core/problem.ts';
import { taskDetails } from '../../task/authorization-details.ts';
import { introspection, type IntrospectionDeps } from '../oauth/introspection.ts';
import { authorizationServerMetadata, METADATA_PATH, metadataPath } from '../oauth/metadata.ts';
import { revocation, type RevocationEndpointDeps } from '../oauth/revocation.ts';
import { tokenEndpoint, type TokenEndpointDeps } from '../oauth/token-endpoint.ts';

export interface OAuthRoutesDeps extends TokenEndpointDeps, IntrospectionDeps, RevocationEndpointDeps {
  readonly ledger: TokenEndpointDeps['ledger'] & RevocationEndpointDeps['ledger'];
  /** Signature algorithms of client assertions. */
  readonly assertionAlgorithms: readonly string[];
}

/** The JSON Schema of authorization details. */
const taskDetailsSchema = z.toJSONSchema(taskDetails, { io: 'input' });

/** The OAuth face: what an OAuth client finds, asks for, asks about and gives back, on the same engine as `/v1/tasks`. */
export function oauthRoutes(deps: OAuthRoutesDeps): Router {
  const router = Router();
  const { issuer } = deps;

  router.get('/.well-known/jwks.json', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').json({ keys: deps.jwtProviders.flatMap((provider) => provider.jwks()) });
  });

  router.use((request, _response, next) => {
    // RFC 8414 section 3.1: of an issuer with a path, the document is below the well-known part, and nowhere else.
    if (issuer !== null && request.path.startsWith(METADATA_PATH)) request.url = request.path === metadataPath(issuer) ? METADATA_PATH : '/.well-known/nothing';
    next();
  });

  router.get(METADATA_PATH, (_request, response) => {
    if (issuer === null) throw new Problem('not_found', 'no provider signs tokens here');
    response.set('Cache-Control', 'public, max-age=300').json(authorizationServerMetadata(issuer, deps.assertionAlgorithms, deps.dpop !== undefined));
  });

  router.get('/oauth2/schemas/task-v1.json', (_request, response) => {
    response.type('application/schema+json').json(taskDetailsSchema);
  });

  router.post('/oauth2/token', tokenEndpoint(deps));
  router.post('/oauth2/introspect', introspection(deps));
  router.post('/oauth2/revoke', revocation(deps));

  return router;
}
