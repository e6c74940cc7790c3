import { z } from 'zod';
import { REQUEST_SCHEMAS } from '../../task/declaration.ts';
import { taskIdSchema } from '../answer-schemas.ts';
import { taskListQuery } from '../routes/tasks.ts';
import { grantAnswer, taskAnswer, taskPage } from '../task-schemas.ts';
import { GRANT_PROBLEMS, type OperationArea } from './operation.ts';

const params = { id: taskIdSchema };

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
        201: { description: 'granted, with the secrets', schema: grantAnswer, headers: { Location: 'the task' } },
        202: { description: 'waits; nothing is minted yet', schema: grantAnswer, headers: { Location: 'the task' } },
      },
      problems: GRANT_PROBLEMS,
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
      caller: 'workload',
      params,
      answers: { 200: { description: 'the task and its leases', schema: taskAnswer } },
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
      answers: { 201: { description: 'granted, with the secret', schema: grantAnswer, headers: { Location: 'the task' } } },
      problems: [...GRANT_PROBLEMS, 'duplicate_credential'],
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
