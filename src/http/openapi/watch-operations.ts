import { z } from 'zod';
import { OPERATOR_ROLES } from '../../identity/caller.ts';
import { overviewSchema } from '../overview-schema.ts';
import type { OperationArea } from './operation.ts';

export const WATCH_OPERATIONS: OperationArea = {
  name: 'watching',
  description: 'For whoever looks on: what happens as it happens, and a page.',
  operations: [
    {
      method: 'get',
      path: '/v1/overview',
      id: 'getOverview',
      summary: 'How the whole stands',
      description: 'What should be dead and is not, what falls due when, and what it all hangs on. Counted at most once a second, however many ask.',
      caller: 'viewer',
      answers: { 200: { description: 'the counts', schema: overviewSchema } },
    },
    {
      method: 'get',
      path: '/v1/events',
      id: 'watchEvents',
      summary: 'What happens, as it happens',
      description: 'Server-sent events. `resync` says that some are missing: read what you show anew.',
      caller: 'viewer',
      headers: { 'Last-Event-ID': z.string().optional().describe('go on after this event, at any replica') },
      answers: { 200: { description: 'a stream that does not end by itself', mediaType: 'text/event-stream' } },
      problems: ['limit_exceeded'],
    },
    {
      method: 'get',
      path: '/v1/whoami',
      id: 'whoAmI',
      summary: 'For whom the broker takes the caller',
      caller: 'workload_or_operator',
      answers: {
        200: {
          description: "the caller, and the broker's clock",
          schema: z
            .strictObject({
              caller: z.strictObject({
                kind: z.enum(['workload', 'operator']),
                subject: z.string(),
                issuer: z.string(),
                role: z.enum(OPERATOR_ROLES).nullable(),
                instance: z.string().nullable().describe('of a workload: what its tasks are bound to, or null'),
                sender_bound: z.boolean().describe('whether this call proved to hold the key that the identity is bound to'),
                token_expires_at: z.iso.datetime(),
              }),
              session: z
                .strictObject({ expires_at: z.iso.datetime(), idle_expires_at: z.iso.datetime().describe('when it ends if its person does nothing more') })
                .nullable()
                .describe('of a person who signed in; null of whoever shows a token'),
              now: z.iso.datetime(),
            })
            .meta({ id: 'WhoAmI' }),
        },
      },
    },
    {
      method: 'get',
      path: '/',
      id: 'getDashboard',
      summary: 'The dashboard',
      description: 'What is overdue, live and due next; approvals, locks, agents, denials and the record. It holds no data of its own.',
      caller: 'anyone',
      answers: {
        200: { description: 'the page', mediaType: 'text/html' },
        503: { description: 'it is not built: the page says how to', mediaType: 'text/html' },
      },
    },
    {
      method: 'get',
      path: '/assets/{file}',
      id: 'getDashboardAsset',
      summary: 'A file of the dashboard',
      description: 'Its name changes with its content: it may be kept for good.',
      caller: 'anyone',
      params: { file: z.string().describe('as the page names it') },
      answers: { 200: { description: 'the file', mediaType: 'text/javascript' } },
    },
  ],
};
