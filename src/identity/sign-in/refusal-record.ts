import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import type { SessionRecords } from '../session.ts';
import { Buckets } from './buckets.ts';
import type { CountSignIn } from './count-sessions.ts';
import { RoleMissing } from './role-missing.ts';
import { refusalReasonOf, type RefusalReason } from './sign-in-refused.ts';

export interface RefusalRecordDeps {
  readonly records: Pick<SessionRecords, 'refuseSession'>;
  readonly clock: Clock;
  readonly count: CountSignIn;
  readonly log: { warn(fields: object, message: string): void };
}

/** Anybody can begin a sign-in and bring nonsense back: so many of one person, and of all whom nobody knows, are put on the record in a minute, by each replica. */
const A_MINUTE = 30;
const PERSONS = 1_000;
const NAMELESS = 'nameless';
/** Anybody can send these with no sign-in of theirs: they are counted, and not one of them is put on the record. */
const NOT_RECORDED: ReadonlySet<RefusalReason> = new Set(['not_begun', 'replayed', 'limited']);

/** Counts who was not let in, and puts it on the record. */
export class RefusalRecord {
  readonly #deps: RefusalRecordDeps;
  readonly #persons: Buckets;
  readonly #nameless: Buckets;

  constructor(deps: RefusalRecordDeps) {
    this.#deps = deps;
    this.#persons = new Buckets({ perMinute: A_MINUTE, keys: PERSONS }, deps.clock);
    this.#nameless = new Buckets({ perMinute: A_MINUTE, keys: 1 }, deps.clock);
  }

  /** Notes a failed sign-in. Never throws: the person is told of the failure itself. */
  async note(error: unknown): Promise<void> {
    const reason = this.count(error);
    if (NOT_RECORDED.has(reason)) return;
    const person = error instanceof RoleMissing ? error.person : null;
    const [buckets, key] = person === null ? [this.#nameless, NAMELESS] : [this.#persons, JSON.stringify([person.issuer, person.subject])];
    if (buckets.waitMs(key) > 0) return;
    buckets.take(key);
    const why = error instanceof RoleMissing ? 'no_role' : error instanceof Problem ? error.code : 'internal';
    await this.#deps.records.refuseSession(person, why).catch((err: unknown) => this.#deps.log.warn({ err }, 'a refused sign-in could not be put on the record'));
  }

  /** Counts a sign-in that failed before there was anything to put on the record. */
  count(error: unknown): RefusalReason {
    const reason = refusalReasonOf(error);
    this.#deps.count({ outcome: 'refused', reason });
    return reason;
  }
}
