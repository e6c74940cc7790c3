import { SHARDS, type Shard } from '../core/ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { PolicyChange } from './live-policies.ts';

export interface PolicyReportDeps {
  readonly metrics: Pick<Metrics, 'countPolicyReload' | 'setPolicyVersion' | 'setShadowVersion'>;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly ledger: Pick<Ledger, 'recordEvent'>;
}

/** Tells of a changed policy folder: on the log, in the metrics, and on the record. */
export function reportPolicyChange(change: PolicyChange, deps: PolicyReportDeps): void {
  const { metrics, log } = deps;
  metrics.countPolicyReload(change.type);
  if (change.type === 'reloaded') {
    metrics.setPolicyVersion(change.to);
    log.info(factsOf(change), 'policies reloaded');
  } else {
    log.error(factsOf(change), 'the changed policies are refused; those in force stay');
  }
  record(change.type === 'reloaded' ? 'policy.reloaded' : 'policy.reload_refused', change, deps);
}

/** The same of the shadow policies, which decide nothing: under names of their own, so that nobody takes them for those in force. */
export function reportShadowChange(change: PolicyChange, deps: PolicyReportDeps): void {
  const { metrics, log } = deps;
  metrics.setShadowVersion(change.type === 'reloaded' ? change.to : change.inForce);
  if (change.type === 'reloaded') log.info(factsOf(change), 'shadow policies loaded');
  else log.warn(factsOf(change), 'the shadow policies are refused; those that were asked before stay, if any');
  record(change.type === 'reloaded' ? 'policy.shadow_reloaded' : 'policy.shadow_refused', change, deps);
}

function factsOf(change: PolicyChange): Record<string, unknown> {
  if (change.type === 'refused') return { in_force: change.inForce, fault: change.error.message };
  const { from, to, added, removed, changed, schemaChanged } = change;
  return { from, to, added, removed, changed, schemaChanged };
}

function record(type: 'policy.reloaded' | 'policy.reload_refused' | 'policy.shadow_reloaded' | 'policy.shadow_refused', change: PolicyChange, { ledger, log }: PolicyReportDeps): void {
  ledger
    .recordEvent({ shard: SHARDS[0] as Shard, type, by: { issuer: 'mayfly', subject: 'broker' }, facts: factsOf(change) })
    .catch((error: unknown) => log.warn({ err: error }, 'a change of policies could not be put on the record'));
}
