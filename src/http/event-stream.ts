import type { Response } from 'express';
import type { EventTail } from '../audit/event-tail.ts';

/** What a browser should wait before it comes back, ms. */
const RETRY_MS = 3_000;
/** A reader that took nothing for this long is gone, or as good as gone. */
const STALLED_MS = 60_000;

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  // Nothing on the way may keep it, compress it or hold it back (nginx).
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
};

/**
 * One answer of server-sent events (WHATWG HTML section 9.2). It has a place in the tail and takes the next event only when
 * its reader has taken the one before: nothing is buffered for a slow reader but what the tail keeps for all. One that falls
 * further behind than that gets `resync` and goes on from now.
 */
export class EventStream {
  readonly #response: Response;
  readonly #tail: EventTail;
  #place: number;
  #blocked = false;
  #stalled: NodeJS.Timeout | undefined;

  /** Writes the head of the answer, and what is in the tail after `lastEventId`. */
  constructor(response: Response, tail: EventTail, lastEventId: string | undefined) {
    this.#response = response;
    this.#tail = tail;
    response.writeHead(200, HEADERS);
    response.on('drain', () => {
      this.#blocked = false;
      clearTimeout(this.#stalled);
      this.pump();
    });
    response.once('close', () => clearTimeout(this.#stalled));
    const place = lastEventId === undefined ? tail.end : tail.placeAfter(lastEventId);
    this.#place = place ?? tail.end;
    this.#write(`retry: ${RETRY_MS}\n\n`);
    // An id without data is no event, and is where a reader resumes that is cut off before the first one.
    if (lastEventId === undefined) this.#write(`id: ${tail.headId}\n\n`);
    else if (place === undefined) this.#resync('the resume point is no longer available', tail.headId);
    this.pump();
  }

  /** Sends what has come since, as far as the reader takes it. */
  pump(): void {
    while (!this.#blocked && this.#isOpen()) {
      if (this.#place < this.#tail.first) {
        this.#place = this.#tail.end;
        this.#resync('the stream went on without this reader', this.#tail.headId);
      }
      const entry = this.#tail.at(this.#place);
      if (entry === undefined) return;
      this.#place += 1;
      if (entry.gap) this.#resync('events are missing here');
      this.#write(`id: ${entry.id}\nevent: ${entry.type}\ndata: ${entry.json}\n\n`);
    }
  }

  /** A comment, so that both ends notice a connection that is gone. */
  ping(): void {
    if (!this.#blocked && this.#isOpen()) this.#write(': ping\n\n');
  }

  end(): void {
    if (!this.#isOpen()) return;
    this.#response.end();
    // What a stalled reader has not taken by then is given up.
    setTimeout(() => this.#response.destroy(), 1_000).unref();
  }

  /** `id`: where the stream goes on from; without it, where it already was. */
  #resync(why: string, id?: string): void {
    this.#write(`${id === undefined ? '' : `id: ${id}\n`}event: resync\ndata: ${JSON.stringify({ why })}\n\n`);
  }

  #write(frame: string): void {
    if (this.#response.write(frame) || this.#blocked) return;
    this.#blocked = true;
    this.#stalled = setTimeout(() => this.#response.destroy(), STALLED_MS).unref();
  }

  #isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }
}
