import { Router, type Request } from 'express';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { newEventId, SHARDS, type Shard } from '../../core/ids.ts';
import { Problem } from '../../core/problem.ts';
import { toRfc3339 } from '../../core/time.ts';
import type { Authenticator } from '../../identity/caller.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { parse } from '../../task/declaration.ts';
import { webhookMessage } from '../../webhooks/webhook-message.ts';
import type { WebhookRecipient } from '../../webhooks/webhook-recipient.ts';
import type { WebhookRecords } from '../../webhooks/webhook-records.ts';
import { authenticateOperator } from '../authenticate.ts';
import { jsonBody } from '../read-json.ts';
import { webhookTestView, webhookView } from '../webhook-view.ts';

export interface WebhookRoutesDeps {
  readonly authenticator: Authenticator;
  readonly recipients: readonly WebhookRecipient[];
  readonly records: Pick<WebhookRecords, 'standing' | 'enable'>;
  readonly ledger: Pick<Ledger, 'recordEvent'>;
  readonly deploymentId: string;
  readonly clock: Clock;
}

/** `/v1/webhooks`: who is told of events, how that goes, and what an admin can do about it. Addresses are never set here. */
export function webhookRoutes(deps: WebhookRoutesDeps): Router {
  const router = Router();
  const { authenticator, recipients, records, ledger, clock, deploymentId } = deps;
  const view = async ({ config }: WebhookRecipient) => webhookView(config, await records.standing(config.name));

  router.get('/v1/webhooks', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    response.json({ items: await Promise.all(recipients.map(view)), next_cursor: null });
  });

  router.post('/v1/webhooks/:name/enable', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, authenticator, 'admin');
    const recipient = inPath(request, recipients);
    const { name } = recipient.config;
    await ledger.recordEvent({ ...ON_RECORD, type: 'webhook.enabled', by: { issuer, subject }, facts: { webhook: name } });
    await records.enable(name);
    response.json({ webhook: await view(recipient) });
  });

  router.post('/v1/webhooks/:name/test', async (request, response) => {
    const { issuer, subject } = await authenticateOperator(request, authenticator, 'admin');
    const recipient = inPath(request, recipients);
    const { name, format } = recipient.config;
    await ledger.recordEvent({ ...ON_RECORD, type: 'webhook.tested', by: { issuer, subject }, facts: { webhook: name } });
    const json = JSON.stringify({ id: newEventId(), at: toRfc3339(clock.now()), by: { issuer, subject } });
    response.json(webhookTestView(await recipient.post(webhookMessage({ id: '0-0', after: '0-0', type: 'webhook.test', json }, format, deploymentId))));
  });

  return router;
}

/** What concerns no task is on the record of the first shard. */
const ON_RECORD = { shard: SHARDS[0] as Shard };

function inPath(request: Request, recipients: readonly WebhookRecipient[]): WebhookRecipient {
  parse(z.strictObject({}), jsonBody(request));
  const recipient = recipients.find(({ config }) => config.name === request.params['name']);
  if (recipient === undefined) throw new Problem('not_found', 'there is no such webhook in the configuration');
  return recipient;
}
