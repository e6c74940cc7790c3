import type { Config } from '../config/config-schema.ts';
import { Secret } from '../core/secret.ts';
import { createOutboundFetch } from '../identity/outbound-fetch.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { startTracing, type Tracing } from '../telemetry/tracing.ts';

/** Records spans where the configuration names a collector. */
export async function brokerTracing(config: Config, { version, role, metrics, log }: { readonly version: string; readonly role: string; readonly metrics: Metrics; readonly log: Logger }): Promise<Tracing | undefined> {
  const { traces } = config.telemetry;
  if (traces === undefined) return undefined;
  const send = createOutboundFetch({
    environment: config.environment,
    allowHosts: [new URL(traces.otlp_endpoint).host],
    allowPrivateAddresses: traces.allow_private_addresses,
    caFor: () => traces.ca_file,
  });
  return startTracing({
    traces,
    resource: { 'service.name': 'mayfly', 'service.version': version, 'service.instance.id': `${config.deployment_id}/${role}`, 'deployment.environment.name': config.environment },
    post: (url, { text, headers }) => send(url, { json: new Secret(text), headers }),
    observe: (outcome, spans) => metrics.countSpans(outcome, spans),
    log,
  });
}
