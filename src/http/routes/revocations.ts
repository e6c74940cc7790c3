import { Router, type Request } from 'express';
import { z } from 'zod';
import { isRevocationId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { RevocationRecord } from '../../ledger/revocation-records.ts';
import { countLive, parseRevocationRequest, requestRevocation, type RequestRevocationDeps } from '../../revocation/request-revocation.ts';
import { revocationProgress, type ProgressLedger } from '../../revocation/revocation-progress.ts';
import { parse } from '../../task/declaration.ts';
import { authenticateOperator } from '../authenticate.ts';
import { parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { dryRunView, revocationView } from '../revocation-view.ts';

export interface RevocationRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: ProgressLedger & Pick<Ledger, 'getRevocation' | 'cancelRevocation'>;
  readonly revocation: RequestRevocationDeps;
}

/** Results of a page where the caller names no limit, and at most. */
const RESULTS = 500;
const FIRST_PAGE = { from: 0, limit: RESULTS };

/** What `GET /v1/revocations/{id}` can be asked. */
export const revocationQuery = {
  cursor: z.string().regex(/^\d{1,9}$/, 'a cursor from an earlier answer').optional(),
  limit: z.coerce.number().int().min(1).max(RESULTS).default(RESULTS),
};

/** `/v1/revocations`: the operator's way to end credentials on demand. */
export function revocationRoutes(deps: RevocationRoutesDeps): Router {
  const router = Router();
  const view = async (record: RevocationRecord, page = FIRST_PAGE) => ({ revocation: revocationView(await revocationProgress(record, page, deps.ledger)) });

  router.post('/v1/revocations', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    const { dry_run: dryRun, ...wanted } = parseRevocationRequest(jsonBody(request));
    if (dryRun) {
      const wouldEnd = await countLive(wanted.selector, RESULTS, deps.revocation.ledger);
      response.json({ revocation: dryRunView(wanted.selector, wanted.reason, wouldEnd) });
      return;
    }
    const record = await requestRevocation(wanted, { issuer, subject }, deps.revocation);
    response.status(202).location(`/v1/revocations/${record.id}`).json(await view(record));
  });

  router.get('/v1/revocations/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const record = found(await byPath(request, (id) => deps.ledger.getRevocation(id)));
    const { cursor, limit } = parseQuery(request, revocationQuery);
    response.json(await view(record, { from: Number(cursor ?? 0), limit }));
  });

  router.post('/v1/revocations/:id/cancel', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    parse(z.strictObject({}), jsonBody(request));
    const record = found(await byPath(request, (id) => deps.ledger.cancelRevocation(id, { issuer, subject })));
    response.json(await view(record));
  });

  return router;
}

async function byPath(request: Request, read: (id: RevocationRecord['id']) => Promise<RevocationRecord | null>): Promise<RevocationRecord | null> {
  const id = String(request.params['id']);
  return isRevocationId(id) ? read(id) : null;
}

function found(record: RevocationRecord | null): RevocationRecord {
  if (record === null) throw new Problem('not_found', 'there is no such revocation');
  return record;
}
