import { Router, type Request } from 'express';
import { z } from 'zod';
import { parseAgentDisabling, parseAgentPatch } from '../../agents/agent-registration.ts';
import type { RegisteredAgent } from '../../agents/agent-register.ts';
import { changeAgent, disableAgent, enableAgent, registerAgent, type ChangeAgentsDeps } from '../../agents/change-agents.ts';
import type { Clock } from '../../core/clock.ts';
import { isAgentId, type AgentId } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import type { Authenticator, OperatorRole } from '../../identity/caller.ts';
import type { WorkloadId } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { revocationProgress, type ProgressLedger } from '../../revocation/revocation-progress.ts';
import { invalidRequest, parse } from '../../task/declaration.ts';
import { agentView } from '../agent-view.ts';
import { authenticateOperator } from '../authenticate.ts';
import { given, pageQuery, parseQuery } from '../query.ts';
import { jsonBody } from '../read-json.ts';
import { revocationView } from '../revocation-view.ts';

export interface AgentRoutesDeps {
  readonly authenticator: Authenticator;
  readonly ledger: ProgressLedger & Pick<Ledger, 'liveOfAgent'>;
  readonly agents: ChangeAgentsDeps;
  readonly clock: Clock;
}

/** What `GET /v1/agents` can be asked. */
export const agentListQuery = {
  ...pageQuery,
  subject: z.string().min(1).optional(),
  owner: z.string().min(1).optional(),
  state: z.enum(['enabled', 'disabled']).optional(),
  review_overdue: z.enum(['true', 'false']).optional(),
};

/** Results of the revocation that are shown with a disabled agent; the others are with the revocation. */
const FIRST_RESULTS = 500;

/** `/v1/agents`: who answers for an agent, and the switch that stops it. */
export function agentRoutes(deps: AgentRoutesDeps): Router {
  const router = Router();
  const { register } = deps.agents;
  const view = async (agent: RegisteredAgent) => agentView(agent, await deps.ledger.liveOfAgent(agent.agent), deps.clock.now());
  const operator = async (request: Request, role: OperatorRole): Promise<WorkloadId> => {
    const { issuer, subject } = await authenticateOperator(request, deps.authenticator, role);
    return { issuer, subject };
  };

  router.post('/v1/agents', async (request, response) => {
    const by = await operator(request, 'admin');
    const agent = await registerAgent(jsonBody(request), by, deps.agents);
    response.status(201).location(`/v1/agents/${agent.id}`).json({ agent: await view(agent) });
  });

  router.get('/v1/agents', async (request, response) => {
    await operator(request, 'viewer');
    const { cursor, limit, subject, owner, state, review_overdue: overdue } = parseQuery(request, agentListQuery);
    const filter = given({ subject, owner, state, reviewOverdue: overdue === undefined ? undefined : overdue === 'true', after: idAt(cursor) });
    const { items, more } = await register.list({ limit, ...filter });
    const last = items.at(-1);
    response.json({ items: await Promise.all(items.map(view)), next_cursor: more && last !== undefined ? cursorAt(last.id) : null });
  });

  router.get('/v1/agents/:id', async (request, response) => {
    await operator(request, 'viewer');
    const agent = await register.get(idInPath(request));
    if (agent === null) throw unknownAgent();
    response.json({ agent: await view(agent) });
  });

  router.patch('/v1/agents/:id', async (request, response) => {
    const by = await operator(request, 'admin');
    const patch = parseAgentPatch(jsonBody(request));
    response.json({ agent: await view(await changeAgent(idInPath(request), patch, by, deps.agents)) });
  });

  router.post('/v1/agents/:id/disable', async (request, response) => {
    const by = await operator(request, 'operator');
    const { reason } = parseAgentDisabling(jsonBody(request));
    const { agent, revocation } = await disableAgent(idInPath(request), reason, by, deps.agents);
    const progress = await revocationProgress(revocation, { from: 0, limit: FIRST_RESULTS }, deps.ledger);
    response.json({ agent: await view(agent), revocation: revocationView(progress) });
  });

  router.post('/v1/agents/:id/enable', async (request, response) => {
    const by = await operator(request, 'admin');
    parse(z.strictObject({}), jsonBody(request));
    response.json({ agent: await view(await enableAgent(idInPath(request), by, deps.agents)) });
  });

  return router;
}

const unknownAgent = (): Problem => new Problem('not_found', 'there is no such agent in the register');

function idInPath(request: Request): AgentId {
  const id = String(request.params['id']);
  if (!isAgentId(id)) throw unknownAgent();
  return id;
}

/** Of the form that every cursor has; agents are listed by id, not by time. */
const cursorAt = (id: AgentId): string => Buffer.from(`0:${id}`).toString('base64url');

function idAt(cursor: string | undefined): AgentId | undefined {
  if (cursor === undefined) return undefined;
  const id = Buffer.from(cursor, 'base64url').toString().replace(/^\d+:/, '');
  if (!isAgentId(id)) throw invalidRequest([{ pointer: '/cursor', detail: 'must be a cursor from an earlier answer' }]);
  return id;
}
