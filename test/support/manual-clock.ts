import type { Clock } from '../../src/core/clock.ts';
import { epochMsFrom, type EpochMs } from '../../src/core/time.ts';

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs;
  }

  now(): EpochMs {
    return epochMsFrom(this.#nowMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Time passes: both clocks move. */
  advance(ms: number): void {
    this.#nowMs += ms;
    this.#monotonicMs += ms;
  }

  /** Somebody sets the wall clock: no time passes. */
  step(ms: number): void {
    this.#nowMs += ms;
  }
}
