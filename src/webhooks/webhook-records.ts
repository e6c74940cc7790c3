import type { Redis } from 'ioredis';
import type { FeedEntry, FeedSeal } from '../audit/event-feed.ts';
import { FEED_KEY } from '../audit/event-stream-keys.ts';
import { defineScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import { onFailureUnavailable } from '../ledger/lost-redis.ts';
import { cursorKey, eventsKey, standingKey, triesKey, waitingKey } from './webhook-keys.ts';

/** A delivery that is due. */
export interface DueDelivery {
  readonly id: string;
  /** Attempts so far. */
  readonly tries: number;
  /** Null where it is gone, or the broker did not write it. */
  readonly entry: FeedEntry | null;
}

/** How a webhook stands, for whoever asks. Times are ms since the epoch, null for what never was. */
export interface WebhookStanding {
  readonly disabledAtMs: number | null;
  readonly waiting: number;
  readonly nextTryAtMs: number | null;
  readonly deliveredAtMs: number | null;
  readonly failedAtMs: number | null;
  /** Of the answer to the last failed attempt; null where there was none. */
  readonly failedStatus: number | null;
  /** Events that were given up after the last attempt. */
  readonly givenUp: number;
}

export interface WebhookRecordsDeps {
  readonly redis: Redis;
  readonly seal: FeedSeal;
}

/** A webhook that is no longer configured leaves nothing behind for ever. */
const KEEP_SECONDS = 30 * 86_400;

/** Where deliveries are kept between attempts: what a webhook has taken over from the feed, still under the feed's seal. Throws `ledger_unavailable`. */
export function createWebhookRecords({ redis, seal }: WebhookRecordsDeps) {
  const runTake = defineScript(redis, 'mayflyTakeEvents', new URL('./scripts/take-events.lua', import.meta.url));
  const keysOf = (name: string): string[] => [cursorKey(name), waitingKey(name), eventsKey(name), triesKey(name), standingKey(name)];
  const number = (text: string | undefined): number | null => (text === undefined ? null : Number(text));

  return onFailureUnavailable({
    /** Where a webhook is in the feed. One that is new begins with what comes next. */
    async cursor(name: string): Promise<string> {
      const known = await redis.get(cursorKey(name));
      if (known !== null) return known;
      const [newest] = await redis.xrevrange(FEED_KEY, '+', '-', 'COUNT', 1);
      await redis.set(cursorKey(name), newest?.[0] ?? '0-0', 'NX');
      return (await redis.get(cursorKey(name))) ?? '0-0';
    },

    /** Entries of the feed after a cursor, oldest first; null in place of one that the broker did not write. */
    async feedAfter(cursor: string, limit: number): Promise<readonly { readonly id: string; readonly entry: FeedEntry | null }[]> {
      const rows = await redis.xrange(FEED_KEY, `(${cursor}`, '+', 'COUNT', limit);
      return rows.map(([id, fields]) => ({ id, entry: seal.open(id, fields) ?? null }));
    },

    /** Takes entries over and moves the cursor, in one step. False where another worker was quicker. */
    async take(name: string, from: string, to: string, entries: readonly FeedEntry[], nowMs: EpochMs): Promise<boolean> {
      const sealed = entries.flatMap((entry) => {
        const { content, mac } = seal.seal(entry);
        return [entry.id, `${mac}\n${content}`];
      });
      return (await runTake(3, cursorKey(name), waitingKey(name), eventsKey(name), from, to, nowMs, ...sealed)) === 1;
    },

    waiting: (name: string): Promise<number> => redis.zcard(waitingKey(name)),

    async due(name: string, nowMs: EpochMs, limit: number): Promise<readonly DueDelivery[]> {
      const ids = await redis.zrangebyscore(waitingKey(name), '-inf', nowMs, 'LIMIT', 0, limit);
      if (ids.length === 0) return [];
      const [events, tries] = await Promise.all([redis.hmget(eventsKey(name), ...ids), redis.hmget(triesKey(name), ...ids)]);
      return ids.map((id, index) => {
        const [mac = '', ...content] = (events[index] ?? '').split('\n');
        return { id, tries: Number(tries[index] ?? 0), entry: seal.open(id, ['c', content.join('\n'), 'm', mac]) ?? null };
      });
    },

    /** Forgets a delivery, whatever became of it. */
    async finish(name: string, id: string): Promise<void> {
      await redis.multi().zrem(waitingKey(name), id).hdel(eventsKey(name), id).hdel(triesKey(name), id).exec();
    },

    async retry(name: string, id: string, tries: number, atMs: EpochMs): Promise<void> {
      await redis.multi().zadd(waitingKey(name), 'XX', atMs, id).hset(triesKey(name), id, tries).exec();
    },

    async noteDelivered(name: string, nowMs: EpochMs): Promise<void> {
      await redis.hset(standingKey(name), 'delivered_at', nowMs);
    },

    async noteFailed(name: string, status: number | null, nowMs: EpochMs): Promise<void> {
      await redis.hset(standingKey(name), 'failed_at', nowMs, 'failed_status', status ?? '');
    },

    async noteGivenUp(name: string): Promise<void> {
      await redis.hincrby(standingKey(name), 'given_up', 1);
    },

    async isDisabled(name: string): Promise<boolean> {
      return (await redis.hexists(standingKey(name), 'disabled_at')) === 1;
    },

    async disable(name: string, nowMs: EpochMs): Promise<void> {
      await redis.hset(standingKey(name), 'disabled_at', nowMs);
    },

    async enable(name: string): Promise<void> {
      await redis.hdel(standingKey(name), 'disabled_at');
    },

    async standing(name: string): Promise<WebhookStanding> {
      const [fields, waiting, [, next]] = await Promise.all([redis.hgetall(standingKey(name)), redis.zcard(waitingKey(name)), redis.zrange(waitingKey(name), '0', '0', 'WITHSCORES')]);
      return {
        disabledAtMs: number(fields['disabled_at']),
        waiting,
        nextTryAtMs: number(next),
        deliveredAtMs: number(fields['delivered_at']),
        failedAtMs: number(fields['failed_at']),
        failedStatus: fields['failed_status'] === '' ? null : number(fields['failed_status']),
        givenUp: Number(fields['given_up'] ?? 0),
      };
    },

    /** Said by whoever works on it, now and then: what nobody works on is forgotten a month later. */
    async keep(name: string): Promise<void> {
      await Promise.all(keysOf(name).map((key) => redis.expire(key, KEEP_SECONDS)));
    },
  });
}

export type WebhookRecords = ReturnType<typeof createWebhookRecords>;
