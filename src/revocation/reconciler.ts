import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { shardOf, type LeaseId, type Shard } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { isFinal, type Lease, type LeaseIntent } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { TamperedRecord } from '../ledger/record-seal.ts';
import type { CredentialProvider, LiveCredential } from '../providers/credential-provider.ts';
import { withDeadline } from '../core/with-deadline.ts';

export interface ReconcilerDeps {
  readonly ledger: Pick<Ledger, 'getLease' | 'recordEvent' | 'prune'>;
  readonly providers: ReadonlyMap<string, CredentialProvider>;
  readonly clock: Clock;
  readonly settings: {
    readonly intervalMs: number;
    /** A live credential without a record counts as an orphan only when it is older than this: its intent may still be on its way. */
    readonly orphanAgeMs: number;
    /** For one pass over one provider. */
    readonly timeoutMs: number;
  };
  readonly onOrphan: (provider: string) => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

/** Why a live credential should not be. */
type Orphanhood = 'no_record' | 'record_tampered' | 'recorded_as_ended';

interface Orphan {
  readonly live: LiveCredential;
  readonly why: Orphanhood;
}

const RECONCILER: WorkloadId = { issuer: 'mayfly', subject: 'reconciler' };

/**
 * Compares what is live at each target under our deployment id with the ledger, at start and on a schedule, and revokes
 * what no record accounts for. This is what finds a credential whose record was lost, deleted or forged.
 * Intents that were never confirmed are the sweep's: they have a record, and it is due.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.reconcileOnce().catch((error: unknown) => this.#deps.log.warn({ err: error }, 'reconciling failed; it goes on at the next round'));
      await sleep(this.#deps.settings.intervalMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  /** One pass over all providers that can list; answers how many orphans were revoked. */
  async reconcileOnce(): Promise<number> {
    let revoked = 0;
    for (const provider of this.#deps.providers.values()) {
      try {
        revoked += await withDeadline(this.#deps.settings.timeoutMs, this.#stop.signal, (signal) => this.#reconcileProvider(provider, signal));
      } catch (error) {
        this.#deps.log.warn({ provider: provider.name, err: error }, 'the provider could not be reconciled; tried again at the next round');
      }
    }
    await this.#deps.ledger.prune(this.#deps.clock.now());
    return revoked;
  }

  async #reconcileProvider(provider: CredentialProvider, signal: AbortSignal): Promise<number> {
    await provider.tidy?.(signal);
    const startedAtMs = this.#deps.clock.now();
    const orphans: Orphan[] = [];
    let brokeOff: { readonly error: unknown } | undefined;
    try {
      for await (const live of provider.list?.(signal) ?? []) {
        const why = await this.#orphanhood(live, startedAtMs);
        if (why !== null) orphans.push({ live, why });
      }
    } catch (error) {
      // What was found before is ended all the same; the rest is for the next round.
      brokeOff = { error };
    }
    const revoked = orphans.length === 0 ? 0 : await this.#revokeOrphans(provider, orphans, signal);
    if (brokeOff !== undefined) throw brokeOff.error;
    return revoked;
  }

  async #revokeOrphans(provider: CredentialProvider, orphans: readonly Orphan[], signal: AbortSignal): Promise<number> {
    for (const { live, why } of orphans) {
      this.#deps.onOrphan(provider.name);
      await this.#record('orphan.found', provider.name, live.leaseId, { why });
    }
    let revoked = 0;
    const orders = orphans.map(({ live }) => ({ intent: orphanIntent(live, provider.name), handle: live.handle }));
    for await (const result of provider.revokeMany(orders, signal)) {
      if (result.outcome === 'failed') {
        this.#deps.log.warn({ provider: provider.name, lease: result.leaseId, err: result.error }, 'an orphan could not be revoked; tried again at the next round');
        continue;
      }
      if (result.outcome === 'disclosed') {
        await this.#record('orphan.disclosed', provider.name, result.leaseId, { exposure: 'unbounded' });
        continue;
      }
      revoked += 1;
      await this.#record('orphan.revoked', provider.name, result.leaseId, {});
    }
    this.#deps.log.warn({ provider: provider.name, found: orphans.length, revoked }, 'revoked credentials that no record accounts for');
    return revoked;
  }

  async #orphanhood(live: LiveCredential, startedAtMs: number): Promise<Orphanhood | null> {
    if (startedAtMs - live.createdAtMs < this.#deps.settings.orphanAgeMs) return null;
    let lease: Lease | null;
    try {
      lease = await this.#deps.ledger.getLease(live.leaseId);
    } catch (error) {
      if (error instanceof TamperedRecord) return 'record_tampered';
      throw error;
    }
    if (lease === null) return 'no_record';
    // Ended while we were listing: nothing is wrong.
    const endedBefore = isFinal(lease.state) && (lease.finalAtMs ?? 0) < startedAtMs;
    return endedBefore && lease.state !== 'disclosed' ? 'recorded_as_ended' : null;
  }

  async #record(type: 'orphan.found' | 'orphan.revoked' | 'orphan.disclosed', provider: string, leaseId: LeaseId, facts: Record<string, unknown>): Promise<void> {
    const shard: Shard = shardOf(leaseId);
    await this.#deps.ledger.recordEvent({ shard, type, leases: [leaseId], by: RECONCILER, facts: { provider, ...facts } });
  }
}

/** An order for something that has no record: only its id and where it is are known. */
function orphanIntent(live: LiveCredential, provider: string): LeaseIntent {
  return {
    id: live.leaseId,
    taskId: `tsk_${live.leaseId.slice(4)}` as LeaseIntent['taskId'],
    agent: { issuer: 'unknown', subject: 'unknown' },
    purpose: 'unknown',
    actions: [],
    credential: 'unknown',
    kind: 'vault.token',
    provider,
    revocability: 'exact',
    params: {},
    toolCall: null,
    decisionId: 'unknown',
    createdAtMs: live.createdAtMs,
    dueAtMs: live.createdAtMs,
  };
}
