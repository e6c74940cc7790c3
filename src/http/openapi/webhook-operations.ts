import { z } from 'zod';
import { webhookAnswer, webhookList, webhookTestAnswer } from '../webhook-view.ts';
import type { OperationArea } from './operation.ts';

const params = { name: z.string().describe('its name in the configuration') };
const empty = { body: z.strictObject({}), bodyOptional: true } as const;

export const WEBHOOK_OPERATIONS: OperationArea = {
  name: 'webhooks',
  description: 'Who is told of events by signed webhooks, and how that goes. Recipients are in the configuration; no call sets an address.',
  operations: [
    {
      method: 'get',
      path: '/v1/webhooks',
      id: 'listWebhooks',
      summary: 'List the webhooks and how each stands',
      caller: 'viewer',
      answers: { 200: { description: 'all of them', schema: webhookList } },
    },
    {
      method: 'post',
      path: '/v1/webhooks/{name}/enable',
      id: 'enableWebhook',
      summary: 'Deliver again to a webhook that was gone',
      description: 'It goes on where it was, as far as the events are still kept; of those that are not it is told by `events.missing`.',
      caller: 'admin',
      params,
      ...empty,
      answers: { 200: { description: 'it is enabled', schema: webhookAnswer } },
    },
    {
      method: 'post',
      path: '/v1/webhooks/{name}/test',
      id: 'testWebhook',
      summary: 'Post a `webhook.test` to a webhook now',
      description: 'Once, also to one that is disabled.',
      caller: 'admin',
      params,
      ...empty,
      answers: { 200: { description: 'what came of it', schema: webhookTestAnswer } },
    },
  ],
};
