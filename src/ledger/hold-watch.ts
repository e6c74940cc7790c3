import { setTimeout as sleep } from 'node:timers/promises';
import { toRfc3339 } from '../core/time.ts';
import type { Hold } from './epoch.ts';
import type { Ledger } from './ledger.ts';

export interface HoldWatchDeps {
  readonly ledger: Pick<Ledger, 'currentHold'>;
  readonly intervalMs: number;
  readonly log: { warn(fields: object, message: string): void; info(fields: object, message: string): void; debug(fields: object, message: string): void };
}

/** How soon to look again before the first look has succeeded. */
const FIRST_LOOK_MS = 100;

/** Looks again and again whether the ledger still has all its records, and tells when that changes. */
export class HoldWatch {
  readonly #deps: HoldWatchDeps;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #hold: Hold | null = null;
  #hasLooked = false;

  constructor(deps: HoldWatchDeps) {
    this.#deps = deps;
  }

  /** Whether the ledger could be looked at since this process started: before that nothing is granted. */
  get hasLooked(): boolean {
    return this.#hasLooked;
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
      await sleep(this.#hasLooked ? this.#deps.intervalMs : FIRST_LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { ledger, log } = this.#deps;
    const hold = await ledger.currentHold();
    const before = this.#hold;
    this.#hasLooked = true;
    this.#hold = hold;
    if (hold?.sinceMs === before?.sinceMs) return;
    if (hold === null) log.info({}, 'the hold is over: credentials are granted again');
    else log.warn({ why: hold.why, since: toRfc3339(hold.sinceMs), until: toRfc3339(hold.untilMs) }, 'Redis lost records: nothing is granted until an admin releases the hold (`mayfly hold release`), or it ends');
  }
}
