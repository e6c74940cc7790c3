import { setTimeout as sleep } from 'node:timers/promises';
import { toRfc3339 } from '../core/time.ts';
import type { Hold } from './epoch.ts';
import type { Ledger } from './ledger.ts';

export interface HoldWatchDeps {
  readonly ledger: Pick<Ledger, 'currentHold'>;
  readonly intervalMs: number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void; debug(fields: object, message: string): void };
}

/** Looks again and again whether the ledger still has all its records, and tells when that changes. */
export class HoldWatch {
  readonly #deps: HoldWatchDeps;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #hold: Hold | null = null;

  constructor(deps: HoldWatchDeps) {
    this.#deps = deps;
  }

  /** The hold in force when it was last looked for. */
  get hold(): Hold | null {
    return this.#hold;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#look().catch((error: unknown) => this.#deps.log.debug({ err: error }, 'the ledger could not be looked at'));
      await sleep(this.#deps.intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { ledger, log } = this.#deps;
    const hold = await ledger.currentHold();
    const before = this.#hold;
    this.#hold = hold;
    if (hold?.sinceMs === before?.sinceMs) return;
    if (hold === null) log.info({}, 'the hold is over: credentials are granted again');
    else log.warn({ why: hold.why, since: toRfc3339(hold.sinceMs), until: toRfc3339(hold.untilMs) }, 'Redis lost records: nothing is granted until an admin releases the hold (`mayfly hold release`), or it ends');
  }
}
