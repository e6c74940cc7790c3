import type { EpochMs } from '../core/time.ts';

export interface RetrySettings {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Overdue by this much, a revocation is stuck: alarmed, and still retried, slowly. */
  readonly stuckAfterMs: number;
}

export interface NextTry {
  readonly atMs: EpochMs;
  readonly stuck: boolean;
}

/**
 * When to try a failed revocation again. There is no last try: attempts go on until the target confirms or its own
 * clock ends the credential. Delays double from `firstMs` to `maxMs`; each is cut at random by up to half, so that a
 * target that comes back is not met by everybody at once.
 *
 * @param attempts failed attempts before this one, from 0
 * @param deadlineMs when the lease should have been dead
 * @param retryable false when the target refused for good; a human is needed, so it is stuck at once
 * @param random from 0 up to 1
 */
export function nextTry(
  attempts: number,
  deadlineMs: EpochMs,
  nowMs: EpochMs,
  retryable: boolean,
  settings: RetrySettings,
  random: () => number = Math.random,
): NextTry {
  const stuck = !retryable || nowMs - deadlineMs > settings.stuckAfterMs;
  const ceiling = stuck ? settings.maxMs : Math.min(settings.maxMs, settings.firstMs * 2 ** Math.min(attempts, 30));
  return { atMs: Math.round(nowMs + ceiling * (1 - random() / 2)) as EpochMs, stuck };
}
