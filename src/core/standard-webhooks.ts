import { createHmac } from 'node:crypto';
import { toEpochSeconds, type EpochMs } from './time.ts';

/** A secret shared with a recipient: its bytes. */
export type WebhookKey = Buffer;

/** Standard Webhooks 1.0 allows secrets of 24 to 64 bytes. */
const KEY_BYTES = { least: 24, most: 64 };

/**
 * The key in a text of the form `whsec_` and base64. Throws `TypeError` for any other.
 *
 * @param where the text stands, in words of the configuration: the text itself is never repeated.
 */
export function parseWebhookKey(text: string, where: string): WebhookKey {
  const key = Buffer.from(text.trim().replace(/^whsec_/, ''), 'base64');
  if (key.length < KEY_BYTES.least || key.length > KEY_BYTES.most) throw new TypeError(`${where} must hold whsec_ and ${KEY_BYTES.least} to ${KEY_BYTES.most} bytes in base64`);
  return key;
}

/**
 * The headers of a message by Standard Webhooks 1.0. The id is the same at every attempt, so that a recipient can tell a repetition;
 * each signature is over id, time and the exact body, one for each key, so that a secret can be replaced.
 */
export function signWebhook(message: { readonly id: string; readonly body: string }, keys: readonly WebhookKey[], nowMs: EpochMs): Readonly<Record<string, string>> {
  const { id, body } = message;
  const seconds = String(toEpochSeconds(nowMs));
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64')}`);
  return { 'webhook-id': id, 'webhook-timestamp': seconds, 'webhook-signature': signatures.join(' ') };
}
