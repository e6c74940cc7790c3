import type { RequestHandler } from 'express';
import type { Config } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { sameWorkload, type Caller } from '../../identity/caller.ts';
import type { Lease } from '../../ledger/lease.ts';
import { authenticateCaller, type AuthenticateClientDeps } from './authenticate-client.ts';
import { readForm } from './oauth-form.ts';
import { presentedLease, type PresentedLeaseDeps } from './presented-lease.ts';

export interface IntrospectionDeps extends AuthenticateClientDeps, PresentedLeaseDeps {
  readonly clock: Clock;
  readonly resourceServers: Config['introspection']['resource_servers'];
}

/** What is said of every token that is not good, whatever the reason (RFC 7662 section 2.2). */
const INACTIVE = { active: false };

/** Whether a token is still good: asked of the ledger at each call, so that a revocation anywhere is seen at the next (RFC 7662). */
export function introspection(deps: IntrospectionDeps): RequestHandler {
  return async (request, response) => {
    const form = readForm(request);
    const caller = await authenticateCaller(request, form, deps);
    // There is one kind of token here: a hint (section 2.1) could only mislead.
    const found = await presentedLease(form.need('token'), deps);
    if (found === null) {
      response.json(INACTIVE);
      return;
    }
    const { lease, provider } = found;
    const good = lease.state === 'active' && deps.clock.now() < lease.dueAtMs && mayIntrospect(caller, lease, provider.audienceOf(lease.credential), deps);
    response.json(good ? provider.describe(lease) : INACTIVE);
  };
}

/** A resource server for its own audiences, an agent for its own tokens, an operator for all: anyone else learns nothing. */
function mayIntrospect(caller: Caller, lease: Lease, audience: string, { resourceServers }: IntrospectionDeps): boolean {
  if (caller.kind === 'operator' || sameWorkload(caller, lease.agent)) return true;
  return resourceServers.some((server) => sameWorkload(server, caller) && server.audiences.includes(audience));
}
