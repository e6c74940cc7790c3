import { once } from 'node:events';
import type { Response } from 'express';

const LINES_TYPE = 'application/x-ndjson';

/** A reader that took nothing for this long is gone, or as good as gone. */
const STALLED_MS = 60_000;

/**
 * Answers lines of JSON as they are made, no faster than the reader takes them, so that any number needs little memory. `make` is
 * told by its signal when the reader is gone. Throws what fails; where lines were sent before, the connection is then cut, and the reader sees that
 * the answer is not whole.
 */
export async function sendLines(response: Response, make: (signal: AbortSignal) => AsyncGenerator<string>): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => { gone.abort(); };
  response.once('close', leave);
  try {
    for await (const line of make(gone.signal)) {
      if (!response.headersSent) response.type(LINES_TYPE);
      if (response.write(`${line}\n`)) continue;
      const stalled = setTimeout(leave, STALLED_MS);
      await once(response, 'drain', { signal: gone.signal }).finally(() => { clearTimeout(stalled); });
    }
    if (!response.headersSent) response.type(LINES_TYPE);
    response.end();
  } catch (error) {
    if (!gone.signal.aborted) throw error;
    response.destroy();
  }
}
