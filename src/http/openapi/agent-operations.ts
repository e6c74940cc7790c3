import { z } from 'zod';
import { agentDisabling, agentPatch, agentRegistration } from '../../agents/agent-registration.ts';
import { agentAnswer, agentList, disabledAgentAnswer } from '../agent-view.ts';
import { agentIdSchema } from '../answer-schemas.ts';
import { agentListQuery } from '../routes/agents.ts';
import type { OperationArea } from './operation.ts';

const params = { id: agentIdSchema };

export const AGENT_OPERATIONS: OperationArea = {
  name: 'agents',
  description: 'Who answers for an agent, and the switch that stops it, for operators.',
  operations: [
    {
      method: 'post',
      path: '/v1/agents',
      id: 'registerAgent',
      summary: 'Register an agent',
      description: 'Its purposes are out of the policy schema, its issuer is one of those that may vouch for workloads.',
      caller: 'admin',
      body: agentRegistration,
      answers: { 201: { description: 'registered', schema: agentAnswer, headers: { Location: 'the agent' } } },
      problems: ['agent_exists', 'agent_configured', 'limit_exceeded'],
    },
    {
      method: 'get',
      path: '/v1/agents',
      id: 'listAgents',
      summary: 'List agents',
      description: 'Those of the configuration too, by id.',
      caller: 'viewer',
      query: agentListQuery,
      answers: { 200: { description: 'a page of agents', schema: agentList } },
    },
    {
      method: 'get',
      path: '/v1/agents/{id}',
      id: 'getAgent',
      summary: 'Look at an agent',
      caller: 'viewer',
      params,
      answers: { 200: { description: 'the agent', schema: agentAnswer } },
    },
    {
      method: 'patch',
      path: '/v1/agents/{id}',
      id: 'changeAgent',
      summary: 'Change what is said of an agent',
      description: 'What is not named stays. Who an agent is never changes.',
      caller: 'admin',
      params,
      body: agentPatch,
      answers: { 200: { description: 'the agent as it now is', schema: agentAnswer } },
      problems: ['agent_configured', 'limit_exceeded'],
    },
    {
      method: 'post',
      path: '/v1/agents/{id}/disable',
      id: 'disableAgent',
      summary: 'Stop an agent',
      description: 'Answered when nothing is granted any more to it, to what it declared or to what came through it, and the end of all that lives of its tasks is under way. Disabling it again ends it again.',
      caller: 'operator',
      params,
      body: agentDisabling,
      answers: { 200: { description: 'disabled; the revocation goes on by itself', schema: disabledAgentAnswer } },
      problems: ['limit_exceeded'],
    },
    {
      method: 'post',
      path: '/v1/agents/{id}/enable',
      id: 'enableAgent',
      summary: 'Let an agent ask again',
      description: 'What was ended stays ended.',
      caller: 'admin',
      params,
      body: z.strictObject({}),
      bodyOptional: true,
      answers: { 200: { description: 'enabled', schema: agentAnswer } },
    },
  ],
};
