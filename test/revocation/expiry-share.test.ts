import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { expiryShare, MAY_WAIT_MS } from '../../src/revocation/expiry-share.ts';

describe('the share of a look', () => {
  const atOnce = (count: number): number[] => Array.from({ length: count }, () => 0);

  it('is what the time that is left asks for, and no more', () => {
    expect(expiryShare(atOnce(600), 0, 200)).toBe(40);
    expect(expiryShare(atOnce(300), MAY_WAIT_MS / 2, 200)).toBe(40);
    expect(expiryShare(atOnce(600), 0, 100)).toBe(20);
  });

  it('does not make a few wait', () => {
    expect(expiryShare(atOnce(10), 0, 200)).toBe(10);
    expect(expiryShare(atOnce(20), 0, 200)).toBe(10);
    expect(expiryShare([], 0, 200)).toBe(0);
  });

  it('is all whose time to wait is over before the next look', () => {
    expect(expiryShare([...atOnce(100), 2_000], MAY_WAIT_MS - 200, 200)).toBe(100);
    expect(expiryShare([...atOnce(100), 2_000], MAY_WAIT_MS + 60_000, 200)).toBe(101);
  });

  it('leaves a thousand waiting at most', () => {
    expect(expiryShare(atOnce(50_000), 0, 200)).toBe(49_000);
  });

  it('ends every one within the time it may wait, whenever they come and however unsteady the looks are', () => {
    const dueTimes = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 400 });
    const pauses = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(dueTimes, pauses, (dueAtMs, pausesMs) => {
        let left = dueAtMs.toSorted((a, b) => a - b);
        let nowMs = 0;
        for (let look = 0; left.length > 0; look += 1) {
          const sinceMs = pausesMs[look % pausesMs.length] ?? 1;
          nowMs += sinceMs;
          const waiting = left.filter((atMs) => atMs <= nowMs);
          const taken = waiting.slice(0, expiryShare(waiting, nowMs, sinceMs));
          // A look that comes later than was expected can only be made up for in the look itself.
          for (const atMs of taken) expect(nowMs - atMs).toBeLessThanOrEqual(MAY_WAIT_MS + Math.max(...pausesMs));
          left = left.slice(taken.length);
        }
      }),
    );
  });
});
