import type { Config, TrustDomainConfig } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { bundleEndpoint } from './bundle-endpoint.ts';
import { bundleFile } from './bundle-file.ts';
import type { OutboundFetch } from './outbound-fetch.ts';
import type { KeyLog } from './public-keys.ts';
import type { TrustBundle } from './trust-bundle.ts';
import type { WorkloadApi } from './workload-api/workload-api.ts';

export interface TrustBundlesDeps {
  readonly outboundFetch: OutboundFetch;
  readonly clock: Clock;
  readonly log: KeyLog;
  /** The agent of this machine, where one is configured. */
  readonly workloadApi?: Pick<WorkloadApi, 'bundleOf'> | undefined;
}

/** The bundle of every configured trust domain, by its name. Each has one source, and none is asked for another's. */
export function createTrustBundles(domains: Config['identity']['trust_domains'], { outboundFetch: fetch, clock, log, workloadApi }: TrustBundlesDeps): ReadonlyMap<string, TrustBundle> {
  const bundles = new Map<string, TrustBundle>();
  const authoritiesOf = (name: string) => bundles.get(name)?.authorities() ?? Promise.resolve(undefined);
  const sourceOf = ({ name, bundle_file: file, bundle_endpoint: endpoint }: TrustDomainConfig): TrustBundle | undefined => {
    if (file !== undefined) return bundleFile(file, clock, log);
    return endpoint === undefined ? workloadApi?.bundleOf(name) : bundleEndpoint(name, endpoint, { fetch, clock, log, authoritiesOf });
  };
  for (const domain of domains) {
    const source = sourceOf(domain);
    if (source !== undefined) bundles.set(domain.name, source);
  }
  return bundles;
}
