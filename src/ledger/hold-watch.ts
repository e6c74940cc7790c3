import { Rounds } from '../core/rounds.ts';
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
  readonly #rounds = new Rounds();
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
    this.#rounds.start(async () => {
      await this.#look().catch((error: unknown) => this.#deps.log.debug({ err: error }, 'the ledger could not be looked at'));
      return this.#hasLooked ? this.#deps.intervalMs : FIRST_LOOK_MS;
    });
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
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
