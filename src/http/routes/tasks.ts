import { Router, type Request, type Response } from 'express';
import { z } from 'zod';
import type { AgentDirectory } from '../../agents/agent-directory.ts';
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
import type { CountedPage, Ledger } from '../../ledger/ledger.ts';
import { taskId } from '../../revocation/selector.ts';
import { completeTask, type CompleteTaskDeps } from '../../revocation/complete-task.ts';
import { invalidRequest, parse, parseClaim, parseCompletion, parseCredentialRequest, parseDeclaration, parseDelegation, parseExtension, parseReissue, parseToolCallReport } from '../../task/declaration.ts';
import { mayOnTask, type TaskOperation } from '../../task/task-access.ts';
import { isWaiting, TASK_STATES, type Task } from '../../task/task.ts';
import { authenticate, authenticateOperator, authenticateWorkload } from '../authenticate.ts';
import { once, type IdempotencyLedger } from '../idempotency.ts';
import { given, pageQuery, parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { TaskWaits } from '../task-waits.ts';
import { completedView, credentialView, extensionView, handoverView, seenTaskView, taskView } from '../task-view.ts';

export interface TaskRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: IdempotencyLedger & Pick<Ledger, 'getTask' | 'leasesOfTask' | 'listTasks' | 'searchTasks' | 'treeFrom' | 'heartbeat' | 'endTask' | 'endLease' | 'recordEvent'>;
  readonly agents: AgentDirectory;
  readonly grant: GrantDeps;
  readonly complete: CompleteTaskDeps;
  /** Whether this process is about to end. */
  readonly stopping: () => boolean;
}

/** What `GET /v1/tasks` can be asked. */
export const taskListQuery = {
  ...pageQuery,
  state: z.enum(TASK_STATES).optional(),
  agent: z.string().optional(),
  purpose: z.string().optional(),
  live: z.literal('true').optional().describe('those that have not ended; for operators'),
  owner: z.string().min(1).max(256).optional().describe('of agents of the register, as it is now; for operators'),
  root: taskId.optional().describe('the task and all below it, each after its parent; for operators, and alone'),
};

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
    const caller = await authenticate(request, deps.authenticator);
    const query = parseQuery(request, taskListQuery);
    if (caller.kind === 'operator') {
      const page = await searchTasks(query, deps);
      const tagOf = await deps.agents.describe(page.items.map((task) => task.agent));
      response.json({ items: page.items.map((task) => seenTaskView(task, tagOf(task.agent))), next_cursor: page.nextCursor, total: page.total });
      return;
    }
    const { state, purpose, agent, cursor, limit } = query;
    const foreign = FOR_OPERATORS.filter((word) => query[word] !== undefined);
    if (foreign.length > 0) throw invalidRequest(foreign.map((word) => ({ pointer: `/${word}`, detail: 'is for operators' })));
    // Lists hold only one's own: the agent filter narrows that, it never widens it.
    const page = await deps.ledger.listTasks({ agent: caller, limit, ...given({ state, purpose, cursor }) });
    const visible = page.items.filter((task) => mayOnTask('get', task, caller) && (agent === undefined || task.agent.subject === agent));
    response.json({ items: visible.map(taskView), next_cursor: page.nextCursor });
  });

  router.get('/v1/tasks/:id/tree', async (request, response) => {
    await authenticateOperator(request, deps.authenticator, 'viewer');
    const { root } = await taskInPath(request, deps.ledger);
    const tasks = await deps.ledger.treeFrom(root);
    const [tagOf, leases] = await Promise.all([deps.agents.describe(tasks.map((task) => task.agent)), Promise.all(tasks.map((task) => deps.ledger.leasesOfTask(task.id)))]);
    response.json({ tree: tasks.map((task, index) => ({ task: seenTaskView(task, tagOf(task.agent)), credentials: (leases[index] ?? []).map(credentialView) })) });
  });

  router.get('/v1/tasks/:id', async (request, response) => {
    const caller = await authenticate(request, deps.authenticator);
    const found = caller.kind === 'operator' ? await taskInPath(request, deps.ledger) : await ownTaskOf(caller, request, 'get', deps);
    const task = await waits.untilMoved(found, request, response);
    // A caller that hung up while it waited.
    if (response.destroyed) return;
    const leases = await deps.ledger.leasesOfTask(task.id);
    const view = caller.kind === 'operator' ? seenTaskView(task, (await deps.agents.describe([task.agent]))(task.agent)) : taskView(task);
    response.json({ task: view, credentials: leases.map(credentialView) });
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
  return { task: await ownTaskOf(caller, request, operation, deps, onStranger), caller };
}

async function ownTaskOf(caller: Workload, request: Request, operation: TaskOperation, deps: Pick<TaskRoutesDeps, 'ledger'>, onStranger?: (caller: Workload, task: Task) => Promise<unknown>): Promise<Task> {
  const task = await taskInPath(request, deps.ledger);
  if (mayOnTask(operation, task, caller)) return task;
  await onStranger?.(caller, task);
  throw noSuchTask();
}

async function taskInPath(request: Request, ledger: Pick<Ledger, 'getTask'>): Promise<Task> {
  const id = String(request.params['id']);
  const task = isTaskId(id) ? await ledger.getTask(id) : null;
  if (task === null) throw noSuchTask();
  return task;
}

const noSuchTask = (): Problem => new Problem('not_found', 'there is no such task');

/** Words of the list that nobody but operators can ask by. */
const FOR_OPERATORS = ['live', 'owner', 'root'] as const;

/** Tasks of anybody, for operators. Throws `invalid_request` for words that do not go together. */
async function searchTasks({ state, live, agent, owner, purpose, root, cursor, limit }: z.infer<z.ZodObject<typeof taskListQuery>>, deps: Pick<TaskRoutesDeps, 'ledger' | 'agents'>): Promise<CountedPage<Task>> {
  if (root !== undefined) {
    if ([state, live, agent, owner, purpose, cursor].some((word) => word !== undefined)) throw invalidRequest([{ pointer: '/root', detail: 'stands alone: a tree is answered whole' }]);
    const items = await deps.ledger.treeFrom(root);
    return { items, nextCursor: null, total: items.length };
  }
  if (live !== undefined && state === 'ended') throw invalidRequest([{ pointer: '/state', detail: 'a task that has ended is not live' }]);
  const agents = owner === undefined ? undefined : await deps.agents.agentsOf(owner);
  return deps.ledger.searchTasks({ limit, ...given({ state, agent, agents, purpose, cursor, live: live === undefined ? undefined : true }) });
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
