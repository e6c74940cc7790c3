import type { Clock } from '../core/clock.ts';
import type { EpochMs } from '../core/time.ts';

/** A wall clock that moved this much further than the steady one was set, not waited for. */
const JUMP_MS = 60_000;
/** A jump that lasts this long, and that Redis shares, is the true time: the earlier one was wrong. */
const ACCEPT_AFTER_MS = 60_000;
/** How closely Redis must agree before a jump is believed. */
const AGREEMENT_MS = 5_000;

export type SweepTime =
  | { readonly state: 'steady'; readonly nowMs: EpochMs }
  /** The clock leapt forward: sweeping now would end credentials that are not due. */
  | { readonly state: 'jumped'; readonly byMs: number };

/**
 * The time by which the sweep decides what is due. It never goes back, so a backward step cannot lengthen a lease; and
 * it does not follow a leap of more than a minute, so that one wrong clock cannot end everything at once. A leap is
 * believed after a minute in which Redis has agreed with it.
 */
export class SweepClock {
  readonly #clock: Clock;
  readonly #redisTimeMs: () => Promise<number>;
  #lastMs: number;
  #lastMonotonicMs: number;
  #jumpedSinceMonotonicMs: number | null = null;

  constructor(clock: Clock, redisTimeMs: () => Promise<number>) {
    this.#clock = clock;
    this.#redisTimeMs = redisTimeMs;
    this.#lastMs = clock.now();
    this.#lastMonotonicMs = clock.monotonicMs();
  }

  async read(): Promise<SweepTime> {
    const wallMs = this.#clock.now();
    const monotonicMs = this.#clock.monotonicMs();
    const expectedMs = this.#lastMs + (monotonicMs - this.#lastMonotonicMs);
    const aheadMs = wallMs - expectedMs;
    if (aheadMs <= JUMP_MS) {
      this.#jumpedSinceMonotonicMs = null;
      return this.#accept(Math.max(wallMs, expectedMs), monotonicMs);
    }
    this.#jumpedSinceMonotonicMs ??= monotonicMs;
    const lastedMs = monotonicMs - this.#jumpedSinceMonotonicMs;
    if (lastedMs >= ACCEPT_AFTER_MS && Math.abs((await this.#redisTimeMs()) - wallMs) <= AGREEMENT_MS) {
      this.#jumpedSinceMonotonicMs = null;
      return this.#accept(wallMs, monotonicMs);
    }
    return { state: 'jumped', byMs: Math.round(aheadMs) };
  }

  #accept(nowMs: number, monotonicMs: number): SweepTime {
    this.#lastMs = nowMs;
    this.#lastMonotonicMs = monotonicMs;
    return { state: 'steady', nowMs: Math.floor(nowMs) as EpochMs };
  }
}
