import { z } from 'zod';
import { rfc3339OrNull, type EpochMs } from '../core/time.ts';
import type { Attempt, WebhookConfig } from '../webhooks/webhook-recipient.ts';
import type { WebhookStanding } from '../webhooks/webhook-records.ts';

const instant = z.iso.datetime().nullable();

const webhookSchema = z
  .strictObject({
    name: z.string(),
    host: z.string().describe('where it is; the whole address is in the configuration'),
    format: z.enum(['thin', 'cloudevents']),
    events: z.array(z.string()),
    state: z.enum(['enabled', 'disabled']).describe('`disabled`: it answered 410'),
    disabled_at: instant,
    waiting: z.int().min(0).describe('events that are still to be delivered'),
    next_try_at: instant,
    delivered_at: instant.describe('when it last took one'),
    failed_at: instant,
    failed_status: z.int().nullable().describe('of the last answer that was none of success; null where there was no answer'),
    given_up: z.int().min(0).describe('events that were given up after the last attempt'),
  })
  .meta({ id: 'Webhook' });

/** Every webhook of the configuration. */
export const webhookList = z.strictObject({ items: z.array(webhookSchema), next_cursor: z.null() }).meta({ id: 'WebhookList' });
export const webhookAnswer = z.strictObject({ webhook: webhookSchema }).meta({ id: 'WebhookAnswer' });

/** What came of a test. */
export const webhookTestAnswer = z
  .strictObject({
    test: z.strictObject({
      delivered: z.boolean(),
      status: z.int().nullable().describe('of the answer; null where there was none'),
      failure: z.string().nullable().describe('why there was no answer'),
    }),
  })
  .meta({ id: 'WebhookTest' });

/** A webhook as operators see it. */
export function webhookView({ name, url, format, events }: WebhookConfig, standing: WebhookStanding): z.infer<typeof webhookSchema> {
  const at = (ms: number | null): string | null => rfc3339OrNull(ms === null ? null : (Math.trunc(ms) as EpochMs));
  return {
    name,
    host: new URL(url).host,
    format,
    events,
    state: standing.disabledAtMs === null ? 'enabled' : 'disabled',
    disabled_at: at(standing.disabledAtMs),
    waiting: standing.waiting,
    next_try_at: at(standing.nextTryAtMs),
    delivered_at: at(standing.deliveredAtMs),
    failed_at: at(standing.failedAtMs),
    failed_status: standing.failedStatus,
    given_up: standing.givenUp,
  };
}

/** A test as its caller sees it. */
export const webhookTestView = ({ status, failure }: Attempt): z.infer<typeof webhookTestAnswer> => ({ test: { delivered: status !== null && status >= 200 && status < 300, status, failure } });
