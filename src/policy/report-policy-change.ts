import { SHARDS, type Shard } from '../core/ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { PolicyChange } from './live-policies.ts';

export interface PolicyReportDeps {
  readonly metrics: Pick<Metrics, 'countPolicyReload' | 'setPolicyVersion'>;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly ledger: Pick<Ledger, 'recordEvent'>;
}

/** Tells of a changed policy folder: on the log, in the metrics, and on the record. */
export function reportPolicyChange(change: PolicyChange, { metrics, log, ledger }: PolicyReportDeps): void {
  metrics.countPolicyReload(change.type);
  const { type, ...facts } = change.type === 'reloaded' ? change : { type: change.type, in_force: change.inForce, fault: change.error.message };
  if (change.type === 'reloaded') {
    metrics.setPolicyVersion(change.to);
    log.info(facts, 'policies reloaded');
  } else {
    log.error(facts, 'the changed policies are refused; those in force stay');
  }
  const event = type === 'reloaded' ? 'policy.reloaded' : 'policy.reload_refused';
  ledger.recordEvent({ shard: SHARDS[0] as Shard, type: event, by: { issuer: 'mayfly', subject: 'broker' }, facts }).catch((error: unknown) => log.warn({ err: error }, 'a change of policies could not be put on the record'));
}
