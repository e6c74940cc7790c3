import { describe, expect, it } from '@jest/globals';
import { dayFlag, instantFlag } from '../../src/cli/instant-flag.ts';

/** A Wednesday, at noon here. */
const NOW_MS = new Date(2026, 0, 7, 12).getTime();
const midnight = (date: number, month = 0): number => new Date(2026, month, date).getTime();

describe('an instant as a person writes it', () => {
  it('is RFC 3339, or how long ago', () => {
    expect(instantFlag('--since', '2026-01-05T12:00:00+02:00', NOW_MS)).toBe(Date.parse('2026-01-05T10:00:00Z'));
    expect(instantFlag('--since', '30m', NOW_MS)).toBe(NOW_MS - 30 * 60_000);
    expect(instantFlag('--until', '7d', NOW_MS)).toBe(NOW_MS - 7 * 86_400_000);
  });

  it('is a day here, which both ends of a time include', () => {
    for (const [word, date] of [['today', 7], ['yesterday', 6], ['tuesday', 6], ['last tuesday', 6], ['Wednesday', 7], ['last wednesday', 0], ['thursday', 1], ['2026-01-03', 3]] as const) {
      expect([word, instantFlag('--since', word, NOW_MS)]).toEqual([word, midnight(date)]);
      expect([word, instantFlag('--until', word, NOW_MS)]).toEqual([word, midnight(date + 1)]);
      expect(dayFlag('--on', word, NOW_MS)).toEqual({ fromMs: midnight(date), toMs: midnight(date + 1) });
    }
  });

  it('is refused in any other form, with what is allowed', () => {
    for (const value of ['', 'last', 'last today', 'next tuesday', '2026-02-30', '2026-1-5', 'P1D', '7w', 'undefined']) {
      expect(() => instantFlag('--since', value, NOW_MS)).toThrow(/--since .*: give an RFC 3339 instant/);
    }
    expect(() => dayFlag('--on', '7d', NOW_MS)).toThrow(/--on 7d: give a day/);
  });
});
