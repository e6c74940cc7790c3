import { isLeaseId, isTaskId, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import { allows } from '../ledger/lease-transitions.ts';
import type { DueEntry, Ledger } from '../ledger/ledger.ts';
import { expiryShare } from './expiry-share.ts';

/** What is due in one shard. */
export interface DueInShard {
  readonly shard: Shard;
  readonly entries: readonly DueEntry[];
}

/** What of it is worked on in this look. */
export interface TakenInShard {
  readonly shard: Shard;
  readonly ids: readonly (LeaseId | TaskId)[];
}

interface Taken {
  /** What waits for nobody. */
  readonly urgent: readonly TakenInShard[];
  /** A part of what may wait. */
  readonly share: readonly TakenInShard[];
  /** How many tasks, and leases of tasks that go on, wait further. */
  readonly left: number;
}

/**
 * While grants are made, tells what may wait from what may not. What somebody asked for, and what is tried again, is
 * taken at once; what only its time has run out is taken bit by bit. Nothing is kept here but what need not be read
 * again: what waits stands in the ledger as due, and a look that forgets everything loses nothing.
 */
export class WaitingExpiries {
  readonly #readDue: Ledger['dueItems'];
  /** Leases that wait, with their tasks. */
  #waiting = new Map<LeaseId, TaskId>();

  constructor(readDue: Ledger['dueItems']) {
    this.#readDue = readDue;
  }

  has(lease: LeaseId): boolean {
    return this.#waiting.has(lease);
  }

  forgetAll(): void {
    this.#waiting.clear();
  }

  /** What is taken now. `sinceMs`: how long ago the last look was. */
  async take(due: readonly DueInShard[], nowMs: EpochMs, sinceMs: number): Promise<Taken> {
    const dueIds = new Set<string>(due.flatMap(({ entries }) => entries.map(({ id }) => id)));
    this.#waiting = new Map([...this.#waiting].filter(([id]) => dueIds.has(id)));
    const urgent = await Promise.all(due.map(async ({ shard, entries }) => ({ shard, ids: await this.#urgentOf(shard, entries) })));
    // A lease goes with its task, where that is due as well.
    const waiting = due
      .flatMap(({ shard, entries }) => entries.map((entry) => ({ shard, ...entry })))
      .filter(({ id }) => isTaskId(id) || (isLeaseId(id) && this.#waiting.has(id) && !dueIds.has(this.#waiting.get(id) ?? '')))
      .sort((a, b) => a.atMs - b.atMs);
    const taken = waiting.slice(0, expiryShare(waiting.map(({ atMs }) => atMs), nowMs, sinceMs));
    const takenIds = new Set<string>(taken.map(({ id }) => id));
    this.#waiting = new Map([...this.#waiting].filter(([id, task]) => !takenIds.has(id) && !takenIds.has(task)));
    const byShard = Map.groupBy(taken, ({ shard }) => shard);
    const share = [...byShard].map(([shard, entries]) => ({ shard, ids: entries.map(({ id }) => id) }));
    return { urgent, share, left: waiting.length - taken.length };
  }

  /** Reads the leases that are new here, and answers those that may not wait. */
  async #urgentOf(shard: Shard, entries: readonly DueEntry[]): Promise<LeaseId[]> {
    const unknown = entries.map(({ id }) => id).filter((id) => isLeaseId(id) && !this.#waiting.has(id));
    const { leases } = await this.#readDue(shard, unknown);
    const mayWait = leases.filter((lease) => allows(lease.state, 'end_requested'));
    for (const lease of mayWait) this.#waiting.set(lease.id, lease.taskId);
    return leases.filter((lease) => !this.#waiting.has(lease.id)).map(({ id }) => id);
  }
}
