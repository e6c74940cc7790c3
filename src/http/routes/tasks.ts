import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import { isTaskId, shardOf } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { claimTask, refused } from '../../grant/claim-task.ts';
import { declareTask, type DeclaredTask } from '../../grant/declare-task.ts';
import { delegateTask } from '../../grant/delegate-task.ts';
import { extendTask } from '../../grant/extend-task.ts';
import { grantCredential, reissueCredential } from '../../grant/grant-credential.ts';
import type { GrantDeps } from '../../grant/grant-deps.ts';
import { reportToolCall } from '../../grant/report-tool-call.ts';
import type { Authenticator, Workload } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { completeTask, type CompleteTaskDeps } from '../../revocation/complete-task.ts';
import { parse, parseClaim, parseCompletion, parseCredentialRequest, parseDeclaration, parseDelegation, parseExtension, parseReissue, parseToolCallReport } from '../../task/declaration.ts';
import { mayOnTask, type TaskOperation } from '../../task/task-access.ts';
import { isWaiting, TASK_STATES, type Task } from '../../task/task.ts';
import { authenticateWorkload } from '../authenticate.ts';
import { once, type IdempotencyLedger } from '../idempotency.ts';
import { given, pageQuery, parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { TaskWaits } from '../task-waits.ts';
import { completedView, credentialView, extensionView, handoverView, taskView } from '../task-view.ts';

export interface TaskRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: IdempotencyLedger & Pick<Ledger, 'leasesOfTask' | 'listTasks' | 'heartbeat' | 'endTask' | 'endLease' | 'recordEvent'>;
  readonly grant: GrantDeps;
  readonly complete: CompleteTaskDeps;
  /** Whether this process is about to end. */
  readonly stopping: () => boolean;
}

/** What `GET /v1/tasks` can be asked. */
export const taskListQuery = { ...pageQuery, state: z.enum(TASK_STATES).optional(), agent: z.string().optional(), purpose: z.string().optional() };

/** `/v1/tasks`: declare, claim, look, add or replace a credential, stay alive, complete. Each route is a list of named steps. */
export function taskRoutes(deps: TaskRoutesDeps): Router {
  const router = Router();
  const waits = new TaskWaits(deps);
  const endLeases = (declared: DeclaredTask, caller: Workload): Promise<unknown> =>
    Promise.all(declared.granted.map(({ intent }) => deps.ledger.endLease(intent.id, 'mint_interrupted', caller)));

  router.post('/v1/tasks', async (request, response) => {
    const caller = await authenticateWorkload(request, deps.authenticator);
    const body = jsonBody(request);
    const declaration = parseDeclaration(body);
    await once(request, response, { caller, call: 'declare', body }, deps.ledger, async (slot) => {
      const declared = await declareTask(declaration, caller, deps.grant, { slot });
      await handOver(declared, response, () => deps.ledger.endTask(declared.task.id, 'mint_interrupted', caller));
    });
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
    const { task: found } = await ownTask(request, 'get', deps);
    const task = await waits.untilMoved(found, request, response);
    // A caller that hung up while it waited.
    if (response.destroyed) return;
    const leases = await deps.ledger.leasesOfTask(task.id);
    response.json({ task: taskView(task), credentials: leases.map(credentialView) });
  });

  router.post('/v1/tasks/:id/credentials', async (request, response) => {
    const { task, caller } = await ownTask(request, 'credentials', deps);
    const body = jsonBody(request);
    const wanted = parseCredentialRequest(body);
    await once(request, response, { caller, call: `credentials of ${task.id}`, body, shard: shardOf(task.id) }, deps.ledger, async (slot) => {
      const declared = await grantCredential(task, wanted, caller, deps.grant, slot);
      await handOver(declared, response, () => endLeases(declared, caller));
    });
  });

  router.post('/v1/tasks/:id/claim', async (request, response) => {
    const { task, caller } = await ownTask(request, 'claim', deps, (stranger, found) => refused(found, stranger, new Problem('not_found', 'it is not for this caller'), deps.ledger));
    const body = jsonBody(request);
    const { claim_ticket: ticket } = parseClaim(body);
    await once(request, response, { caller, call: `claim of ${task.id}`, body, shard: shardOf(task.id) }, deps.ledger, async (slot) => {
      const claimed = await claimTask(task, ticket, caller, deps.grant, { slot });
      await handOver(claimed, response, () => deps.ledger.endTask(task.id, 'mint_interrupted', caller));
    });
  });

  router.post('/v1/tasks/:id/delegate', async (request, response) => {
    const { task, caller } = await ownTask(request, 'delegate', deps);
    const body = jsonBody(request);
    const delegation = parseDelegation(body);
    await once(request, response, { caller, call: `delegation of ${task.id}`, body, shard: shardOf(task.id) }, deps.ledger, async (slot) => {
      const delegated = await delegateTask(task.id, delegation, caller, deps.grant, { slot });
      await handOver(delegated, response, () => deps.ledger.endTask(delegated.task.id, 'revoked', caller));
    });
  });

  router.post('/v1/tasks/:id/reissue', async (request, response) => {
    const { task, caller } = await ownTask(request, 'reissue', deps);
    const { name } = parseReissue(jsonBody(request));
    const reissued = await reissueCredential(task, name, caller, deps.grant);
    await handOver(reissued, response, () => endLeases(reissued, caller));
  });

  router.post('/v1/tasks/:id/extend', async (request, response) => {
    const { task, caller } = await ownTask(request, 'extend', deps);
    const { ttl_seconds: ttlSeconds } = parseExtension(jsonBody(request));
    const extended = await extendTask(task, ttlSeconds, caller, deps.grant);
    response.json({ task: taskView(extended.task), credentials: extended.leases.map(extensionView) });
  });

  router.post('/v1/tasks/:id/tool-calls', async (request, response) => {
    const { task, caller } = await ownTask(request, 'tool_calls', deps);
    const report = parseToolCallReport(jsonBody(request));
    await reportToolCall(task, report, caller, deps.ledger);
    const leases = await deps.ledger.leasesOfTask(task.id);
    response.status(201).json({ task: taskView(task), credentials: leases.map(credentialView), tool_call: { ...report, self_reported: true } });
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
      .json({ task: taskView(completed.task), credentials: completed.leases.map((lease) => completedView(lease, task)) });
  });

  return router;
}

/** The task in the path, if the caller may do this to it; to anyone else it does not exist. */
async function ownTask(
  request: Request,
  operation: TaskOperation,
  deps: TaskRoutesDeps,
  onStranger?: (caller: Workload, task: Task) => Promise<unknown>,
): Promise<{ task: Task; caller: Workload }> {
  const caller = await authenticateWorkload(request, deps.authenticator);
  const id = String(request.params['id']);
  const task = isTaskId(id) ? await deps.ledger.getTask(id) : null;
  const allowed = task !== null && mayOnTask(operation, task, caller);
  if (task !== null && !allowed) await onStranger?.(caller, task);
  if (!allowed) throw new Problem('not_found', 'there is no such task');
  return { task, caller };
}

/** Writes the secrets into the answer, once. A caller that hung up meanwhile will never have them: they are ended. */
async function handOver(declared: DeclaredTask, response: Response, takeBack: () => Promise<unknown>): Promise<void> {
  if (response.destroyed) {
    await takeBack();
    return;
  }
  const { task, granted, claimTicket } = declared;
  response
    .status(isWaiting(task.state) ? 202 : 201)
    .location(`/v1/tasks/${task.id}`)
    .json({ task: { ...taskView(task), ...(claimTicket === undefined ? {} : { claim_ticket: claimTicket }) }, credentials: granted.map(handoverView) });
}
