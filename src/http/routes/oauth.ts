import { Router, type Request } from 'express';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import { sameWorkload, type Authenticator, type Caller } from '../../identity/caller.ts';
import type { Lease } from '../../ledger/lease.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { JwtProvider } from '../../providers/jwt/jwt-provider.ts';
import { authenticate } from '../authenticate.ts';

export interface OAuthRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getLease'>;
  readonly clock: Clock;
  readonly jwtProviders: readonly JwtProvider[];
  readonly resourceServers: Config['introspection']['resource_servers'];
}

/** What is said of every token that is not good, whatever the reason (RFC 7662 section 2.2). */
const INACTIVE = { active: false };

/** The keys of minted tokens, and whether one is still good: asked of the ledger at each call, so a revocation is seen at the next. */
export function oauthRoutes(deps: OAuthRoutesDeps): Router {
  const router = Router();

  router.get('/.well-known/jwks.json', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').json({ keys: deps.jwtProviders.flatMap((provider) => provider.jwks()) });
  });

  router.post('/oauth2/introspect', async (request, response) => {
    const caller = await authenticate(request, deps.authenticator);
    const token = formField(request, 'token');
    for (const provider of deps.jwtProviders) {
      const presented = provider.read(token);
      if (presented === undefined) continue;
      const lease = await deps.ledger.getLease(presented.leaseId);
      const good =
        lease?.provider === provider.name &&
        lease.state === 'active' &&
        deps.clock.now() < lease.dueAtMs &&
        presented.belongsTo(lease) &&
        mayIntrospect(caller, lease, provider.audienceOf(lease.credential), deps);
      response.json(good ? provider.describe(lease) : INACTIVE);
      return;
    }
    response.json(INACTIVE);
  });

  return router;
}

/** A resource server for its own audiences, an agent for its own tokens, an operator for all: anyone else learns nothing. */
function mayIntrospect(caller: Caller, lease: Lease, audience: string, { resourceServers }: OAuthRoutesDeps): boolean {
  if (caller.kind === 'operator' || sameWorkload(caller, lease.agent)) return true;
  return resourceServers.some((server) => sameWorkload(server, caller) && server.audiences.includes(audience));
}

/** One field of a form body, as OAuth calls send it. */
function formField(request: Request, name: string): string {
  if (!request.is('application/x-www-form-urlencoded')) throw new Problem('unsupported_media_type', 'send the body as application/x-www-form-urlencoded');
  const bytes: unknown = request.body;
  const values = new URLSearchParams(Buffer.isBuffer(bytes) ? bytes.toString('utf8') : '').getAll(name);
  const [value, ...more] = values;
  if (value === undefined || value === '' || more.length > 0) {
    throw new Problem('invalid_request', `the form needs ${name}, once`, { errors: [{ pointer: `/${name}`, detail: 'is required, once' }] });
  }
  return value;
}
