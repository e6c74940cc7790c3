import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { jittered } from '../../src/grant/grant-deps.ts';

describe('the jitter of expiries', () => {
  it('only shortens, by no more than it may, and leaves a second', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 3_600_000 }), fc.double({ min: 0, max: 50, noNaN: true }), fc.double({ min: 0, max: 0.999_999, noNaN: true }), (ms, percent, random) => {
        const life = jittered(ms, percent, () => random);
        expect(life).toBeLessThanOrEqual(ms);
        expect(life).toBeGreaterThanOrEqual(Math.max(1_000, Math.floor(ms * (1 - percent / 100))));
      }),
    );
  });

  it('is none unless it is configured', () => {
    expect(jittered(300_000, 0, () => 0.7)).toBe(300_000);
  });
});
