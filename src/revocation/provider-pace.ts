import type { Clock } from '../core/clock.ts';

/**
 * How fast the ends of leases are asked for, for each provider by itself: `perSecond` on average, and that many at once
 * after a rest. A bucket can go into debt by what hangs together, and is then closed until it has made up for it.
 */
export class ProviderPace {
  readonly #perSecond: number;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(perSecond: number, clock: Pick<Clock, 'monotonicMs'>) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** How many may be asked for now; 0 where the provider must rest. */
  room(provider: string): number {
    const nowMs = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(provider) ?? { tokens: this.#perSecond, atMs: nowMs };
    const tokens = Math.min(this.#perSecond, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.#perSecond);
    this.#buckets.set(provider, { tokens, atMs: nowMs });
    return Math.max(0, Math.floor(tokens));
  }

  /** These are asked for together: all or, where one provider has no room at all, none. */
  take(providers: readonly string[]): boolean {
    if (providers.some((provider) => this.room(provider) === 0)) return false;
    for (const provider of providers) {
      const bucket = this.#buckets.get(provider);
      if (bucket !== undefined) bucket.tokens -= 1;
    }
    return true;
  }

  /** How long until a provider that rests has room again, about, ms. */
  get pauseMs(): number {
    return Math.min(1_000, Math.max(20, 1000 / this.#perSecond));
  }
}
