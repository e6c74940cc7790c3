import type { ConfiguredAgent } from '../config/config-schema.ts';
import type { Logger } from '../telemetry/logger.ts';
import { unknownPurposes, type RegistrationBounds } from './agent-registration.ts';

/** Warns of purposes in the configuration that policy does not know: they are left out of every question, so the agent may do less. */
export function tellUnknownPurposes(agents: readonly ConfiguredAgent[], bounds: Pick<RegistrationBounds, 'policy'>, log: Pick<Logger, 'warn'>): void {
  for (const [index, { subject, purposes }] of agents.entries()) {
    for (const { pointer } of unknownPurposes(purposes, bounds)) log.warn({ key: `agents.${index}${pointer.replaceAll('/', '.')}`, agent: subject }, 'the purpose is not in the policy schema, and is left out');
  }
}
