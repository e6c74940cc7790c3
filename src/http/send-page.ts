import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Response } from 'express';

/** Items written at once: some milliseconds of work. */
const AT_ONCE = 100;

/**
 * Answers a page of any size as JSON, `items` and then the other members. A long one is written piece by piece, so that
 * nobody else waits while thousands of items become text, and no faster than its reader takes it.
 */
export async function sendPage<T>(response: Response, items: readonly T[], view: (item: T) => unknown, rest: Readonly<Record<string, unknown>>): Promise<void> {
  if (items.length <= AT_ONCE) {
    response.json({ items: items.map(view), ...rest });
    return;
  }
  async function* pieces(): AsyncGenerator<string> {
    for (let from = 0; from < items.length; from += AT_ONCE) {
      const text = items.slice(from, from + AT_ONCE).map((item) => JSON.stringify(view(item))).join(',');
      yield `${from === 0 ? '{"items":[' : ','}${text}`;
      await nextTurn();
    }
    yield `],${JSON.stringify(rest).slice(1)}`;
  }
  response.type('application/json');
  try {
    await pipeline(Readable.from(pieces()), response);
  } catch (error) {
    // Whoever hung up gets nothing more; what broke here ends the connection, and the reader sees that the page is not whole.
    if (!response.destroyed) throw error;
  }
}
