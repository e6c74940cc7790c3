import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import type { SessionRecords } from '../session.ts';
import { RoleMissing } from './role-missing.ts';

export interface RefusalRecordDeps {
  readonly records: Pick<SessionRecords, 'refuseSession'>;
  readonly clock: Clock;
  readonly log: { warn(fields: object, message: string): void };
}

/** Anybody can begin a sign-in and bring nonsense back: so many of nobody we know are put on the record in a minute, by each replica. */
const NAMELESS_A_MINUTE = 30;
const MINUTE_MS = 60_000;

/** Puts on the record who was not let in, and why. */
export class RefusalRecord {
  readonly #deps: RefusalRecordDeps;
  #minuteBeganMs = -Infinity;
  #nameless = 0;

  constructor(deps: RefusalRecordDeps) {
    this.#deps = deps;
  }

  /** Notes a failed sign-in. Never throws: the person is told of the failure itself. */
  async note(error: unknown): Promise<void> {
    const person = error instanceof RoleMissing ? error.person : null;
    if (person === null && !this.#mayNoteNameless()) return;
    const why = error instanceof RoleMissing ? 'no_role' : error instanceof Problem ? error.code : 'internal';
    await this.#deps.records.refuseSession(person, why).catch((err: unknown) => this.#deps.log.warn({ err }, 'a refused sign-in could not be put on the record'));
  }

  #mayNoteNameless(): boolean {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#minuteBeganMs >= MINUTE_MS) {
      this.#minuteBeganMs = nowMs;
      this.#nameless = 0;
    }
    this.#nameless += 1;
    return this.#nameless <= NAMELESS_A_MINUTE;
  }
}
