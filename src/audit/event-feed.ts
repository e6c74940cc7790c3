import type { Redis } from 'ioredis';
import { createMac } from '../core/mac.ts';
import { defineScript } from '../core/redis-script.ts';
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

/** Three for each event: Redis does nothing else while a script runs, so that one writes 500 events at most. */
const ARGS_AT_ONCE = 1_500;

/** Seals entries of the feed and opens those that are ours. `key`: 32 bytes, derived for the feed alone. */
export function createFeedSeal(key: Buffer) {
  const mac = createMac(key);
  // The id is under the seal: an entry of ours that comes again under another id is no entry of ours.
  const sealedText = (id: string, content: string): string => `mayfly-feed\n${id}\n${content}`;
  return {
    seal({ id, after, type, json }: FeedEntry): { readonly content: string; readonly mac: string } {
      const content = `${after}\n${type}\n${json}`;
      return { content, mac: mac.of(sealedText(id, content)) };
    },
    /** The entry, or undefined when its seal is not ours. `fields` as they stand in the stream: `c` and `m` with their values. */
    open(id: string, fields: readonly string[]): FeedEntry | undefined {
      const [, content = '', , presented] = fields;
      if (!mac.fits(sealedText(id, content), presented)) return undefined;
      const [after = '', type = '', json = ''] = content.split('\n');
      return { id, after, type, json };
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
export function createFeedWriter(redis: Redis, feedSeal: FeedSeal, log: { warn(fields: object, message: string): void }): FeedWriter {
  const publish = defineScript(redis, 'mayflyPublishEvents', new URL('./scripts/publish-events.lua', import.meta.url));
  return {
    async publish(before, records) {
      let after = feedId(before);
      const args = records.flatMap(({ seq, epoch, event }) => {
        const entry = { id: feedId({ epoch, seq }), after, type: event.type, json: JSON.stringify(feedEvent(event)) };
        after = entry.id;
        const { content, mac } = feedSeal.seal(entry);
        return [entry.id, content, mac];
      });
      try {
        for (let from = 0; from < args.length; from += ARGS_AT_ONCE) await publish(1, FEED_KEY, FEED_LENGTH, ...args.slice(from, from + ARGS_AT_ONCE));
      } catch (error) {
        log.warn({ err: error }, 'the event feed could not be written; who watches is told to look afresh');
        // Somebody wrote to it: a higher id than ours, or something that is no stream. Only a copy is lost.
        if (error instanceof Error && error.name === 'ReplyError') await redis.unlink(FEED_KEY).catch(() => undefined);
      }
    },
  };
}
