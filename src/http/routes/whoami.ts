import { Router } from 'express';
import type { Clock } from '../../core/clock.ts';
import { toRfc3339 } from '../../core/time.ts';
import type { Authenticator, Operator } from '../../identity/caller.ts';
import { authenticate } from '../authenticate.ts';

export interface WhoamiRoutesDeps {
  readonly authenticator: Authenticator;
  readonly clock: Clock;
}

/** `/v1/whoami`: for whom the broker takes the caller, until when, and what time it is here: countdowns go by this clock. */
export function whoamiRoutes(deps: WhoamiRoutesDeps): Router {
  const router = Router();

  router.get('/v1/whoami', async (request, response) => {
    const caller = await authenticate(request, deps.authenticator);
    response.json({
      caller: {
        kind: caller.kind,
        subject: caller.subject,
        issuer: caller.issuer,
        role: caller.kind === 'operator' ? caller.role : null,
        instance: caller.kind === 'workload' ? caller.instance : null,
        sender_bound: caller.kind === 'workload' && caller.senderBound,
        token_expires_at: toRfc3339(caller.tokenExpiresAtMs),
      },
      session: caller.kind === 'operator' && caller.session !== undefined ? sessionView(caller.session) : null,
      now: toRfc3339(deps.clock.now()),
    });
  });

  return router;
}

const sessionView = ({ endsAtMs, idleEndsAtMs }: NonNullable<Operator['session']>) => ({ expires_at: toRfc3339(endsAtMs), idle_expires_at: toRfc3339(idleEndsAtMs) });
