import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { epochMsFrom } from '../../src/core/time.ts';
import { nextTry } from '../../src/revocation/retry-schedule.ts';

const SETTINGS = { firstMs: 500, maxMs: 30_000, stuckAfterMs: 300_000 };
const NOW = epochMsFrom(1_000_000_000);

describe('the retry schedule', () => {
  it('never gives up: there is a next try after any number of failures, within the longest delay', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.boolean(), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempts, retryable, random) => {
        const { atMs } = nextTry(attempts, NOW, NOW, retryable, SETTINGS, () => random);
        expect(atMs).toBeGreaterThan(NOW);
        expect(atMs).toBeLessThanOrEqual(NOW + SETTINGS.maxMs);
      }),
    );
  });

  it('doubles from the first delay, and spreads by up to half', () => {
    const delays = [0, 1, 2, 3].map((attempts) => nextTry(attempts, NOW, NOW, true, SETTINGS, () => 0).atMs - NOW);
    expect(delays).toEqual([500, 1_000, 2_000, 4_000]);
    expect(nextTry(0, NOW, NOW, true, SETTINGS, () => 0.999).atMs - NOW).toBeGreaterThanOrEqual(250);
  });

  it('calls it stuck once overdue past its budget, or at once when the target refused for good', () => {
    const deadline = epochMsFrom(NOW - SETTINGS.stuckAfterMs - 1);
    expect(nextTry(0, deadline, NOW, true, SETTINGS).stuck).toBe(true);
    expect(nextTry(0, NOW, NOW, false, SETTINGS).stuck).toBe(true);
    expect(nextTry(50, NOW, NOW, true, SETTINGS).stuck).toBe(false);
  });
});
