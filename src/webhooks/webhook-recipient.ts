import { readFileSync } from 'node:fs';
import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import { parseWebhookKey, signWebhook, type WebhookKey } from '../core/standard-webhooks.ts';
import { createOutboundFetch, OutboundRefused } from '../identity/outbound-fetch.ts';
import type { WebhookMessage } from './webhook-message.ts';

export type WebhookConfig = Config['webhooks'][number];

/** What came of one attempt. */
export interface Attempt {
  /** Null where there was no answer. */
  readonly status: number | null;
  /** Why there was none, in our own words. */
  readonly failure: string | null;
}

/** Somebody who is told of events. */
export interface WebhookRecipient {
  readonly config: WebhookConfig;
  /** Posts a message, once, signed now. Never throws. */
  post(message: WebhookMessage, signal?: AbortSignal): Promise<Attempt>;
}

/** Throws `TypeError` for a secret that is none. */
export function webhookRecipient(config: WebhookConfig, { environment, clock }: { readonly environment: Config['environment']; readonly clock: Clock }): WebhookRecipient {
  keysOf(config);
  const { host } = new URL(config.url);
  const caFile = config.ca_file;
  const postTo = createOutboundFetch({ environment, allowHosts: [host], allowPrivateAddresses: config.allow_private_addresses, ...(caFile === undefined ? {} : { caFor: () => caFile }) });
  return {
    config,
    async post(message, signal) {
      try {
        const headers = signWebhook(message, keysOf(config), clock.now());
        const { status } = await postTo(config.url, { json: new Secret(message.body), mediaType: message.mediaType, headers, ...(signal === undefined ? {} : { signal }) });
        return { status, failure: null };
      } catch (error) {
        // The reasons of a refusal are our own; of anything else the name alone, since a message could hold what the other side sent.
        return { status: null, failure: error instanceof OutboundRefused ? error.message : `not reached (${error instanceof Error ? error.name : 'unknown'})` };
      }
    },
  };
}

/** Read each time, so that a secret can be replaced while the broker runs. */
const keysOf = ({ name, secret_files: files }: WebhookConfig): WebhookKey[] => files.map((file) => parseWebhookKey(readFileSync(file, 'utf8'), `webhooks ${name}: ${file}`));
