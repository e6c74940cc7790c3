import { Router } from 'express';
import { isRevocationId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger, RevocationRecord } from '../../ledger/ledger.ts';
import { parseRevocationRequest, requestRevocation, type RequestRevocationDeps } from '../../revocation/request-revocation.ts';
import { selectLive } from '../../revocation/select-live.ts';
import { authenticateOperator } from '../authenticate.ts';
import { dryRunView, revocationView } from '../lease-view.ts';
import { jsonBody } from '../read-json.ts';

export interface RevocationRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getRevocation' | 'getLeases'>;
  readonly revocation: RequestRevocationDeps;
}

/** `/v1/revocations`: the operator's way to end credentials on demand. */
export function revocationRoutes(deps: RevocationRoutesDeps): Router {
  const router = Router();

  const withProgress = async (record: RevocationRecord): Promise<Record<string, unknown>> => {
    const leases = await deps.ledger.getLeases(record.leases);
    return { revocation: revocationView(record, leases.filter((lease) => lease !== null)) };
  };

  router.post('/v1/revocations', async (request, response) => {
    const operator = await authenticateOperator(request, deps.authenticator, 'operator');
    const wanted = parseRevocationRequest(jsonBody(request));
    const selected = await selectLive(wanted.selector, deps.revocation.ledger);
    if (wanted.dry_run) {
      response.json({ revocation: dryRunView(wanted.selector, wanted.reason, selected.leases, selected.tasks.length) });
      return;
    }
    const by = { issuer: operator.issuer, subject: operator.subject };
    const record = await requestRevocation(wanted, selected, by, deps.revocation);
    response.status(202).location(`/v1/revocations/${record.id}`).json(await withProgress(record));
  });

  router.get('/v1/revocations/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const { id } = request.params;
    const record = isRevocationId(id) ? await deps.ledger.getRevocation(id) : null;
    if (record === null) throw new Problem('not_found', 'there is no such revocation');
    response.json(await withProgress(record));
  });

  return router;
}
