import { Router, type Request } from 'express';
import { z } from 'zod';
import type { Risk } from '../../config/config-words.ts';
import { isTaskId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { decideApproval, parseApprovalRequest, type DecideApprovalDeps } from '../../grant/decide-approval.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Task } from '../../task/task.ts';
import { APPROVAL_STATES, approvalState, approvalView } from '../approval-view.ts';
import { authenticateOperator } from '../authenticate.ts';
import { given, pageQuery, parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { credentialView, taskView } from '../task-view.ts';

export interface ApprovalRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getTask' | 'listApprovals' | 'leasesOfTask'>;
  readonly decide: DecideApprovalDeps;
  /** How much harm each action can do, as the operator rates it. */
  readonly risk: Readonly<Record<string, Risk>>;
}

/** What `GET /v1/approvals` can be asked. */
export const approvalListQuery = { ...pageQuery, state: z.enum(APPROVAL_STATES).default('waiting').describe('those that wait come oldest first, others newest first') };

/** `/v1/approvals`: what waits for a human, and the human's answer. */
export function approvalRoutes(deps: ApprovalRoutesDeps): Router {
  const router = Router();
  const view = (task: Task) => approvalView(task, deps.risk);

  router.get('/v1/approvals', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const { state, cursor, limit } = parseQuery(request, approvalListQuery);
    const page = await deps.ledger.listApprovals({ waiting: state === 'waiting', matches: (task) => approvalState(task) === state, limit, ...given({ cursor }) });
    response.json({ items: page.items.map(view), next_cursor: page.nextCursor });
  });

  router.get('/v1/tasks/:id/approval', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    response.json({ approval: view(await askedTask(request, deps.ledger)) });
  });

  router.post('/v1/tasks/:id/approval', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, 'operator');
    const asked = await askedTask(request, deps.ledger);
    const wanted = parseApprovalRequest(jsonBody(request));
    const task = await decideApproval(asked, wanted, { issuer, subject }, deps.decide);
    const leases = await deps.ledger.leasesOfTask(task.id);
    response.json({ task: taskView(task), credentials: leases.map(credentialView), approval: view(task) });
  });

  return router;
}

/** The task in the path, if a human was ever asked about it. */
async function askedTask(request: Request, ledger: Pick<Ledger, 'getTask'>): Promise<Task> {
  const id = String(request.params['id']);
  const task = isTaskId(id) ? await ledger.getTask(id) : null;
  if (task === null) throw new Problem('not_found', 'there is no such task');
  if (task.approval === null) throw new Problem('not_approvable', 'this task needs no approval');
  return task;
}
