import { epochMsFrom, type EpochMs } from './time.ts';

/** The one source of time. Everything else is handed a clock, so that tests can move it. */
export interface Clock {
  /** Wall-clock time; it can step in both directions. */
  now(): EpochMs;
  /** Milliseconds on a clock that never steps; only differences mean anything. */
  monotonicMs(): number;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => epochMsFrom(Date.now()),
  monotonicMs: () => performance.now(),
};
