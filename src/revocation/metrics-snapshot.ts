import type { Clock } from '../core/clock.ts';
import { isFinal } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ProviderWatch } from '../providers/provider-watch.ts';
import type { MetricsSnapshot } from '../telemetry/metrics.ts';
import type { RevocationQueues } from './revocation-queues.ts';

export interface SnapshotSources {
  readonly ledger: Pick<Ledger, 'snapshot' | 'dueForecast' | 'listLocks'>;
  /** The register of agents. */
  readonly agents: { counts(): Promise<MetricsSnapshot['agents']> };
  /** Whether nothing is granted because the ledger lost records. */
  readonly held: () => boolean;
  /** Providers whose expiries are forecast. */
  readonly forecastOf: readonly string[];
  readonly queues: Pick<RevocationQueues, 'depths'> | undefined;
  readonly providers: Pick<ProviderWatch, 'states'>;
  readonly redisTimeMs: () => Promise<number>;
  readonly clock: Clock;
}

/** How soon something falls due, in the labels of `mayfly_credentials_expiring`. */
const WITHIN: readonly (readonly [label: string, ms: number])[] = [['1m', 60_000], ['5m', 300_000], ['15m', 900_000], ['60m', 3_600_000]];

/** Reads what the gauges show. Throws when the ledger is away; the gauges then keep what they had. */
export function metricsSnapshot(sources: SnapshotSources): () => Promise<MetricsSnapshot> {
  return async () => {
    const nowMs = sources.clock.now();
    const [snapshot, agents, locks, queues, redisMs, forecast] = await Promise.all([
      sources.ledger.snapshot(nowMs),
      sources.agents.counts(),
      sources.ledger.listLocks(),
      sources.queues?.depths() ?? [],
      sources.redisTimeMs(),
      Promise.all(sources.forecastOf.map(async (provider) => ({ provider, perMinute: await sources.ledger.dueForecast(provider, nowMs) }))),
    ]);
    const live = snapshot.leases.filter((lease) => !isFinal(lease.state));
    return {
      active: countBy(live, (lease) => `${lease.provider}\n${lease.kind}`).map(([key, count]) => ({ provider: key[0] ?? '', class: key[1] ?? '', count })),
      expiring: WITHIN.flatMap(([within, ms]) =>
        countBy(live.filter((lease) => lease.dueAtMs - nowMs <= ms), (lease) => lease.provider).map(([key, count]) => ({ provider: key[0] ?? '', within, count })),
      ),
      forecast,
      overdue: snapshot.overdue,
      oldestOverdueSeconds: snapshot.oldestOverdueMs / 1000,
      disclosed: snapshot.disclosed,
      locks: locks.length,
      agents,
      held: sources.held(),
      stuck: live.filter((lease) => lease.state === 'stuck').length,
      tasks: snapshot.tasks,
      queues,
      upstreams: [{ name: 'redis', up: true }, ...sources.providers.states().map(({ name, ok }) => ({ name, up: ok }))],
      auditLagSeconds: snapshot.auditLagMs / 1000,
      clockSkewSeconds: (nowMs - redisMs) / 1000,
    };
  };
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): [readonly string[], number][] {
  return [...Map.groupBy(items, keyOf)].map(([key, group]) => [key.split('\n'), group.length]);
}
