import { randomUUID } from 'node:crypto';
import type { FeedEntry } from '../audit/event-feed.ts';
import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import type { RedisHold } from '../core/redis-hold.ts';
import { Rounds } from '../core/rounds.ts';
import { addMs, toRfc3339 } from '../core/time.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { holdKey } from './webhook-keys.ts';
import { wantsType, webhookMessage } from './webhook-message.ts';
import type { WebhookRecipient } from './webhook-recipient.ts';
import type { DueDelivery, WebhookRecords } from './webhook-records.ts';

export type DeliveryOutcome = 'delivered' | 'failed' | 'given_up' | 'gone' | 'dropped';

export interface WebhookCourierDeps {
  readonly recipient: WebhookRecipient;
  readonly records: WebhookRecords;
  readonly hold: RedisHold;
  readonly ledger: Pick<Ledger, 'recordEvent'>;
  readonly deploymentId: string;
  readonly clock: Clock;
  readonly observe: (observation: { readonly webhook: string; readonly outcome: DeliveryOutcome }) => void;
  /** An entry that the broker did not write. */
  readonly onForged: () => void;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** Before each attempt after the first (Standard Webhooks 1.0, "Retry schedule"): some three days in all. */
export const RETRY_DELAYS_MS: readonly number[] = [5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];

/** How soon an event is noticed. */
const LOOK_MS = 500;
/** Another worker delivers, or nobody may: how soon to ask again. */
const ASIDE_MS = 1_000;
/** A worker that was killed leaves its webhook to another after this. */
const HOLD_MS = 15_000;
/** How often to say that it is still at work. */
const PROLONG_MS = 5_000;
/** Entries of the feed taken over at once; what is posted at once to one recipient. */
const TAKE = 500;
const AT_ONCE = 10;
/** Deliveries kept for one recipient. Beyond that it is as good as gone, and takes up the feed again where that still reaches. */
const MOST_WAITING = 10_000;

/**
 * Delivers events to one recipient, at least once each and about in order: one worker at a time over all replicas. What the recipient
 * has taken over is kept until it was delivered or given up, so that a restart loses nothing; whatever its recipient does delays
 * nobody else. One that answers 410 is disabled, and that is on the record.
 */
export class WebhookCourier {
  readonly #deps: WebhookCourierDeps;
  readonly #name: string;
  readonly #holder = randomUUID();
  readonly #rounds = new Rounds();
  #heldAtMs = -Infinity;

  constructor(deps: WebhookCourierDeps) {
    this.#deps = deps;
    this.#name = deps.recipient.config.name;
  }

  start(): void {
    this.#rounds.start(() =>
      this.round().catch((error: unknown) => {
        this.#deps.log.warn({ webhook: this.#name, err: error }, 'a webhook could not be worked on; tried again at the next look');
        return ASIDE_MS;
      }),
    );
  }

  async stop(): Promise<void> {
    await this.#rounds.stop();
    await this.#deps.hold.giveBack(holdKey(this.#name), this.#holder);
  }

  /** One look: takes over what is new, delivers what is due. Answers how long to wait before the next, ms. */
  async round(): Promise<number> {
    if (!(await this.#isOurs()) || (await this.#deps.records.isDisabled(this.#name))) return ASIDE_MS;
    const took = await this.#take();
    const due = await this.#deps.records.due(this.#name, this.#deps.clock.now(), AT_ONCE);
    await Promise.all(due.map((delivery) => this.#deliver(delivery)));
    return took || due.length > 0 ? 0 : LOOK_MS;
  }

  async #isOurs(): Promise<boolean> {
    const { hold, clock, records } = this.#deps;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#heldAtMs < PROLONG_MS) return true;
    const key = holdKey(this.#name);
    const ours = (await hold.prolong(key, this.#holder, HOLD_MS)) || (await hold.take(key, this.#holder, HOLD_MS));
    this.#heldAtMs = ours ? nowMs : -Infinity;
    if (ours) await records.keep(this.#name);
    return ours;
  }

  /** Takes over what the feed has after the cursor. True when there may be more. */
  async #take(): Promise<boolean> {
    const { records, recipient, clock, onForged } = this.#deps;
    const from = await records.cursor(this.#name);
    if ((await records.waiting(this.#name)) >= MOST_WAITING) return false;
    const found = await records.feedAfter(from, TAKE);
    const last = found.at(-1);
    if (last === undefined) return false;
    const nowMs = clock.now();
    const entries: FeedEntry[] = [];
    let previous = from;
    for (const { id, entry } of found) {
      if (entry === null) {
        onForged();
        continue;
      }
      // At the very beginning nothing is missed.
      if (entry.after !== previous && previous !== '0-0') entries.push(missing(previous, entry, toRfc3339(nowMs)));
      if (wantsType(recipient.config.events, entry.type)) entries.push(dated(entry, toRfc3339(nowMs)));
      previous = id;
    }
    return (await records.take(this.#name, from, last.id, entries, nowMs)) && found.length === TAKE;
  }

  async #deliver({ id, tries, entry }: DueDelivery): Promise<void> {
    const { records, recipient, clock, deploymentId, onForged, log } = this.#deps;
    if (entry === null) {
      onForged();
      this.#observe('dropped');
      await records.finish(this.#name, id);
      return;
    }
    const message = webhookMessage(entry, recipient.config.format, deploymentId);
    const { status, failure } = await recipient.post(message, this.#rounds.signal);
    // Cut off by our own stop: that says nothing of the recipient.
    if (status === null && this.#rounds.signal.aborted) return;
    if (status !== null && status >= 200 && status < 300) {
      this.#observe('delivered');
      await Promise.all([records.finish(this.#name, id), records.noteDelivered(this.#name, clock.now())]);
      return;
    }
    await records.noteFailed(this.#name, status, clock.now());
    if (status === 410) {
      await this.#disable(status);
      return;
    }
    log.warn({ webhook: this.#name, event: message.id, status, failure, tries: tries + 1 }, 'a webhook was not delivered');
    const delayMs = RETRY_DELAYS_MS[tries];
    if (delayMs === undefined) {
      this.#observe('given_up');
      await Promise.all([records.finish(this.#name, id), records.noteGivenUp(this.#name)]);
      return;
    }
    this.#observe('failed');
    await records.retry(this.#name, id, tries + 1, addMs(clock.now(), delayMs));
  }

  /** The record first: where it cannot be written, the recipient is asked once more and says so again. */
  async #disable(status: number): Promise<void> {
    const { ledger, records, clock, log } = this.#deps;
    this.#observe('gone');
    if (await records.isDisabled(this.#name)) return;
    await ledger.recordEvent({ shard: SHARDS[0] as Shard, type: 'webhook.disabled', by: { issuer: 'mayfly', subject: 'webhooks' }, facts: { webhook: this.#name, status } });
    await records.disable(this.#name, clock.now());
    log.error({ webhook: this.#name }, 'the recipient of a webhook is gone (410); it is disabled until an admin enables it');
  }

  #observe(outcome: DeliveryOutcome): void {
    this.#deps.observe({ webhook: this.#name, outcome });
  }
}

/** The sealer's own notices say no time. */
function dated(entry: FeedEntry, at: string): FeedEntry {
  const event = JSON.parse(entry.json) as object;
  return 'at' in event ? entry : { ...entry, json: JSON.stringify({ ...event, at }) };
}

/** Told to every recipient, whatever it asked for: the feed does not hold what came between. The audit log does. */
const missing = (after: string, { id }: FeedEntry, at: string): FeedEntry => ({ id: `${id}.missing`, after, type: 'events.missing', json: JSON.stringify({ at }) });
