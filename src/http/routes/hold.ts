import { Router } from 'express';
import { z } from 'zod';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { requestReconciliation, type RequestReconciliationDeps } from '../../revocation/request-reconciliation.ts';
import { freeText, parse } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { holdView } from '../hold-view.ts';
import { jsonBody } from '../read-json.ts';
import { reconciliationView } from '../reconciliation-view.ts';

export interface HoldRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'currentHold' | 'releaseHold'>;
  readonly reconciliation: RequestReconciliationDeps;
}

/** What `POST /v1/hold/release` takes. */
export const releaseRequest = z.strictObject({ reason: freeText.min(1).describe('for the record') });

/** `/v1/hold`: nothing is granted while the ledger may not know all that is live. */
export function holdRoutes(deps: HoldRoutesDeps): Router {
  const router = Router();

  router.get('/v1/hold', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const hold = await deps.ledger.currentHold();
    response.json({ hold: hold === null ? null : holdView(hold) });
  });

  router.post('/v1/hold/release', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'admin');
    const { reason } = parse(releaseRequest, jsonBody(request));
    const by = { issuer, subject };
    const hold = await deps.ledger.releaseHold(by, reason);
    if (hold === null) throw new Problem('not_held', 'nothing is held: credentials are granted');
    const record = await requestReconciliation(false, by, deps.reconciliation);
    response.json({ hold: holdView(hold), reconciliation: reconciliationView(record) });
  });

  return router;
}
