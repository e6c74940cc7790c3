import type { Clock } from '../core/clock.ts';
import { SHARDS, type LeaseId, type Shard } from '../core/ids.ts';
import { addMs, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { latenessMs } from '../ledger/lateness.ts';
import { allows, transition } from '../ledger/lease-transitions.ts';
import type { Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Task } from '../task/task.ts';
import { inSpan } from '../telemetry/in-span.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import { hasLapsed, type DuePair, type RevocationObservation } from './revoke-leases.ts';
import type { SweepClock } from './sweep-clock.ts';

export interface DueSweepDeps {
  readonly ledger: Pick<Ledger, 'due' | 'claim' | 'settle' | 'endTask' | 'finishTask'>;
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
  readonly observe: (observation: RevocationObservation) => void;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** At most this many items of one shard in one round; the rest follow in the next, without a pause. */
const ITEMS_PER_SHARD = 500;

/** A round takes no longer than this; a clock that moved further meanwhile is not believed until it is looked at again. */
const SAME_ROUND_MS = 1_000;

const SWEEP: WorkloadId = { issuer: 'mayfly', subject: 'due-sweep' };

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

  constructor(deps: DueSweepDeps) {
    this.#deps = deps;
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
      let more = false;
      try {
        more = await this.sweepOnce();
      } catch (error) {
        this.#deps.log.warn({ err: error }, 'sweep failed; it goes on at the next tick');
      }
      if (!more) await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    if (this.#nudged || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#deps.settings.intervalMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => undefined;
  }

  /** One look at all shards. True when a shard had more than one round's worth. */
  async sweepOnce(): Promise<boolean> {
    const time = await this.#deps.sweepClock.read();
    if (time.state === 'jumped') {
      if (!this.#alarmed) {
        this.#deps.log.error({ jumped_ms: time.byMs }, 'the clock leapt forward: sweeping stands still until it is believed');
      }
      this.#alarmed = true;
      return false;
    }
    this.#alarmed = false;
    const shards = await Promise.all(SHARDS.map((shard) => this.#sweepShard(shard, time.nowMs)));
    const due = shards.flatMap((shard) => shard.due);
    // A span for what is done; looking and finding nothing is no news.
    if (due.length > 0) await inSpan('dispatch due leases', { facts: { 'mayfly.leases': due.length } }, () => this.#dispatchByProvider(due));
    return shards.some((shard) => shard.more);
  }

  async #sweepShard(shard: Shard, nowMs: EpochMs): Promise<{ due: Lease[]; more: boolean }> {
    const first = await this.#deps.ledger.due(shard, nowMs, ITEMS_PER_SHARD);
    if (first.leases.length + first.tasks.length === 0) return { due: [], more: false };
    await Promise.all(first.tasks.map((task) => this.#sweepTask(task, nowMs)));
    // Ending a task has just made its leases due: take them in this round, by the clock that says so.
    const soonMs = Math.min(Math.max(nowMs, this.#deps.clock.now()), nowMs + SAME_ROUND_MS) as EpochMs;
    const { leases } = first.tasks.length === 0 ? first : await this.#deps.ledger.due(shard, soonMs, ITEMS_PER_SHARD);
    const ended = await Promise.all(leases.map((lease) => this.#endDueLease(lease, nowMs)));
    const waiting = leases.filter((lease) => allows(lease.state, 'revoked') && !hasLapsed(lease, nowMs));
    const claimed = new Set<LeaseId>(
      await this.#deps.ledger.claim(shard, waiting.map((lease) => lease.id), soonMs, this.#claimUntil()),
    );
    const due = [...ended.filter((lease) => lease !== null), ...waiting.filter((lease) => claimed.has(lease.id))];
    return { due, more: first.leases.length + first.tasks.length >= ITEMS_PER_SHARD };
  }

  #claimUntil(): EpochMs {
    return addMs(this.#deps.clock.now(), this.#deps.settings.claimTimeoutMs);
  }

  async #sweepTask(task: Task, nowMs: EpochMs): Promise<void> {
    switch (task.state) {
      case 'minting':
        // Whoever was minting is gone, or far too slow: its late activation will be refused.
        await this.#deps.ledger.endTask(task.id, 'mint_interrupted', SWEEP);
        return;
      case 'active':
        await this.#deps.ledger.endTask(task.id, nowMs >= task.expiresAtMs ? 'expired' : 'heartbeat_lost', SWEEP);
        return;
      case 'pending_approval':
        await this.#deps.ledger.endTask(task.id, 'approval_expired', SWEEP);
        return;
      case 'pending_claim':
        await this.#deps.ledger.endTask(task.id, 'unclaimed', SWEEP);
        return;
      case 'ending':
        await this.#deps.ledger.finishTask(task.id);
        return;
      case 'ended':
        return;
      default:
        task.state satisfies never;
    }
  }

  /** Moves an intent or an active lease on; the lease to dispatch, or null when there is nothing to do at the target. */
  async #endDueLease(lease: Lease, nowMs: EpochMs): Promise<Lease | null> {
    if (hasLapsed(lease, nowMs) && allows(lease.state, 'lapsed')) {
      const change = { type: 'lapsed', atMs: nowMs } as const;
      if ((await this.#deps.ledger.settle(lease, change, SWEEP)) === 'ok') this.#deps.observe(lapseOf(transition(lease, change)));
      return null;
    }
    if (!allows(lease.state, 'end_requested')) return null;
    const reason = lease.state === 'intended' ? 'mint_interrupted' : 'expired';
    const outcome = await this.#deps.ledger.settle(lease, { type: 'end_requested', atMs: nowMs, reason }, SWEEP, this.#claimUntil());
    return outcome === 'ok' ? { ...lease, state: 'revoking', generation: lease.generation + 1 } : null;
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

/** A lapse is a revocation that came too late, but for what only its expiry could end. */
const lapseOf = (lapsed: Lease): RevocationObservation => ({
  provider: lapsed.provider,
  reason: lapsed.revocationReason ?? 'expired',
  outcome: 'lapsed',
  latenessMs: latenessMs(lapsed),
  traceId: traceIdOf(lapsed.traceparent),
});
