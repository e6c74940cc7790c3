import { Router, type Request } from 'express';
import { z } from 'zod';
import { isLeaseId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { fromRfc3339 } from '../../core/time.ts';
import type { Clock } from '../../core/clock.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { LEASE_STATES, type Lease } from '../../ledger/lease.ts';
import { allows } from '../../ledger/lease-transitions.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { SigningKeys } from '../../keys/signing-keys.ts';
import { receiptOf, signReceipt } from '../../revocation/receipt.ts';
import { freeText, instant, invalidRequest, parse } from '../../task/declaration.ts';
import { traceIdSchema } from '../answer-schemas.ts';
import { authenticateOperator } from '../authenticate.ts';
import { leaseView } from '../lease-view.ts';
import { jsonBody } from '../read-json.ts';
import { given, pageQuery, parseQuery } from '../query.ts';

export interface LeaseRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getLease' | 'listLeases' | 'changeLease'>;
  readonly clock: Clock;
  readonly nudge: () => void;
  /** Stands on every receipt. */
  readonly deploymentId: string;
  /** Sign receipts; undefined where none are configured. */
  readonly receiptKeys: SigningKeys | undefined;
}

/** What `POST /v1/leases/{id}/acknowledge` takes. */
export const acknowledgement = z.strictObject({ reason: freeText.min(1) });

/** What `GET /v1/leases` can be asked. */
export const leaseListQuery = {
  ...pageQuery,
  state: z.enum(LEASE_STATES).optional(),
  provider: z.string().optional(),
  due_before: instant.optional(),
  trace_id: traceIdSchema.optional(),
};

/** `/v1/leases`: lifetimes, for operators. */
export function leaseRoutes(deps: LeaseRoutesDeps): Router {
  const router = Router();

  router.get('/v1/leases', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const { state, provider, due_before: dueBefore, trace_id: traceId, cursor, limit } = parseQuery(request, leaseListQuery);
    const dueBeforeMs = dueBefore === undefined ? undefined : fromRfc3339(dueBefore);
    if (dueBefore !== undefined && dueBeforeMs === undefined) {
      throw invalidRequest([{ pointer: '/due_before', detail: 'must be an RFC 3339 instant' }]);
    }
    const page = await deps.ledger.listLeases({ limit, ...given({ state, provider, dueBeforeMs, traceId, cursor }) });
    response.json({ items: page.items.map(leaseView), next_cursor: page.nextCursor });
  });

  router.get('/v1/leases/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    response.json({ lease: leaseView(await leaseInPath(request, deps.ledger)) });
  });

  router.get('/v1/leases/:id/receipt', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const lease = await leaseInPath(request, deps.ledger);
    const receipt = receiptOf(lease, deps.deploymentId, deps.clock.now());
    if (receipt === undefined) throw new Problem('lease_not_ended', `the lease is ${lease.state}; there is a receipt once it has ended`);
    response.json({ receipt, jws: deps.receiptKeys === undefined ? null : signReceipt(receipt, deps.receiptKeys) });
  });

  router.get('/v1/receipts/keys', (_request, response) => {
    response.set('Cache-Control', 'public, max-age=300').json({ keys: (deps.receiptKeys ?? []).map(({ publicJwk }) => publicJwk) });
  });

  router.post('/v1/leases/:id/acknowledge', async (request, response) => {
    const operator = await authenticateOperator(request, deps.authenticator, 'operator');
    const { id } = await leaseInPath(request, deps.ledger);
    const { reason } = parse(acknowledgement, jsonBody(request));
    const lease = existing(await deps.ledger.changeLease(id, { type: 'acknowledged', atMs: deps.clock.now(), by: operator.subject, reason }, operator));
    if (!allows(lease.state, 'acknowledged')) throw new Problem('lease_not_stuck', `the lease is ${lease.state}; only a stuck one can be acknowledged`);
    response.json({ lease: leaseView(lease) });
  });

  router.post('/v1/leases/:id/retry', async (request, response) => {
    const operator = await authenticateOperator(request, deps.authenticator, 'operator');
    const { id } = await leaseInPath(request, deps.ledger);
    const lease = existing(await deps.ledger.changeLease(id, { type: 'retry_requested', atMs: deps.clock.now() }, operator));
    deps.nudge();
    response.status(202).json({ lease: leaseView(lease) });
  });

  return router;
}

async function leaseInPath(request: Request, ledger: Pick<Ledger, 'getLease'>): Promise<Lease> {
  const id = String(request.params['id']);
  return existing(isLeaseId(id) ? await ledger.getLease(id) : null);
}

function existing(lease: Lease | null): Lease {
  if (lease === null) throw new Problem('not_found', 'there is no such lease');
  return lease;
}
