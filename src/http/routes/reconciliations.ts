import { Router } from 'express';
import { isReconciliationId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { parseReconciliationRequest, requestReconciliation, type RequestReconciliationDeps } from '../../revocation/request-reconciliation.ts';
import { authenticateOperator } from '../authenticate.ts';
import { jsonBody } from '../read-json.ts';
import { reconciliationView } from '../reconciliation-view.ts';

export interface ReconciliationRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getReconciliation'>;
  readonly reconciliation: RequestReconciliationDeps;
}

/** `/v1/reconciliations`: what is live at the targets, compared with the records, now. */
export function reconciliationRoutes(deps: ReconciliationRoutesDeps): Router {
  const router = Router();

  router.post('/v1/reconciliations', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    const { dry_run: dryRun } = parseReconciliationRequest(jsonBody(request));
    const record = await requestReconciliation(dryRun, { issuer, subject }, deps.reconciliation);
    response.status(202).location(`/v1/reconciliations/${record.id}`).json({ reconciliation: reconciliationView(record) });
  });

  router.get('/v1/reconciliations/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const id = request.params.id;
    const record = isReconciliationId(id) ? await deps.ledger.getReconciliation(id) : null;
    if (record === null) throw new Problem('not_found', 'there is no such reconciliation; one is kept for a day');
    response.json({ reconciliation: reconciliationView(record) });
  });

  return router;
}
