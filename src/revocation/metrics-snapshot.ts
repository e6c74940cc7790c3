import type { MetricsSnapshot } from '../telemetry/metrics.ts';
import { DUE_WITHIN_SECONDS, type BrokerSnapshot } from './broker-snapshot.ts';

export interface MetricsSnapshotSources {
  readonly snapshot: () => Promise<BrokerSnapshot>;
  /** The register of agents. */
  readonly agents: { counts(): Promise<MetricsSnapshot['agents']> };
  readonly redisTimeMs: () => Promise<number>;
  readonly nowMs: () => number;
}

/** Reads what the gauges show. Throws when the ledger is away; the gauges then keep what they had. */
export function metricsSnapshot(sources: MetricsSnapshotSources): () => Promise<MetricsSnapshot> {
  return async () => {
    const [{ ledger, ...snapshot }, agents, redisMs] = await Promise.all([sources.snapshot(), sources.agents.counts(), sources.redisTimeMs()]);
    return {
      active: ledger.byKind.map(({ provider, kind, live }) => ({ provider, class: kind, count: live })),
      expiring: DUE_WITHIN_SECONDS.flatMap((seconds, index) =>
        snapshot.providers.map(({ name }) => ({
          provider: name,
          within: `${seconds / 60}m`,
          count: ledger.byKind.filter(({ provider }) => provider === name).reduce((sum, { within }) => sum + (within[index] ?? 0), 0),
        })),
      ),
      forecast: snapshot.forecast,
      overdue: ledger.overdue,
      oldestOverdueSeconds: ledger.oldestOverdueMs / 1000,
      lapsing: ledger.lapsing,
      disclosed: ledger.disclosed,
      locks: snapshot.locks,
      agents,
      held: snapshot.held,
      stuck: ledger.stuck,
      tasks: ledger.tasks,
      queues: snapshot.queues.flatMap(({ provider, ...states }) => Object.entries(states).map(([state, jobs]) => ({ queue: provider, state, jobs }))),
      auditLagSeconds: ledger.auditLagMs / 1000,
      clockSkewSeconds: (sources.nowMs() - redisMs) / 1000,
    };
  };
}
