import { toRfc3339 } from '../core/time.ts';
import { DUE_WITHIN_SECONDS, type BrokerSnapshot } from '../revocation/broker-snapshot.ts';
import type { Answer } from './answer-schemas.ts';
import type { overviewSchema } from './overview-schema.ts';

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
    providers: providers.map(({ name, type, up, revocability }) => ({ name, type, up, revocability })),
    queues,
    tasks: {
      pending_approval: inState.get('pending_approval') ?? 0,
      pending_claim: inState.get('pending_claim') ?? 0,
      minting: inState.get('minting') ?? 0,
      active: inState.get('active') ?? 0,
      ending: inState.get('ending') ?? 0,
    },
    locks,
  };
};
