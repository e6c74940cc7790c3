import { LRUCache } from 'lru-cache';
import type { AuditEventType } from '../audit/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { shardOf, type LeaseId } from '../core/ids.ts';
import { Rounds } from '../core/rounds.ts';
import { addMs, rfc3339OrNull, toRfc3339 } from '../core/time.ts';
import { withDeadline } from '../core/with-deadline.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Lease, LeaseIntent } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Difference, ProviderFindings, ReconciliationRecord } from '../ledger/reconciliation-records.ts';
import type { CredentialProvider, LiveCredential } from '../providers/credential-provider.ts';
import { compareProvider, type Comparison, type Orphan } from './compare-provider.ts';

export interface ReconcilerDeps {
  readonly ledger: Pick<Ledger, 'getLease' | 'getLeases' | 'liveIn' | 'keptOut' | 'currentHold' | 'recordEvent' | 'prune' | 'claimReconciliations' | 'finishReconciliation'>;
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
  /** After each pass that was more than a look. */
  readonly onFindings: (findings: readonly ProviderFindings[]) => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

const RECONCILER: WorkloadId = { issuer: 'mayfly', subject: 'reconciler' };
/** How often to look whether somebody asked for a pass. */
const LOOK_MS = 500;
/** Differences that are told one by one. */
const TOLD_DIFFERENCES = 1_000;
/** Leases remembered as told: what stays as it is, is told once. */
const REMEMBERED = 100_000;

/**
 * Compares what is live at each target under our deployment id with the ledger, at start, on a schedule and on demand, and
 * revokes what no record accounts for. This is what finds a credential whose record was lost, deleted or forged. In a
 * hold it revokes of these only what is past its time. Intents that were never confirmed are the sweep's: they have a
 * record, and it is due.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #rounds = new Rounds();
  readonly #told = new LRUCache<string, true>({ max: REMEMBERED });
  /** When the next pass of the schedule is due, on the monotonic clock. */
  #nextMs = 0;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#rounds.start(async () => {
      await this.#round().catch((error: unknown) => this.#deps.log.warn({ err: error }, 'reconciling failed; it goes on as soon as the ledger answers'));
      return LOOK_MS;
    });
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  async #round(): Promise<void> {
    const { clock, settings } = this.#deps;
    await this.#doRequested();
    if (clock.monotonicMs() < this.#nextMs) return;
    await this.reconcileOnce();
    this.#nextMs = clock.monotonicMs() + settings.intervalMs;
  }

  /** One pass over all providers. What one of them does not tell keeps no other from being looked at. */
  async reconcileOnce(): Promise<readonly ProviderFindings[]> {
    // Before any target is asked: with the ledger away, nothing could be compared.
    await this.#deps.ledger.currentHold();
    const findings = await this.#pass(false);
    this.#deps.onFindings(findings);
    await this.#deps.ledger.prune(this.#deps.clock.now());
    return findings;
  }

  /** What others asked for. One that is broken off by a crash is taken up again. */
  async #doRequested(): Promise<void> {
    const { ledger, clock, settings, providers } = this.#deps;
    const untilMs = addMs(clock.now(), (providers.size + 1) * settings.timeoutMs);
    for (const record of await ledger.claimReconciliations(clock.now(), untilMs)) await this.#do(record);
  }

  async #do(record: ReconciliationRecord): Promise<void> {
    const findings = await this.#pass(record.dryRun);
    if (!record.dryRun) this.#deps.onFindings(findings);
    if (!this.#rounds.signal.aborted) await this.#deps.ledger.finishReconciliation(record, findings);
  }

  async #pass(dryRun: boolean): Promise<readonly ProviderFindings[]> {
    const findings: ProviderFindings[] = [];
    for (const provider of this.#deps.providers.values()) {
      try {
        findings.push(await withDeadline(this.#deps.settings.timeoutMs, this.#rounds.signal, (signal) => this.#reconcile(provider, dryRun, signal)));
      } catch (error) {
        this.#deps.log.warn({ provider: provider.name, err: error }, 'the provider could not be reconciled; tried again at the next round');
        findings.push({ provider: provider.name, outcome: 'failed', live: 0, orphans: 0, revoked: 0, waiting: 0, missing: 0, undone: 0, differences: [] });
      }
    }
    return findings;
  }

  async #reconcile(provider: CredentialProvider, dryRun: boolean, signal: AbortSignal): Promise<ProviderFindings> {
    const { ledger, clock, settings, log } = this.#deps;
    if (!dryRun) await provider.tidy?.(signal);
    const comparison = await compareProvider(provider, { ledger, orphanAgeMs: settings.orphanAgeMs, startedAtMs: clock.now() }, signal);
    const { live, orphans, waiting, missing, undone, brokeOff } = comparison;
    if (brokeOff !== undefined) log.warn({ provider: provider.name, err: brokeOff.error }, 'the provider did not list all that is live; tried again at the next round');
    if (!dryRun) await this.#tell(provider.name, comparison);
    const ended = new Map<LeaseId, Ended>();
    if (!dryRun && orphans.length > 0) await this.#revokeOrphans(provider, orphans, ended, signal);
    if (!dryRun && undone.length > 0) await this.#revokeAgain(provider, undone, ended, signal);
    return {
      provider: provider.name,
      outcome: brokeOff !== undefined ? 'failed' : provider.list === undefined ? 'cannot_list' : 'compared',
      live,
      orphans: orphans.length,
      revoked: orphans.filter(({ live: { leaseId } }) => ended.get(leaseId) === 'revoked').length,
      waiting: waiting.length,
      missing: missing.length,
      undone: undone.length,
      differences: differencesOf(comparison, ended),
    };
  }

  /** What waits and what is missing goes on the record, once. */
  async #tell(provider: string, { waiting, missing }: Comparison): Promise<void> {
    const news = (what: string, id: LeaseId): boolean => !this.#told.has(`${what} ${id}`);
    for (const { leaseId, dueAtMs } of waiting.filter((one) => news('waiting', one.leaseId))) {
      await this.#record('orphan.waiting', provider, leaseId, { due_at: rfc3339OrNull(dueAtMs) });
      this.#told.set(`waiting ${leaseId}`, true);
    }
    for (const { id, dueAtMs } of missing.filter((one) => news('missing', one.id))) {
      await this.#record('lease.missing', provider, id, { due_at: toRfc3339(dueAtMs) });
      this.#told.set(`missing ${id}`, true);
    }
  }

  async #revokeOrphans(provider: CredentialProvider, orphans: readonly Orphan[], ended: Map<LeaseId, Ended>, signal: AbortSignal): Promise<void> {
    for (const { live, why } of orphans) {
      this.#deps.onOrphan(provider.name);
      await this.#record('orphan.found', provider.name, live.leaseId, { why });
    }
    const orders = orphans.map(({ live }) => ({ intent: orphanIntent(live, provider.name), handle: live.handle }));
    for await (const result of provider.revokeMany(orders, signal)) {
      if (result.outcome === 'failed' || result.outcome === 'lapses') {
        const error = result.outcome === 'failed' ? result.error : undefined;
        this.#deps.log.warn({ provider: provider.name, lease: result.leaseId, err: error }, 'an orphan could not be revoked; tried again at the next round');
        ended.set(result.leaseId, 'failed');
        continue;
      }
      const outcome = result.outcome === 'disclosed' ? 'disclosed' : 'revoked';
      ended.set(result.leaseId, outcome);
      await this.#record(`orphan.${outcome}`, provider.name, result.leaseId, outcome === 'disclosed' ? { exposure: 'unbounded' } : {});
    }
    this.#deps.log.warn({ provider: provider.name, found: orphans.length, ended: ended.size }, 'revoked credentials that no record accounts for');
  }

  /** Somebody took away what kept a revoked credential out: it is put back, and told. */
  async #revokeAgain(provider: CredentialProvider, undone: readonly Lease[], ended: Map<LeaseId, Ended>, signal: AbortSignal): Promise<void> {
    for (const { id } of undone) await this.#record('lease.undone', provider.name, id, {});
    for await (const result of provider.revokeMany(undone.map((lease) => ({ intent: lease, handle: lease.handle })), signal)) {
      // What is left to lapse is dead in a moment by its own end.
      ended.set(result.leaseId, result.outcome === 'failed' ? 'failed' : 'revoked');
    }
    this.#deps.log.warn({ provider: provider.name, found: undone.length }, 'somebody undid revocations at the target; they were revoked again');
  }

  async #record(type: Extract<AuditEventType, `orphan.${string}` | 'lease.missing' | 'lease.undone'>, provider: string, leaseId: LeaseId, facts: Record<string, unknown>): Promise<void> {
    await this.#deps.ledger.recordEvent({ shard: shardOf(leaseId), type, leases: [leaseId], by: RECONCILER, facts: { provider, ...facts } });
  }
}

type Ended = 'revoked' | 'disclosed' | 'failed';

/** The first of them, what was done about first. */
function differencesOf({ orphans, waiting, missing, undone }: Comparison, ended: ReadonlyMap<LeaseId, Ended>): readonly Difference[] {
  const all: Difference[] = [
    ...orphans.map(({ live: { leaseId, dueAtMs }, why }) => ({ kind: 'orphan' as const, leaseId, why, dueAtMs, outcome: ended.get(leaseId) ?? null })),
    ...undone.map(({ id: leaseId, dueAtMs }) => ({ kind: 'undone' as const, leaseId, dueAtMs, outcome: ended.get(leaseId) ?? null })),
    ...waiting.map(({ leaseId, dueAtMs }) => ({ kind: 'waiting' as const, leaseId, dueAtMs })),
    ...missing.map(({ id: leaseId, dueAtMs }) => ({ kind: 'missing' as const, leaseId, dueAtMs })),
  ];
  return all.slice(0, TOLD_DIFFERENCES);
}

/** An order for something that has no record: only its id and where it is are known. */
function orphanIntent(live: LiveCredential, provider: string): LeaseIntent {
  return {
    id: live.leaseId,
    taskId: `tsk_${live.leaseId.slice(4)}` as LeaseIntent['taskId'],
    agent: { issuer: 'unknown', subject: 'unknown' },
    chain: [],
    subject: null,
    touches: [],
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
