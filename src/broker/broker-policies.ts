import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { LivePolicies } from '../policy/live-policies.ts';
import { reportPolicyChange, reportShadowChange } from '../policy/report-policy-change.ts';
import { ShadowPolicies } from '../policy/shadow-policies.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

interface PolicyParts {
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
  /** Asked once a change is to be recorded: policies are read before anything is opened. */
  readonly ledger: () => Ledger;
}

/** How often the policy folder is looked at. */
const LOOK_MS = 1_000;

/** The policies in force. Throws `PolicyError` for a set that is broken. */
export const livePolicies = ({ policy }: Config, { metrics, log, ledger }: PolicyParts): LivePolicies =>
  new LivePolicies({ directory: policy.directory, intervalMs: LOOK_MS, onChange: (change) => reportPolicyChange(change, { metrics, log, ledger: ledger() }) });

/** A second set that is asked and never decides. Nothing it does keeps a broker from starting. */
export function shadowPolicies({ policy: { shadow_directory: directory } }: Config, { metrics, log, clock, ledger }: PolicyParts): ShadowPolicies | undefined {
  if (directory === undefined) return undefined;
  return new ShadowPolicies({
    directory,
    intervalMs: LOOK_MS,
    clock,
    onChange: (change) => reportShadowChange(change, { metrics, log, ledger: ledger() }),
    onSuspended: (facts) => log.warn(facts, 'the shadow policies are too slow and are not asked for a while'),
  });
}
