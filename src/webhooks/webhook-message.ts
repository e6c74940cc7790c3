import type { FeedEntry } from '../audit/event-feed.ts';

export type WebhookFormat = 'thin' | 'cloudevents';

/** What is posted: the exact body, and what it is. */
export interface WebhookMessage {
  /** The same at every attempt, and for every recipient. */
  readonly id: string;
  readonly body: string;
  readonly mediaType: string;
}

/** What an event of the feed has that a message tells. Absent in notices of the sealer, which are about no task. */
interface TellableEvent {
  readonly id?: string;
  readonly at?: string;
  readonly task?: string | null;
  readonly leases?: readonly string[];
  readonly agent?: object | null;
  readonly by?: object;
  readonly trace_id?: string | null;
}

/**
 * An event as a recipient gets it: its type, its time, and ids by which to ask for more. No facts: what an agent wrote and what only
 * operators may see stay behind the API. `cloudevents`: CloudEvents 1.0, JSON format, structured mode.
 */
export function webhookMessage(entry: FeedEntry, format: WebhookFormat, deploymentId: string): WebhookMessage {
  const event = JSON.parse(entry.json) as TellableEvent;
  const { at = '', task = null, leases = [], agent = null, by = null, trace_id: trace = null } = event;
  const id = event.id ?? `feed_${entry.id}`;
  const data = { id, sequence: entry.id, task, leases, agent, by, trace_id: trace };
  if (format === 'thin') return { id, body: JSON.stringify({ type: entry.type, timestamp: at, data }), mediaType: 'application/json' };
  const subject = task ?? leases[0];
  const cloudEvent = {
    specversion: '1.0',
    id,
    source: `urn:mayfly:${deploymentId}`,
    type: `mayfly.${entry.type}`,
    ...(subject === undefined ? {} : { subject }),
    time: at,
    datacontenttype: 'application/json',
    // The extension `sequence`: a later one is the greater, number by number.
    sequence: entry.id,
    data,
  };
  return { id, body: JSON.stringify(cloudEvent), mediaType: 'application/cloudevents+json' };
}

/** Whether a type is among those asked for: itself, all of its thing, or all. */
export const wantsType = (wanted: readonly string[], type: string): boolean =>
  wanted.some((one) => one === '*' || one === type || (one.endsWith('.*') && type.startsWith(one.slice(0, -1))));
