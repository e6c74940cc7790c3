import { LRUCache } from 'lru-cache';
import type { Clock } from '../../core/clock.ts';

interface Bucket {
  readonly left: number;
  readonly atMs: number;
}

const MINUTE_MS = 60_000;

/**
 * Token buckets, one a key: so many at once, and as many again in a minute. Only the last keys are remembered: one that is
 * forgotten starts full.
 */
export class Buckets {
  readonly #perMinute: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor({ perMinute, keys }: { readonly perMinute: number; readonly keys: number }, clock: Pick<Clock, 'monotonicMs'>) {
    this.#perMinute = perMinute;
    this.#clock = clock;
    this.#buckets = new LRUCache({ max: keys });
  }

  /** How long until there is something to take again, in ms; 0 where there is. */
  waitMs(key: string): number {
    const { left } = this.#now(key);
    return left >= 1 ? 0 : ((1 - left) * MINUTE_MS) / this.#perMinute;
  }

  /** Takes one, down to nothing. */
  take(key: string): void {
    const { left, atMs } = this.#now(key);
    this.#buckets.set(key, { left: Math.max(0, left - 1), atMs });
  }

  #now(key: string): Bucket {
    const atMs = this.#clock.monotonicMs();
    const before = this.#buckets.get(key);
    const left = before === undefined ? this.#perMinute : before.left + ((atMs - before.atMs) * this.#perMinute) / MINUTE_MS;
    return { left: Math.min(this.#perMinute, left), atMs };
  }
}
