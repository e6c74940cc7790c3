import { describe, expect, it } from '@jest/globals';
import fc from '../../support/fast-check.ts';
import { inParallel } from '../../../src/providers/vault/in-parallel.ts';

describe('work in parallel', () => {
  it('gives one result for each item, and never has more under way than its width', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 3 }), { maxLength: 30 }), fc.integer({ min: 1, max: 8 }), async (turns, width) => {
        let running = 0;
        let most = 0;
        const results: number[] = [];
        const work = async ([index, turn]: [number, number]): Promise<number> => {
          most = Math.max(most, (running += 1));
          for (let waited = 0; waited < turn; waited += 1) await new Promise(setImmediate);
          running -= 1;
          return index;
        };
        for await (const result of inParallel([...turns.entries()], width, work)) results.push(result);
        expect(results.sort((a, b) => a - b)).toEqual([...turns.keys()]);
        expect(most).toBeLessThanOrEqual(width);
      }),
      { numRuns: 50 },
    );
  });

  it('starts nothing new when one throws', async () => {
    const started: number[] = [];
    const work = (item: number): Promise<number> => {
      started.push(item);
      return item === 1 ? Promise.reject(new Error('one')) : Promise.resolve(item);
    };
    const all = async (): Promise<void> => {
      for await (const done of inParallel([0, 1, 2, 3, 4, 5], 2, work)) expect(done).toBe(0);
    };
    await expect(all()).rejects.toThrow('one');
    expect(started.length).toBeLessThan(6);
  });
});
