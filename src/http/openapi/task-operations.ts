import { z } from 'zod';
import { REQUEST_SCHEMAS } from '../../task/declaration.ts';
import { taskIdSchema } from '../answer-schemas.ts';
import { taskListQuery } from '../routes/tasks.ts';
import { declaredAnswer, extendedAnswer, grantAnswer, taskAnswer, taskPage, toolCallAnswer } from '../task-schemas.ts';
import { GRANT_PROBLEMS, type OperationArea } from './operation.ts';

const params = { id: taskIdSchema };

/** Of whatever grants: sent again under the same key, it grants nothing more. */
const REPEATABLE = {
  headers: { 'Idempotency-Key': z.string().regex(/^[\x21-\x7e]{1,255}$/).optional().describe('makes it safe to send the same request again') },
  replay: { 200: { description: 'the same request was granted before: the task and its leases, without secrets', schema: taskAnswer, headers: { 'Idempotency-Replayed': '`true`' } } },
  problems: ['idempotency_in_progress', 'idempotency_mismatch', 'not_found'],
} as const;

/** Works on the example configuration, for its agent. */
const DECLARATION = {
  purpose: 'refund-investigation',
  justification: 'order 99 disputed',
  ticket: 'OPS-12',
  actions: ['read'],
  data_classes: ['pii'],
  ttl_seconds: 300,
  heartbeat_seconds: 60,
  credentials: [{ name: 'task-reference', ttl_seconds: 120 }],
};

export const TASK_OPERATIONS: OperationArea = {
  name: 'tasks',
  description: 'A workload declares a task, is handed its credentials once, and says when it is done. Tasks of others do not exist here.',
  operations: [
    {
      method: 'post',
      path: '/v1/tasks',
      id: 'declareTask',
      summary: 'Declare a task',
      description: 'Policy decides; all credentials are minted, or none. Their secrets are in this answer and in no later one.',
      caller: 'workload',
      body: REQUEST_SCHEMAS.declaration,
      examples: { refund: DECLARATION },
      answers: {
        ...REPEATABLE.replay,
        201: { description: 'granted, with the secrets', schema: grantAnswer, headers: { Location: 'the task' } },
        202: { description: 'waits for its claim or an approval; nothing is minted yet', schema: declaredAnswer, headers: { Location: 'the task' } },
      },
      headers: REPEATABLE.headers,
      problems: [...GRANT_PROBLEMS, ...REPEATABLE.problems],
    },
    {
      method: 'get',
      path: '/v1/tasks',
      id: 'listTasks',
      summary: "List one's own tasks",
      caller: 'workload',
      query: taskListQuery,
      answers: { 200: { description: 'a page of tasks', schema: taskPage } },
    },
    {
      method: 'get',
      path: '/v1/tasks/{id}',
      id: 'getTask',
      summary: 'Look at a task',
      description: 'With `Prefer: wait=30` (RFC 7240) it is answered once the task has left the state it is in, or after that many seconds, 60 at most.',
      caller: 'workload',
      params,
      headers: { Prefer: z.string().max(255).optional().describe('`wait=` and how many seconds to wait for the task to leave its state') },
      answers: { 200: { description: 'the task and its leases', schema: taskAnswer, headers: { 'Preference-Applied': '`wait=` and the seconds, where it waited' } } },
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/credentials',
      id: 'addCredential',
      summary: 'Ask for one more credential inside the task',
      description: 'Decided afresh. For the agent of the task only.',
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.extraCredential,
      examples: { token: { name: 'task-token', ttl_seconds: 60, tool_call: { id: 'call-1', tool: 'sql.query' } } },
      answers: { ...REPEATABLE.replay, 201: { description: 'granted, with the secret', schema: grantAnswer, headers: { Location: 'the task' } } },
      headers: REPEATABLE.headers,
      problems: [...GRANT_PROBLEMS, ...REPEATABLE.problems, 'duplicate_credential'],
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/claim',
      id: 'claimTask',
      summary: 'Pick up a task that waits for this agent',
      description: 'Decided afresh; its lifetime begins now, and it is bound to the instance that claims it. Who else tries is on the audit log.',
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.claim,
      bodyOptional: true,
      answers: { ...REPEATABLE.replay, 201: { description: 'claimed, with the secrets', schema: grantAnswer, headers: { Location: 'the task' } } },
      headers: REPEATABLE.headers,
      problems: [...GRANT_PROBLEMS, ...REPEATABLE.problems, 'not_claimable', 'already_claimed', 'claim_refused'],
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/reissue',
      id: 'reissueCredential',
      summary: 'Replace a credential of the task',
      description: 'Decided afresh. The old lease ends first.',
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.reissue,
      answers: { 201: { description: 'granted, with the secret', schema: grantAnswer, headers: { Location: 'the task' } } },
      problems: GRANT_PROBLEMS,
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/extend',
      id: 'extendTask',
      summary: 'Give the task more time',
      description: 'A new total from now, decided afresh, never past the ceiling counted from its start.',
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.extension,
      answers: { 200: { description: 'what became of each live lease', schema: extendedAnswer } },
      problems: GRANT_PROBLEMS,
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/tool-calls',
      id: 'reportToolCall',
      summary: 'Report a tool call',
      description: "Goes on the record as the agent's own word.",
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.toolCallReport,
      examples: { succeeded: { id: 'call-1', tool: 'sql.query', outcome: 'succeeded' } },
      answers: { 201: { description: 'recorded', schema: toolCallAnswer } },
      problems: ['task_not_active'],
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/heartbeat',
      id: 'heartbeat',
      summary: 'Say that the task is alive',
      caller: 'workload',
      params,
      body: z.strictObject({}),
      bodyOptional: true,
      answers: { 200: { description: 'the next one is due within `heartbeat_seconds`', schema: taskAnswer } },
      problems: ['task_not_active'],
    },
    {
      method: 'post',
      path: '/v1/tasks/{id}/complete',
      id: 'completeTask',
      summary: 'Complete a task and end its leases',
      description: 'Waits up to 2 s for the leases to end. Repeating it answers the same.',
      caller: 'workload',
      params,
      body: REQUEST_SCHEMAS.completion,
      bodyOptional: true,
      examples: { succeeded: { outcome: 'succeeded' } },
      answers: {
        200: { description: 'every lease is final', schema: taskAnswer },
        202: { description: 'some leases are still being revoked; they are tried until they have ended', schema: taskAnswer },
      },
    },
  ],
};
