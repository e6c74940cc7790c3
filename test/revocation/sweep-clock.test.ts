import { describe, expect, it } from '@jest/globals';
import { SweepClock } from '../../src/revocation/sweep-clock.ts';
import { ManualClock } from '../support/manual-clock.ts';

const agreeing = (clock: ManualClock) => () => Promise.resolve<number>(clock.now());

describe('the clock of the sweep', () => {
  it('follows time as it passes', async () => {
    const clock = new ManualClock();
    const sweep = new SweepClock(clock, agreeing(clock));
    clock.advance(120_000);
    expect(await sweep.read()).toEqual({ state: 'steady', nowMs: clock.now() });
  });

  it('stands still on a leap of more than a minute, so that nothing is ended early', async () => {
    const clock = new ManualClock();
    const sweep = new SweepClock(clock, agreeing(clock));
    clock.step(61_000);
    expect(await sweep.read()).toEqual({ state: 'jumped', byMs: 61_000 });
    clock.step(-61_000);
    expect((await sweep.read()).state).toBe('steady');
  });

  it('takes a step of less than a minute as it is (control)', async () => {
    const clock = new ManualClock();
    const sweep = new SweepClock(clock, agreeing(clock));
    clock.step(59_000);
    expect(await sweep.read()).toEqual({ state: 'steady', nowMs: clock.now() });
  });

  it('believes a leap after a minute in which Redis agreed, and not while Redis disagrees', async () => {
    const clock = new ManualClock();
    let redisMs = clock.now() as number;
    const sweep = new SweepClock(clock, () => Promise.resolve(redisMs));
    clock.step(3_600_000);
    await sweep.read();
    clock.advance(60_000);
    expect((await sweep.read()).state).toBe('jumped');
    redisMs = clock.now();
    expect((await sweep.read()).state).toBe('steady');
  });

  it('never goes back: a backward step does not lengthen a lease', async () => {
    const clock = new ManualClock();
    const sweep = new SweepClock(clock, agreeing(clock));
    clock.advance(10_000);
    const before = clock.now();
    await sweep.read();
    clock.step(-3_600_000);
    clock.advance(1_000);
    expect(await sweep.read()).toEqual({ state: 'steady', nowMs: before + 1_000 });
  });
});
