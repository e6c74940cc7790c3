import { Router } from 'express';
import type { Authenticator } from '../../identity/caller.ts';
import type { BrokerSnapshot } from '../../revocation/broker-snapshot.ts';
import { authenticateOperator } from '../authenticate.ts';
import { overviewView } from '../overview-view.ts';

export interface OverviewRoutesDeps {
  readonly authenticator: Authenticator;
  readonly snapshot: () => Promise<BrokerSnapshot>;
  readonly version: string;
  readonly deploymentId: string;
}

/** `/v1/overview`: whether every credential that should be dead is dead, and what comes next, in one answer. */
export function overviewRoutes({ authenticator, snapshot, version, deploymentId }: OverviewRoutesDeps): Router {
  const router = Router();

  router.get('/v1/overview', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    response.json({ version, deployment_id: deploymentId, ...overviewView(await snapshot()) });
  });

  return router;
}
