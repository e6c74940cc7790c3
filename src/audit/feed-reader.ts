import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { FeedSeal } from './event-feed.ts';
import { FEED_LENGTH } from './event-feed.ts';
import { FEED_KEY } from './event-stream-keys.ts';
import { EventTail } from './event-tail.ts';
import { compareStreamIds } from './stream-ids.ts';

export interface FeedReaderDeps {
  /** A connection of its own: a blocking read holds it. Its command time-out must be longer than `BLOCK_MS`. */
  readonly redis: Redis;
  readonly seal: FeedSeal;
  /** An entry that the broker did not write. */
  readonly onForged: () => void;
  readonly log: { warn(fields: object, message: string): void };
}

/** One blocking read; a lost or wiped feed is noticed after it. */
export const BLOCK_MS = 5_000;
/** Entries of one read. */
const READ_COUNT = 500;
const RETRY_MS = 500;
/** After the last watcher left, one who reloads a page shall not make us read the whole tail again. */
const LINGER_MS = 60_000;

/**
 * Follows the event feed for the whole process, on one connection, and only while somebody watches. Watchers take what they
 * need from `tail` at their own pace; they are told when there is more.
 */
export class FeedReader {
  readonly #deps: FeedReaderDeps;
  readonly #watchers = new Set<Watcher>();
  readonly #stop = new AbortController();
  readonly tail = new EventTail(FEED_LENGTH);
  /** Where the next read begins: also past entries that are not ours. */
  #position = '0-0';
  #loading: Promise<void> | undefined;
  #lastWatchedMs = 0;

  constructor(deps: FeedReaderDeps) {
    this.#deps = deps;
  }

  /** Resolves when `tail` is up to date and followed. Rejects when Redis does not answer. */
  async open(): Promise<void> {
    this.#lastWatchedMs = performance.now();
    this.#loading ??= this.#load().then(
      () => void this.#follow(),
      (error: unknown) => {
        this.#loading = undefined;
        throw error;
      },
    );
    await this.#loading;
  }

  /** Has `watcher` told of more, and of the end. Answers how to leave. */
  watch(watcher: Watcher): () => void {
    if (this.#stop.signal.aborted) watcher.onEnd();
    else this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
      this.#lastWatchedMs = performance.now();
    };
  }

  /** Tells every watcher that this is the end, and gives the connection up. */
  stop(): void {
    this.#stop.abort();
    for (const watcher of this.#watchers) watcher.onEnd();
    this.#watchers.clear();
    // A blocking read would hold it for seconds.
    this.#deps.redis.disconnect();
  }

  async #load(): Promise<void> {
    const rows = await this.#deps.redis.xrevrange(FEED_KEY, '+', '-', 'COUNT', FEED_LENGTH);
    this.tail.reset();
    this.#position = '0-0';
    for (const [id, fields] of rows.reverse()) this.#take(id, fields);
  }

  async #follow(): Promise<void> {
    while (this.#isWanted()) {
      try {
        const answer = await this.#deps.redis.xread('COUNT', READ_COUNT, 'BLOCK', BLOCK_MS, 'STREAMS', FEED_KEY, this.#position);
        if (answer === null) await this.#reloadIfWiped();
        else for (const [id, fields] of answer.flatMap(([, rows]) => rows)) this.#take(id, fields);
        this.#tellMore();
      } catch (error) {
        if (!this.#isWanted()) break;
        this.#deps.log.warn({ err: error }, 'the event feed cannot be read; who watches waits');
        await sleep(RETRY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
    this.#loading = undefined;
  }

  #isWanted(): boolean {
    if (this.#stop.signal.aborted) return false;
    return this.#watchers.size > 0 || performance.now() - this.#lastWatchedMs < LINGER_MS;
  }

  #take(id: string, fields: readonly string[]): void {
    this.#position = id;
    const entry = this.#deps.seal.open(id, fields);
    if (entry === undefined) this.#deps.onForged();
    else this.tail.push(entry);
  }

  /** Redis was wiped, restored or taken back: what comes next would have lower ids than those we wait for. */
  async #reloadIfWiped(): Promise<void> {
    const [newest] = await this.#deps.redis.xrevrange(FEED_KEY, '+', '-', 'COUNT', 1);
    if (compareStreamIds(newest?.[0] ?? '0-0', this.#position) < 0) await this.#load();
  }

  #tellMore(): void {
    for (const watcher of this.#watchers) watcher.onMore();
  }
}

/** Somebody who watches the feed. */
export interface Watcher {
  /** There may be more in `tail`. */
  readonly onMore: () => void;
  /** The process stops. */
  readonly onEnd: () => void;
}
