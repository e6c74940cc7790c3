import { setTimeout as sleep } from 'node:timers/promises';
import type { BrokerClient } from './broker-client.ts';
import { readEvents } from './read-events.ts';

/** Without an event; and at most as often, however many there are. */
const LOOK_EVERY_MS = 2_000;
const LOOK_AT_MOST_EVERY_MS = 500;
/** Before the events are asked for again, where they broke off. */
const AGAIN_MS = 3_000;

/** Looks again and again until `signal`: soon after each event of the broker, and every two seconds without one. */
export class LiveReader {
  readonly #client: Pick<BrokerClient, 'stream'>;
  readonly #look: () => Promise<void>;
  readonly #failed: (error: unknown) => void;
  readonly #signal: AbortSignal;
  /** Something happened since the last look began. */
  #due = false;
  #wake: () => void = () => undefined;

  /** `failed` is told why a look failed, and the next one comes; where it throws, `run` rejects with that. */
  constructor(client: Pick<BrokerClient, 'stream'>, { look, failed, signal }: { readonly look: () => Promise<void>; readonly failed: (error: unknown) => void; readonly signal: AbortSignal }) {
    this.#client = client;
    this.#look = look;
    this.#failed = failed;
    this.#signal = signal;
  }

  /** Looks soon. */
  nudge(): void {
    this.#due = true;
    this.#wake();
  }

  async run(): Promise<void> {
    void this.#listen();
    while (!this.#ended()) {
      this.#due = false;
      await this.#look().catch((error: unknown) => {
        if (!this.#ended()) this.#failed(error);
      });
      await this.#pause(LOOK_AT_MOST_EVERY_MS);
      const woken = new Promise<void>((resolve) => (this.#wake = resolve));
      if (!this.#isDue()) await Promise.race([woken, this.#pause(LOOK_EVERY_MS)]);
    }
  }

  /** Events only say that something happened: what, is read. Without them, it looks as often as it does anyway. */
  async #listen(): Promise<void> {
    while (!this.#ended()) {
      try {
        for await (const { type } of readEvents(await this.#client.stream('/v1/events', this.#signal))) if (type !== '') this.nudge();
      } catch {
        // Away, or too many readers.
      }
      await this.#pause(AGAIN_MS);
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#signal }).catch(() => undefined);
  }

  #isDue(): boolean {
    return this.#due;
  }

  #ended(): boolean {
    return this.#signal.aborted;
  }
}
