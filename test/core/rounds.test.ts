import { describe, expect, it } from '@jest/globals';
import { Rounds } from '../../src/core/rounds.ts';
import { until } from '../support/until.ts';

describe('rounds', () => {
  it('come one after another, never two at once, and once however often they are started', async () => {
    const rounds = new Rounds();
    let done = 0;
    let atOnce = 0;
    let most = 0;
    const round = async (): Promise<number> => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise(setImmediate);
      atOnce -= 1;
      done += 1;
      return done % 2;
    };
    rounds.start(round);
    rounds.start(round);
    await until(() => done > 10);
    await rounds.stop();
    expect(most).toBe(1);
  });

  it('end when the one under way has ended, and not after its pause', async () => {
    const rounds = new Rounds();
    let ended = false;
    let begin: () => void = () => undefined;
    const began = new Promise<void>((resolve) => (begin = resolve));
    rounds.start(async () => {
      begin();
      await new Promise((resolve) => rounds.signal.addEventListener('abort', resolve, { once: true }));
      ended = true;
      return 3_600_000;
    });
    await began;
    await rounds.stop();
    expect(ended).toBe(true);
  });

  it('can be stopped before they began', async () => {
    await expect(new Rounds().stop()).resolves.toBeUndefined();
  });
});
