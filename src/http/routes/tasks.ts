import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { isTaskId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { declareTask, type DeclaredTask } from '../../grant/declare-task.ts';
import { grantCredential } from '../../grant/grant-credential.ts';
import type { GrantDeps } from '../../grant/grant-deps.ts';
import type { Authenticator, Workload } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { completeTask, type CompleteTaskDeps } from '../../revocation/complete-task.ts';
import { parse, parseCompletion, parseCredentialRequest, parseDeclaration } from '../../task/declaration.ts';
import { mayOnTask, type TaskOperation } from '../../task/task-access.ts';
import { TASK_STATES, type Task } from '../../task/task.ts';
import { authenticateWorkload } from '../authenticate.ts';
import { given, pageQuery, parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { credentialView, handoverView, taskView } from '../task-view.ts';

export interface TaskRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: Pick<Ledger, 'getTask' | 'leasesOfTask' | 'listTasks' | 'heartbeat' | 'endTask' | 'endLease'>;
  readonly grant: GrantDeps;
  readonly complete: CompleteTaskDeps;
}

/** What `GET /v1/tasks` can be asked. */
export const taskListQuery = { ...pageQuery, state: z.enum(TASK_STATES).optional(), agent: z.string().optional(), purpose: z.string().optional() };

/** `/v1/tasks`: declare, look, add a credential, stay alive, complete. Each route is a list of named steps. */
export function taskRoutes(deps: TaskRoutesDeps): Router {
  const router = Router();

  router.post('/v1/tasks', async (request, response) => {
    const caller = await authenticateWorkload(request, deps.authenticator);
    const declaration = parseDeclaration(jsonBody(request));
    const declared = await declareTask(declaration, caller, deps.grant);
    await handOver(declared, response, () => deps.ledger.endTask(declared.task.id, 'mint_interrupted', caller));
  });

  router.get('/v1/tasks', async (request, response) => {
    const caller = await authenticateWorkload(request, deps.authenticator);
    const { state, purpose, agent, cursor, limit } = parseQuery(request, taskListQuery);
    // Lists hold only one's own: the agent filter narrows that, it never widens it.
    const page = await deps.ledger.listTasks({ agent: caller, limit, ...given({ state, purpose, cursor }) });
    const visible = page.items.filter((task) => mayOnTask('get', task, caller) && (agent === undefined || task.agent.subject === agent));
    response.json({ items: visible.map(taskView), next_cursor: page.nextCursor });
  });

  router.get('/v1/tasks/:id', async (request, response) => {
    const { task } = await ownTask(request, 'get', deps);
    const leases = await deps.ledger.leasesOfTask(task.id);
    response.json({ task: taskView(task), credentials: leases.map(credentialView) });
  });

  router.post('/v1/tasks/:id/credentials', async (request, response) => {
    const { task, caller } = await ownTask(request, 'credentials', deps);
    const wanted = parseCredentialRequest(jsonBody(request));
    const declared = await grantCredential(task, wanted, deps.grant);
    await handOver(declared, response, () =>
      Promise.all(declared.granted.map(({ intent }) => deps.ledger.endLease(intent.id, 'mint_interrupted', caller))),
    );
  });

  router.post('/v1/tasks/:id/heartbeat', async (request, response) => {
    const { task } = await ownTask(request, 'heartbeat', deps);
    parse(z.strictObject({}), jsonBody(request));
    const alive = await deps.ledger.heartbeat(task.id);
    if (alive?.state !== 'active') throw new Problem('task_not_active', `the task is ${alive?.state ?? 'gone'}`);
    const leases = await deps.ledger.leasesOfTask(task.id);
    response.json({ task: taskView(alive), credentials: leases.map(credentialView) });
  });

  router.post('/v1/tasks/:id/complete', async (request, response) => {
    const { task, caller } = await ownTask(request, 'complete', deps);
    const completion = parseCompletion(jsonBody(request));
    const completed = await completeTask(task, completion, caller, deps.complete);
    response
      .status(completed.settled ? 200 : 202)
      .json({ task: taskView(completed.task), credentials: completed.leases.map(credentialView) });
  });

  return router;
}

/** The task in the path, if the caller may do this to it; to anyone else it does not exist. */
async function ownTask(request: Request, operation: TaskOperation, deps: TaskRoutesDeps): Promise<{ task: Task; caller: Workload }> {
  const caller = await authenticateWorkload(request, deps.authenticator);
  const id = String(request.params['id']);
  const task = isTaskId(id) ? await deps.ledger.getTask(id) : null;
  if (task === null || !mayOnTask(operation, task, caller)) throw new Problem('not_found', 'there is no such task');
  return { task, caller };
}

/** Writes the secrets into the answer, once. A caller that hung up meanwhile will never have them: they are ended. */
async function handOver(declared: DeclaredTask, response: Response, takeBack: () => Promise<unknown>): Promise<void> {
  if (response.destroyed) {
    await takeBack();
    return;
  }
  const waiting = declared.task.state === 'pending_approval';
  response
    .status(waiting ? 202 : 201)
    .location(`/v1/tasks/${declared.task.id}`)
    .json({ task: taskView(declared.task), credentials: declared.granted.map(handoverView) });
}
