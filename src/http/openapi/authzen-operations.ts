import { z } from 'zod';
import { authzenBatch, authzenRequest } from '../../grant/authzen-request.ts';
import type { OperationArea } from './operation.ts';

const answer = z
  .strictObject({ decision: z.boolean(), context: z.record(z.string(), z.unknown()).optional().describe('with a denial: `result` and `reasons`, or `error`; for operators also which policies decided') })
  .meta({ id: 'AuthzenDecision', description: 'an access evaluation response of AuthZEN 1.0' });
const answers = z.strictObject({ evaluations: z.array(answer).describe('in the order of the request') }).meta({ id: 'AuthzenDecisions', description: 'an access evaluations response of AuthZEN 1.0' });
const metadata = z
  .strictObject({ policy_decision_point: z.string(), access_evaluation_endpoint: z.string(), access_evaluations_endpoint: z.string() })
  .meta({ id: 'AuthzenMetadata', description: 'metadata of the policy decision point (AuthZEN 1.0, section 9)' });

const headers = { 'X-Request-Id': z.string().optional().describe('is answered as it came') };
const refund = { subject: { type: 'agent', id: 'agent:refunds' }, action: { name: 'mint' }, resource: { type: 'credential', id: 'task-reference' }, context: { purpose: 'refund-investigation', actions: ['read'] } };
const { resource, ...rest } = refund;

export const AUTHZEN_OPERATIONS: OperationArea = {
  name: 'authzen',
  description: 'Policy as a policy decision point of AuthZEN 1.0. Unknown fields are ignored here, and faults of a body are 400.',
  operations: [
    {
      method: 'post',
      path: '/access/v1/evaluation',
      id: 'authzenEvaluation',
      summary: 'Ask policy one question, in the words of AuthZEN',
      description: 'As POST /v1/policy/evaluate. A workload may ask where `authzen.callers` lists it.',
      caller: 'workload_or_operator',
      headers,
      body: authzenRequest,
      examples: { refund },
      answers: { 200: { description: 'yes or no; a question that policy cannot be asked is a no that says why', schema: answer } },
      problems: ['forbidden', 'invalid_evaluation'],
    },
    {
      method: 'post',
      path: '/access/v1/evaluations',
      id: 'authzenEvaluations',
      summary: 'Ask policy several questions, in the words of AuthZEN',
      caller: 'workload_or_operator',
      headers,
      body: authzenBatch,
      examples: { two: { ...rest, evaluations: [{ resource }, { resource: { ...resource, id: 'task-token' } }] } },
      answers: { 200: { description: 'an answer for each; one answer where there are no `evaluations`', schema: z.union([answers, answer]) } },
      problems: ['forbidden', 'invalid_evaluation'],
    },
    {
      method: 'get',
      path: '/.well-known/authzen-configuration',
      id: 'getAuthzenConfiguration',
      summary: 'Where the policy decision point is',
      caller: 'anyone',
      answers: { 200: { description: 'its address and its endpoints', schema: metadata } },
      problems: ['not_found'],
    },
  ],
};
