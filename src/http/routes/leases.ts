import { Router, type Request } from 'express';
import { z } from 'zod';
import type { AgentDirectory } from '../../agents/agent-directory.ts';
import { isLeaseId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { fromRfc3339 } from '../../core/time.ts';
import type { Clock } from '../../core/clock.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { isFinal, LEASE_STATES, type Lease } from '../../ledger/lease.ts';
import { allows } from '../../ledger/lease-transitions.ts';
import type { LeaseFilter, Ledger } from '../../ledger/ledger.ts';
import type { SigningKeys } from '../../keys/signing-keys.ts';
import { taskId } from '../../revocation/selector.ts';
import { receiptOf, signReceipt } from '../../revocation/receipt.ts';
import { freeText, instant, invalidRequest, parse } from '../../task/declaration.ts';
import { traceIdSchema } from '../answer-schemas.ts';
import { authenticateOperator } from '../authenticate.ts';
import { leaseView } from '../lease-view.ts';
import { jsonBody } from '../read-json.ts';
import { given, pageQueryUpTo, parseQuery } from '../query.ts';
import { sendPage } from '../send-page.ts';

export interface LeaseRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getLease' | 'listLeases' | 'changeLease'>;
  readonly agents: AgentDirectory;
  readonly clock: Clock;
  readonly nudge: () => void;
  /** Stands on every receipt. */
  readonly deploymentId: string;
  /** Sign receipts; undefined where none are configured. */
  readonly receiptKeys: SigningKeys | undefined;
}

/** What `POST /v1/leases/{id}/acknowledge` takes. */
export const acknowledgement = z.strictObject({ reason: freeText.min(1) });

const name = z.string().min(1).max(64);
const subject = z.string().min(1).max(2_048);

/** What `GET /v1/leases` can be asked. */
export const leaseListQuery = {
  ...pageQueryUpTo(5_000),
  state: z.enum(LEASE_STATES).optional(),
  live: z.literal('true').optional().describe('those that are not final'),
  agent: subject.optional().describe('a subject, whichever issuer vouches for it'),
  owner: z.string().min(1).max(256).optional().describe('of agents of the register, as it is now'),
  provider: name.optional(),
  purpose: name.optional(),
  credential: name.optional(),
  task: taskId.optional(),
  tree: taskId.optional().describe('the task, and all below it'),
  due_before: instant.optional(),
  trace_id: traceIdSchema.optional(),
  order: z.literal('due').optional().describe('by due time, soonest first: live leases, and disclosed ones. It is the order of live states, of `live` and of `due_before` anyway; all else is by creation, newest first'),
};

/** `/v1/leases`: lifetimes, for operators. */
export function leaseRoutes(deps: LeaseRoutesDeps): Router {
  const router = Router();
  const view = async (lease: Lease) => leaseView(lease, (await deps.agents.describe([lease.agent]))(lease.agent));

  router.get('/v1/leases', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const filter = await wantedLeases(parseQuery(request, leaseListQuery), deps.agents);
    const page = await deps.ledger.listLeases(filter);
    const tagOf = await deps.agents.describe(page.items.map((lease) => lease.agent));
    await sendPage(response, page.items, (lease) => leaseView(lease, tagOf(lease.agent)), { next_cursor: page.nextCursor, total: page.total });
  });

  router.get('/v1/leases/:id', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    response.json({ lease: await view(await leaseInPath(request, deps.ledger)) });
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
    response.json({ lease: await view(lease) });
  });

  router.post('/v1/leases/:id/retry', async (request, response) => {
    const operator = await authenticateOperator(request, deps.authenticator, 'operator');
    const { id } = await leaseInPath(request, deps.ledger);
    const lease = existing(await deps.ledger.changeLease(id, { type: 'retry_requested', atMs: deps.clock.now() }, operator));
    deps.nudge();
    response.status(202).json({ lease: await view(lease) });
  });

  return router;
}

/** Throws `invalid_request` for words that no lease can match together. */
async function wantedLeases(query: z.infer<z.ZodObject<typeof leaseListQuery>>, agents: Pick<AgentDirectory, 'agentsOf'>): Promise<LeaseFilter> {
  const { limit, state, live, order, owner, agent, provider, purpose, credential, task, tree, due_before: dueBefore, trace_id: traceId, cursor } = query;
  const dueBeforeMs = dueBefore === undefined ? undefined : fromRfc3339(dueBefore);
  if (dueBefore !== undefined && dueBeforeMs === undefined) throw invalidRequest([{ pointer: '/due_before', detail: 'must be an RFC 3339 instant' }]);
  const onSchedule = live ?? order ?? dueBefore;
  if (state !== undefined && isFinal(state) && onSchedule !== undefined && (state !== 'disclosed' || live !== undefined)) {
    throw invalidRequest([{ pointer: '/state', detail: `a lease that is ${state} is final; \`live\`, \`order=due\` and \`due_before\` list what is not` }]);
  }
  return {
    limit,
    ...given({ state, agent, provider, purpose, credential, task, tree, dueBeforeMs, traceId, cursor }),
    ...given({ live: live === undefined ? undefined : true, byDueTime: order === undefined ? undefined : true, agents: owner === undefined ? undefined : await agents.agentsOf(owner) }),
  };
}

async function leaseInPath(request: Request, ledger: Pick<Ledger, 'getLease'>): Promise<Lease> {
  const id = String(request.params['id']);
  return existing(isLeaseId(id) ? await ledger.getLease(id) : null);
}

function existing(lease: Lease | null): Lease {
  if (lease === null) throw new Problem('not_found', 'there is no such lease');
  return lease;
}
