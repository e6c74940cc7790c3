import { setTimeout as sleep } from 'node:timers/promises';

/** Work that is done again and again, one round after another, until it is stopped. */
export class Rounds {
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  /** Aborts when the rounds are stopped: for what a round waits on. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Begins, once. A round answers how long to wait before the next, ms, and never rejects: what failed is its own to tell. */
  start(round: () => Promise<number>): void {
    this.#running ??= this.#loop(round);
  }

  /** Resolves when the round under way has ended; no other begins. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #loop(round: () => Promise<number>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const pauseMs = await round();
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
