import type { Clock } from '../core/clock.ts';
import type { EpochMs } from '../core/time.ts';
import type { CountedKind } from '../ledger/ledger-counts.ts';
import type { Ledger, LedgerSnapshot } from '../ledger/ledger.ts';
import type { Revocability } from '../ledger/lease.ts';
import type { ProviderWatch } from '../providers/provider-watch.ts';
import type { QueueDepth } from './queue-depths.ts';

/** A configured provider, as it is told. */
export interface SeenProvider {
  readonly name: string;
  readonly type: string;
  /** What its credentials promise, each once. */
  readonly revocability: readonly Revocability[];
}

export interface BrokerSnapshotSources {
  readonly ledger: Pick<Ledger, 'snapshot' | 'dueForecast' | 'listLocks'>;
  /** Whether nothing is granted because the ledger lost records. */
  readonly held: () => boolean;
  readonly providers: readonly SeenProvider[];
  readonly kinds: readonly CountedKind[];
  readonly watch: Pick<ProviderWatch, 'states'>;
  readonly queues: { read(): Promise<readonly QueueDepth[]> };
  readonly clock: Clock;
}

/** How the whole stands at one instant: what the metrics and the overview tell. */
export interface BrokerSnapshot {
  readonly atMs: EpochMs;
  readonly held: boolean;
  readonly ledger: LedgerSnapshot;
  /** What falls due in each of the next sixty minutes, by provider. */
  readonly forecast: readonly { readonly provider: string; readonly perMinute: readonly number[] }[];
  readonly providers: readonly (SeenProvider & { readonly up: boolean })[];
  readonly queues: readonly QueueDepth[];
  readonly locks: number;
}

/** Within how many seconds what falls due is counted. */
export const DUE_WITHIN_SECONDS = [60, 300, 900, 3_600] as const;
/** However many look, the ledger is asked once in this time: what they see is never older. */
const SHARED_FOR_MS = 1_000;

/** The one place that counts. Throws `ledger_unavailable`; what failed is not kept. */
export function createBrokerSnapshot({ ledger, held, providers, kinds, watch, queues, clock }: BrokerSnapshotSources): () => Promise<BrokerSnapshot> {
  async function count(): Promise<BrokerSnapshot> {
    const atMs = clock.now();
    const [counts, locks, depths, forecast] = await Promise.all([
      ledger.snapshot(atMs, { kinds, withinMs: DUE_WITHIN_SECONDS.map((seconds) => seconds * 1000) }),
      ledger.listLocks(),
      queues.read(),
      Promise.all(providers.map(async ({ name }) => ({ provider: name, perMinute: await ledger.dueForecast(name, atMs) }))),
    ]);
    const up = new Set(watch.states().flatMap(({ name, ok }) => (ok ? [name] : [])));
    return { atMs, held: held(), ledger: counts, forecast, providers: providers.map((one) => ({ ...one, up: up.has(one.name) })), queues: depths, locks: locks.length };
  }

  let shared: { readonly sinceMs: number; readonly snapshot: Promise<BrokerSnapshot> } | undefined;
  return () => {
    const nowMs = clock.monotonicMs();
    if (shared !== undefined && nowMs - shared.sinceMs < SHARED_FOR_MS) return shared.snapshot;
    const snapshot = count();
    const mine = { sinceMs: nowMs, snapshot };
    shared = mine;
    snapshot.catch(() => {
      if (shared === mine) shared = undefined;
    });
    return snapshot;
  };
}
