import type { Clock } from '../core/clock.ts';
import type { LeaseId, RevocationId, TaskId } from '../core/ids.ts';
import { Rounds } from '../core/rounds.ts';
import { addMs } from '../core/time.ts';
import { isFinal } from '../ledger/lease.ts';
import { allows } from '../ledger/lease-transitions.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { TamperedRecord } from '../ledger/record-seal.ts';
import type { RevocationRecord } from '../ledger/revocation-records.ts';
import { ProviderPace } from './provider-pace.ts';
import { selectSlice, type SelectionLedger } from './select-live.ts';
import { parseSelector } from './selector.ts';

export interface RevocationJobsDeps {
  readonly ledger: SelectionLedger &
    Pick<
      Ledger,
      | 'getRevocation' | 'saveRevocation' | 'claimRevocations' | 'lookAtRevocation' | 'dropRevocation' | 'addSelected' | 'tasksToAsk' | 'leasesToAsk'
      | 'markAsked' | 'revocationCounts' | 'openLeases' | 'markFollowed' | 'finishRevocation' | 'leasesOfTask' | 'endTask' | 'endLease'
    >;
  readonly clock: Clock;
  /** Ends asked for in a second, of one provider. */
  readonly leasesPerSecond: number;
  /** Tells the sweep of this process, if it has one, that there is something to end now. */
  readonly nudge: () => void;
  readonly log: { warn(fields: object, message: string): void };
}

/** How long whoever works on a revocation has it to itself; a killed worker's is taken up after this. */
const CLAIM_MS = 10_000;
/** How often a worker looks for revocations that nobody works on. */
const INTERVAL_MS = 500;
/** How long one is worked on before others get their turn; a request that asked for one waits no longer than this. */
const TURN_MS = 500;
/** Tasks, leases of one provider and leases in all that are asked for in one slice: what a cancellation can come too late for. */
const TASKS_AT_ONCE = 25;
const LEASES_AT_ONCE = 200;
const ALL_LEASES_AT_ONCE = 2_000;
/** Leases looked at together while they are followed. */
const FOLLOWED_AT_ONCE = 1_000;
/** How soon a revocation is looked at again while its leases die, at least and at most, ms. */
const FOLLOW_MIN_MS = 250;
const FOLLOW_MAX_MS = 30_000;

/** What a slice of work leaves: the record as it then is, and when there is more to do; null: never. */
interface Left {
  readonly record: RevocationRecord;
  readonly afterMs: number | null;
}

/**
 * Works on revocations in slices, each written down before the next begins: any process can go on where another was
 * killed. Asking twice for an end is asking once. Whoever requests one works on it at once, for half a second; then, and
 * where the request was killed, workers take it up. What leases end by is the sweep, as always.
 */
export class RevocationJobs {
  readonly #deps: RevocationJobsDeps;
  readonly #pace: ProviderPace;
  readonly #rounds = new Rounds();

  constructor(deps: RevocationJobsDeps) {
    this.#deps = deps;
    this.#pace = new ProviderPace(deps.leasesPerSecond, deps.clock);
  }

  /** Takes up what nobody works on, again and again. */
  start(): void {
    this.#rounds.start(async () => {
      const more = await this.workOnce().catch((error: unknown) => {
        this.#deps.log.warn({ err: error }, 'revocations could not be looked at; tried again at the next look');
        return false;
      });
      return more ? 0 : INTERVAL_MS;
    });
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Writes a revocation down and gives it its first turn; answers it as it then is. */
  async request(record: RevocationRecord): Promise<RevocationRecord> {
    await this.#deps.ledger.saveRevocation(record, this.#claimUntil());
    return (await this.#work(record)).record;
  }

  /** Gives each revocation that is due a turn. True when one has more to do at once. */
  async workOnce(): Promise<boolean> {
    const due = await this.#deps.ledger.claimRevocations(this.#deps.clock.now(), this.#claimUntil());
    const more = await Promise.all(
      due.map((id) =>
        this.#workOn(id).catch((error: unknown) => {
          this.#deps.log.warn({ revocation: id, err: error }, 'a revocation could not be worked on; it is taken up again');
          return false;
        }),
      ),
    );
    return more.includes(true);
  }

  #claimUntil() {
    return addMs(this.#deps.clock.now(), CLAIM_MS);
  }

  /** Gives a turn to a revocation by its id. True when there is more to do at once. */
  async #workOn(id: RevocationId): Promise<boolean> {
    const record = await this.#readable(id);
    return record !== null && (await this.#work(record)).afterMs === 0;
  }

  /** Slice after slice, until nothing is left to do at once, the turn is over or this process stops. */
  async #work(record: RevocationRecord): Promise<Left> {
    const { ledger, clock, nudge } = this.#deps;
    const startedMs = clock.monotonicMs();
    let left: Left = { record, afterMs: 0 };
    // A turn is far shorter than a claim: it need not be renewed in between.
    while (left.afterMs === 0 && clock.monotonicMs() - startedMs < TURN_MS && !this.#rounds.signal.aborted) {
      left = await this.#slice(left.record);
      nudge();
    }
    if (left.afterMs !== null) await ledger.lookAtRevocation(record.id, addMs(clock.now(), left.afterMs));
    return left;
  }

  async #slice(record: RevocationRecord): Promise<Left> {
    if (record.state === 'done') return { record, afterMs: null };
    if (record.state === 'selecting') return this.#select(record);
    const { tasksToAsk, leasesToAsk } = await this.#deps.ledger.revocationCounts(record.id);
    if (record.state === 'cancelled' || tasksToAsk + leasesToAsk === 0) return this.#follow(record);
    return tasksToAsk > 0 ? this.#askForTasks(record) : this.#askForLeases(record);
  }

  /** The record; null where it is gone or fails its seal, which is told: its leases still end when they are due. */
  async #readable(id: RevocationId): Promise<RevocationRecord | null> {
    try {
      const record = await this.#deps.ledger.getRevocation(id);
      if (record !== null) return record;
    } catch (error) {
      if (!(error instanceof TamperedRecord)) throw error;
    }
    await this.#deps.ledger.dropRevocation(id);
    return null;
  }

  /** Goes on with the record as changed or, where somebody else was quicker, as it is by now. */
  async #afresh({ id }: RevocationRecord, changed: RevocationRecord | null): Promise<Left> {
    const record = changed ?? (await this.#deps.ledger.getRevocation(id));
    if (record === null) throw new TamperedRecord('revocation', id);
    return { record, afterMs: 0 };
  }

  async #select(record: RevocationRecord): Promise<Left> {
    const { leases, tasks, next } = await selectSlice(parseSelector(record.selector), record.place, this.#deps.ledger);
    return this.#afresh(record, await this.#deps.ledger.addSelected(record, { leases, tasks: tasks.map((task) => task.id), next }));
  }

  /** Writes down what was asked for; where the pace allowed nothing, there is more after a pause. */
  async #asked(record: RevocationRecord, tasks: readonly TaskId[], leases: readonly LeaseId[]): Promise<Left> {
    if (tasks.length + leases.length === 0) return { record, afterMs: this.#pace.pauseMs };
    return this.#afresh(record, await this.#deps.ledger.markAsked(record.id, tasks, leases));
  }

  /** Ends tasks, with all their leases, as far as the pace of their providers allows. */
  async #askForTasks(record: RevocationRecord): Promise<Left> {
    const { ledger } = this.#deps;
    const { id, by } = record;
    const tasks = await ledger.tasksToAsk(id, TASKS_AT_ONCE);
    const asked = await Promise.all(
      tasks.map(async (task): Promise<TaskId[]> => {
        const ended = await this.#unlessTampered(task, async () => {
          const leases = (await ledger.leasesOfTask(task)).filter(({ state }) => allows(state, 'end_requested'));
          if (!this.#pace.take(leases.map(({ provider }) => provider))) return false;
          await ledger.endTask(task, 'revoked', by, { revocation: id });
          return true;
        });
        return ended ? [task] : [];
      }),
    );
    // Where these must wait for a provider, leases of others need not.
    return asked.flat().length === 0 ? this.#askForLeases(record) : this.#asked(record, asked.flat(), []);
  }

  async #askForLeases(record: RevocationRecord): Promise<Left> {
    const asked = await Promise.all(record.providers.map((provider) => this.#askForLeasesOf(provider, record)));
    return this.#asked(record, [], asked.flat());
  }

  async #askForLeasesOf(provider: string, record: RevocationRecord): Promise<readonly LeaseId[]> {
    const { ledger } = this.#deps;
    const share = Math.ceil(ALL_LEASES_AT_ONCE / record.providers.length);
    const room = Math.min(this.#pace.room(provider), LEASES_AT_ONCE, share);
    if (room === 0) return [];
    const ids = await ledger.leasesToAsk(record, provider, room);
    const leases = (await ledger.getLeases(ids)).filter((lease) => lease !== null).filter(({ state }) => allows(state, 'end_requested'));
    this.#pace.take(leases.map((lease) => lease.provider));
    await Promise.all(leases.map(({ id }) => this.#unlessTampered(id, async () => (await ledger.endLease(id, 'revoked', record.by, { revocation: record.id })) !== null)));
    return ids;
  }

  /** What fails its seal cannot be ended by its record: it is told, and passed over. The reconciler finds what it named. */
  async #unlessTampered(id: TaskId | LeaseId, end: () => Promise<boolean>): Promise<boolean> {
    try {
      return await end();
    } catch (error) {
      if (!(error instanceof TamperedRecord)) throw error;
      this.#deps.log.warn({ id, err: error }, 'a revocation passes over a record that fails its seal');
      return true;
    }
  }

  /** Looks which leases have ended; when all have, the revocation is done. */
  async #follow(record: RevocationRecord): Promise<Left> {
    const { ledger, clock } = this.#deps;
    const ageMs = clock.now() - record.createdAtMs;
    if (record.total > 0 && ageMs < FOLLOW_MIN_MS) return { record, afterMs: FOLLOW_MIN_MS };
    let current = record;
    let open = 0;
    for (let ids = await ledger.openLeases(record.id, 0, FOLLOWED_AT_ONCE); ids.length > 0; ids = await ledger.openLeases(record.id, open, FOLLOWED_AT_ONCE)) {
      const leases = await ledger.getLeases(ids);
      const final = ids.filter((_, index) => isFinal(leases[index]?.state ?? 'intended'));
      const failed = ids.filter((_, index) => (leases[index] ?? null) === null);
      const followed = await ledger.markFollowed(current, final, failed);
      if (followed === null) return this.#afresh(record, null);
      current = followed;
      open += ids.length - final.length - failed.length;
    }
    if (open > 0) return { record: current, afterMs: Math.min(FOLLOW_MAX_MS, Math.max(FOLLOW_MIN_MS, open, ageMs / 20)) };
    const done = await ledger.finishRevocation(current);
    return done === null ? this.#afresh(record, null) : { record: done, afterMs: null };
  }
}
