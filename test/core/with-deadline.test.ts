import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { withDeadline } from '../../src/core/with-deadline.ts';

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
  });

describe('work with a deadline', () => {
  it('ends when its time is over', async () => {
    await expect(withDeadline(5, undefined, aborted)).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('ends with its parent, also with one that has ended before', async () => {
    const parent = new AbortController();
    const work = withDeadline(60_000, parent.signal, aborted);
    parent.abort(new Error('stopping'));
    await expect(work).rejects.toThrow('stopping');
    await expect(withDeadline(60_000, parent.signal, aborted)).rejects.toThrow('stopping');
  });

  it('leaves nothing at its parent, however it ends', async () => {
    const parent = new AbortController();
    const seen: number[] = [];
    await withDeadline(60_000, parent.signal, (signal) => {
      seen.push(getEventListeners(parent.signal, 'abort').length);
      return withDeadline(60_000, signal, () => Promise.resolve());
    });
    await withDeadline(60_000, parent.signal, () => Promise.reject(new Error('no'))).catch(() => undefined);
    // The control: it was there while the work went on.
    expect(seen).toEqual([1]);
    expect(getEventListeners(parent.signal, 'abort')).toEqual([]);
  });
});
