import { toRfc3339 } from '../core/time.ts';
import { LATENESS_OBJECTIVE, type Lateness } from '../ledger/lateness.ts';
import { DUE_WITHIN_SECONDS, type BrokerSnapshot } from '../revocation/broker-snapshot.ts';
import type { Answer } from './answer-schemas.ts';
import type { overviewSchema } from './overview-schema.ts';

const inSeconds = (ms: number | null): number | null => (ms === null ? null : Math.round(ms) / 1000);

const latenessView = ({ count, p50Ms, p99Ms, maxMs }: Lateness) => ({ count, p50_seconds: inSeconds(p50Ms), p99_seconds: inSeconds(p99Ms), max_seconds: inSeconds(maxMs) });

/** How the whole stands, as operators see it. */
export const overviewView = ({ atMs, held, ledger, forecast, providers, queues, locks }: BrokerSnapshot): Omit<Answer<typeof overviewSchema>, 'version' | 'deployment_id'> => {
  const inState = new Map(ledger.tasks.map(({ state, count }) => [state, count]));
  return {
    now: toRfc3339(atMs),
    hold: held,
    leases: {
      active: ledger.live,
      overdue: ledger.overdue,
      oldest_overdue_seconds: ledger.oldestOverdueMs / 1000,
      stuck: ledger.stuck,
      lapsing: ledger.lapsing,
      disclosed: ledger.disclosed,
      expiring: DUE_WITHIN_SECONDS.map((seconds, index) => ({ within_seconds: seconds, count: ledger.within[index] ?? 0 })),
    },
    timeline: forecast.map(({ provider, perMinute }) => ({ provider, per_minute: perMinute })),
    lateness: {
      objective: LATENESS_OBJECTIVE,
      hour: latenessView(ledger.lateness.hour),
      day: latenessView(ledger.lateness.day),
      window: { count: ledger.lateness.budget.count, late: ledger.lateness.budget.late, budget_remaining: ledger.lateness.budget.remaining },
    },
    providers: providers.map(({ name, type, up, revocability }) => ({ name, type, up, revocability })),
    queues,
    tasks: {
      pending_approval: inState.get('pending_approval') ?? 0,
      pending_claim: inState.get('pending_claim') ?? 0,
      minting: inState.get('minting') ?? 0,
      active: inState.get('active') ?? 0,
      ending: inState.get('ending') ?? 0,
    },
    denials: ledger.denials,
    locks,
  };
};
