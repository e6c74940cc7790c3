import pLimit from 'p-limit';
import type { Clock } from '../core/clock.ts';
import { isLeaseId, SHARDS, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import { addMs, type EpochMs } from '../core/time.ts';
import { allows } from '../ledger/lease-transitions.ts';
import type { Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { inSpan } from '../telemetry/in-span.ts';
import { endDueLease, endDueTask, type EndDueDeps } from './end-due.ts';
import { hasLapsed, type DuePair } from './revoke-leases.ts';
import type { SweepClock } from './sweep-clock.ts';
import { WaitingExpiries, type TakenInShard } from './waiting-expiries.ts';

export interface DueSweepDeps extends EndDueDeps {
  readonly ledger: EndDueDeps['ledger'] & Pick<Ledger, 'due' | 'dueItems' | 'claim' | 'isGranting'>;
  readonly clock: Clock;
  readonly sweepClock: SweepClock;
  /** Hands a batch of one provider to its queue. */
  readonly dispatch: (provider: string, batch: readonly DuePair[]) => Promise<void>;
  readonly settings: {
    readonly intervalMs: number;
    readonly batchSize: number;
    /** How long a dispatched lease is left alone before it is due again. */
    readonly claimTimeoutMs: number;
  };
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** At most this many items of one shard in one look; the rest follow in the next, without a pause. */
const ITEMS_PER_SHARD = 500;

/** A look takes no longer than this; a clock that moved further meanwhile is not believed until it is looked at again. */
const SAME_LOOK_MS = 1_000;

/** How soon to look again while some wait beside grants: little and often, so that no grant meets much of it. */
const WHILE_SOME_WAIT_MS = 100;

/** Steps in the ledger at once: no grant in this process waits for more of them than that. */
const STEPS_AT_ONCE = 16;

/**
 * Looks at what is due, again and again, and hands it to the queues in batches. The sorted set in the ledger is the
 * truth about expiry; this is only its clockwork. It can be stopped, killed or run twice at no loss.
 */
export class DueSweep {
  readonly #deps: DueSweepDeps;
  #running: Promise<void> | undefined;
  #stopped = false;
  #wake: () => void = () => undefined;
  #nudged = false;
  #alarmed = false;
  readonly #turn = pLimit(STEPS_AT_ONCE);
  readonly #waiting: WaitingExpiries;
  #lookedAtMs: EpochMs | undefined;

  constructor(deps: DueSweepDeps) {
    this.#deps = deps;
    this.#waiting = new WaitingExpiries((shard, ids) => this.#turn(() => deps.ledger.dueItems(shard, ids)));
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Looks now rather than at the next tick: somebody just asked for an end. */
  nudge(): void {
    this.#nudged = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      this.#nudged = false;
      let pauseMs = this.#deps.settings.intervalMs;
      try {
        pauseMs = await this.sweepOnce();
      } catch (error) {
        this.#deps.log.warn({ err: error }, 'sweep failed; it goes on at the next tick');
      }
      if (pauseMs > 0) await this.#pause(pauseMs);
    }
  }

  async #pause(ms: number): Promise<void> {
    if (this.#nudged || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  /** One look at all shards. Answers how long to wait before the next, ms: not at all where a shard had more than one look's worth. */
  async sweepOnce(): Promise<number> {
    const time = await this.#deps.sweepClock.read();
    if (time.state === 'jumped') {
      if (!this.#alarmed) {
        this.#deps.log.error({ jumped_ms: time.byMs }, 'the clock leapt forward: sweeping stands still until it is believed');
      }
      this.#alarmed = true;
      return this.#deps.settings.intervalMs;
    }
    this.#alarmed = false;
    const sinceMs = time.nowMs - (this.#lookedAtMs ?? time.nowMs - this.#deps.settings.intervalMs);
    this.#lookedAtMs = time.nowMs;
    return this.#look(time.nowMs, sinceMs);
  }

  async #look(nowMs: EpochMs, sinceMs: number): Promise<number> {
    const { ledger, settings } = this.#deps;
    const due = await Promise.all(SHARDS.map(async (shard) => ({ shard, entries: await ledger.due(shard, nowMs, ITEMS_PER_SHARD) })));
    if (due.every(({ entries }) => entries.length === 0)) return settings.intervalMs;
    if (await ledger.isGranting()) {
      const { urgent, share, left } = await this.#waiting.take(due, nowMs, sinceMs);
      await this.#end(urgent, nowMs);
      await this.#end(share, nowMs);
      return left > 0 ? WHILE_SOME_WAIT_MS : settings.intervalMs;
    }
    this.#waiting.forgetAll();
    await this.#end(due.map(({ shard, entries }) => ({ shard, ids: entries.map(({ id }) => id) })), nowMs);
    return due.some(({ entries }) => entries.length >= ITEMS_PER_SHARD) ? 0 : settings.intervalMs;
  }

  /** Ends what was taken: in the ledger, and by the queues at the targets. */
  async #end(taken: readonly TakenInShard[], nowMs: EpochMs): Promise<void> {
    const leases = (await Promise.all(taken.map((inShard) => this.#endInShard(inShard, nowMs)))).flat();
    // A span for what is done; looking and finding nothing is no news.
    if (leases.length > 0) await inSpan('dispatch due leases', { facts: { 'mayfly.leases': leases.length } }, () => this.#dispatchByProvider(leases));
  }

  async #endInShard({ shard, ids }: TakenInShard, nowMs: EpochMs): Promise<Lease[]> {
    const { ledger, clock } = this.#deps;
    const first = await this.#turn(() => ledger.dueItems(shard, ids));
    await Promise.all(first.tasks.map((task) => this.#turn(() => endDueTask(task, nowMs, this.#deps))));
    // Ending a task has just made its leases due: take them in this look, by the clock that says so.
    const soonMs = Math.min(Math.max(nowMs, clock.now()), nowMs + SAME_LOOK_MS) as EpochMs;
    const leases = first.tasks.length === 0 ? first.leases : await this.#leasesDue(shard, soonMs, new Set(ids));
    const ended = await Promise.all(leases.map((lease) => this.#turn(() => endDueLease(lease, nowMs, this.#claimUntil(), this.#deps))));
    const revoking = leases.filter((lease) => allows(lease.state, 'revoked') && !hasLapsed(lease, nowMs));
    const claimed = new Set<LeaseId>(await ledger.claim(shard, revoking.map((lease) => lease.id), soonMs, this.#claimUntil()));
    return [...ended.filter((lease) => lease !== null), ...revoking.filter((lease) => claimed.has(lease.id))];
  }

  /** Of the leases that are due in a shard by now: those that were taken, and those that must end since. */
  async #leasesDue(shard: Shard, nowMs: EpochMs, taken: ReadonlySet<LeaseId | TaskId>): Promise<readonly Lease[]> {
    const entries = await this.#deps.ledger.due(shard, nowMs, ITEMS_PER_SHARD);
    const ids = entries.map(({ id }) => id).filter((id) => isLeaseId(id) && !this.#waiting.has(id));
    const { leases } = await this.#turn(() => this.#deps.ledger.dueItems(shard, ids));
    return leases.filter((lease) => taken.has(lease.id) || !allows(lease.state, 'end_requested'));
  }

  #claimUntil(): EpochMs {
    return addMs(this.#deps.clock.now(), this.#deps.settings.claimTimeoutMs);
  }

  async #dispatchByProvider(due: readonly Lease[]): Promise<void> {
    const { batchSize } = this.#deps.settings;
    const byProvider = Map.groupBy(due, (lease) => lease.provider);
    for (const [provider, leases] of byProvider) {
      for (let i = 0; i < leases.length; i += batchSize) {
        const batch = leases.slice(i, i + batchSize).map(({ id, generation }): DuePair => [id, generation]);
        await this.#deps.dispatch(provider, batch);
      }
    }
  }
}
