import { describe, expect, it } from '@jest/globals';
import { ProviderPace } from '../../src/revocation/provider-pace.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** How many of a provider are let through one by one. */
function through(pace: ProviderPace, provider: string): number {
  let count = 0;
  while (pace.take([provider])) count += 1;
  return count;
}

describe('the pace of a provider', () => {
  it('lets a second of it through at once, then as much as time passes, and never saves up more', () => {
    const clock = new ManualClock();
    const pace = new ProviderPace(10, clock);
    expect(through(pace, 'a')).toBe(10);
    clock.advance(500);
    expect(through(pace, 'a')).toBe(5);
    clock.advance(3_600_000);
    expect(through(pace, 'a')).toBe(10);
  });

  it('is each provider by itself', () => {
    const pace = new ProviderPace(10, new ManualClock());
    expect(through(pace, 'a')).toBe(10);
    expect(pace.room('a')).toBe(0);
    expect(pace.room('b')).toBe(10);
  });

  it('goes into debt by what hangs together, and makes up for it', () => {
    const clock = new ManualClock();
    const pace = new ProviderPace(10, clock);
    expect(pace.take(Array.from({ length: 15 }, () => 'a'))).toBe(true);
    clock.advance(500);
    expect(pace.take(['a'])).toBe(false);
    clock.advance(100);
    expect(through(pace, 'a')).toBe(1);
  });

  it('takes all or none where one of several providers must rest', () => {
    const pace = new ProviderPace(2, new ManualClock());
    through(pace, 'a');
    expect(pace.take(['a', 'b'])).toBe(false);
    expect(pace.room('b')).toBe(2);
  });
});
