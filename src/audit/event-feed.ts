import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Redis } from 'ioredis';
import { FEED_KEY } from './event-stream-keys.ts';
import { feedEvent } from './feed-event.ts';
import type { ChainHead, ChainRecord } from './hash-chain.ts';

/** One event of the feed, as it stands in Redis and as it is sent. */
export interface FeedEntry {
  /** `<epoch>-<seq>` of the audit record it tells of: a valid stream id, and it only ever goes up, whichever sealer wrote it. */
  readonly id: string;
  /** Id of the record before it in the audit log. Where that is not the entry before it in the feed, something is missing. */
  readonly after: string;
  readonly type: string;
  /** The event's JSON, on one line. */
  readonly json: string;
}

/** The id that an audit record has in the feed. */
export const feedId = ({ epoch, seq }: Pick<ChainHead, 'epoch' | 'seq'>): string => `${epoch}-${seq}`;

/** Entries kept in Redis, about. Who was away for longer starts afresh. */
export const FEED_LENGTH = 5_000;

/** Seals entries of the feed and opens those that are ours. `key`: 32 bytes, derived for the feed alone. */
export function createFeedSeal(key: Buffer) {
  // The id is under the seal: an entry of ours that comes again under another id is no entry of ours.
  const macOf = (id: string, after: string, type: string, json: string): Buffer =>
    createHmac('sha256', key).update(`mayfly-feed\n${id}\n${after}\n${type}\n${json}`).digest();
  return {
    fields({ id, after, type, json }: FeedEntry): string[] {
      return ['a', after, 't', type, 'j', json, 'm', macOf(id, after, type, json).toString('base64url')];
    },
    /** The entry, or undefined when its seal is not ours. */
    open(id: string, fields: readonly string[]): FeedEntry | undefined {
      const field = (name: string): string => fields[fields.findIndex((value, index) => index % 2 === 0 && value === name) + 1] ?? '';
      const [after, type, json] = [field('a'), field('t'), field('j')];
      const expected = macOf(id, after, type, json);
      const actual = Buffer.from(field('m'), 'base64url');
      return actual.length === expected.length && timingSafeEqual(actual, expected) ? { id, after, type, json } : undefined;
    },
  };
}

export type FeedSeal = ReturnType<typeof createFeedSeal>;

export interface FeedWriter {
  /** Copies records that are in the audit file to the feed; `before` is what they were chained to. Never throws. */
  publish(before: ChainHead, records: readonly Pick<ChainRecord, 'seq' | 'epoch' | 'event'>[]): Promise<void>;
}

/**
 * Writes the feed, on the sealer's own connection. The feed is a copy for those who watch: where it cannot be written,
 * sealing goes on, and who reads sees by `after` that something is missing.
 */
export function createFeedWriter(redis: Redis, seal: FeedSeal, log: { warn(fields: object, message: string): void }): FeedWriter {
  return {
    async publish(before, records) {
      let after = feedId(before);
      const entries = records.map(({ seq, epoch, event }): FeedEntry => {
        const entry = { id: feedId({ epoch, seq }), after, type: event.type, json: JSON.stringify(feedEvent(event)) };
        after = entry.id;
        return entry;
      });
      try {
        await Promise.all(entries.map((entry) => redis.xadd(FEED_KEY, 'MAXLEN', '~', FEED_LENGTH, entry.id, ...seal.fields(entry))));
      } catch (error) {
        log.warn({ err: error }, 'the event feed could not be written; who watches is told to look afresh');
        // Somebody wrote to it: a higher id than ours, or something that is no stream. Only a copy is lost.
        if (error instanceof Error && error.name === 'ReplyError') await redis.unlink(FEED_KEY).catch(() => undefined);
      }
    },
  };
}
