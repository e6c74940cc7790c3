import { parseWorkloadId } from '../../identity/spiffe-id.ts';
import type { RuleFault } from './rule-fault.ts';
import type { Config, TrustDomainConfig } from '../config-schema.ts';

/** Each trust domain has one source of its bundle, and none has another's: each would then sign for the other's workloads. */
export function trustDomainFaults({ identity }: Pick<Config, 'identity'>): RuleFault[] {
  const seen = new Map<string, string>();
  return identity.trust_domains.flatMap((domain, index): RuleFault[] => {
    const key = ['identity', 'trust_domains', index];
    if (identity.trust_domains.slice(0, index).some(({ name }) => name === domain.name)) return [{ key: [...key, 'name'], detail: 'is listed twice' }];
    const sources = sourcesOf(domain);
    const [source] = sources;
    if (source === undefined) return [{ key, detail: 'needs one of bundle_file, bundle_endpoint, workload_api' }];
    if (sources.length > 1) return [{ key: [...key, sources[1]?.key ?? ''], detail: `and ${source.key} cannot both be given: a trust domain has one bundle` }];
    const other = seen.get(source.value);
    seen.set(source.value, domain.name);
    const shared = other === undefined ? [] : [{ key: [...key, source.key], detail: "is another trust domain's too; each would then sign for the other's workloads" }];
    return [...shared, ...endpointFaults(domain, identity).map(({ key: below, detail }) => ({ key: [...key, 'bundle_endpoint', ...below], detail }))];
  });
}

function sourcesOf({ name, bundle_file: file, bundle_endpoint: endpoint, workload_api: pushed }: TrustDomainConfig): { readonly key: string; readonly value: string }[] {
  return [
    ...(file === undefined ? [] : [{ key: 'bundle_file', value: file }]),
    ...(endpoint === undefined ? [] : [{ key: 'bundle_endpoint', value: endpoint.url }]),
    // The agent names the bundle of each domain by itself.
    ...(pushed === undefined ? [] : [{ key: 'workload_api', value: `workload_api ${name}` }]),
  ];
}

/** Whoever is to ask the agent needs to know where it is. */
export function workloadApiFaults({ identity, tls, providers, workload_api: { socket } }: Pick<Config, 'identity' | 'tls' | 'providers' | 'workload_api'>): RuleFault[] {
  if (socket !== undefined) return [];
  const detail = 'needs workload_api.socket or SPIFFE_ENDPOINT_SOCKET';
  return [
    ...identity.trust_domains.flatMap((domain, index) => (domain.workload_api === undefined ? [] : [{ key: ['identity', 'trust_domains', index, 'workload_api'], detail }])),
    ...(tls?.certificate.source === 'workload_api' ? [{ key: ['tls', 'certificate', 'source'], detail }] : []),
    ...Object.entries(providers).flatMap(([name, provider]) =>
      provider.type !== 'vault' ? [] : Object.entries(provider.login).flatMap(([right, { method }]) => (method === 'jwt_svid' ? [{ key: ['providers', name, 'login', right, 'method'], detail }] : [])),
    ),
  ];
}

function endpointFaults({ name, bundle_endpoint: endpoint }: TrustDomainConfig, identity: Config['identity']): RuleFault[] {
  if (endpoint === undefined) return [];
  const url = new URL(endpoint.url);
  // Federation section 5.2.1: no user information; it would end in logs.
  const faults: RuleFault[] = url.username !== '' || url.password !== '' || url.hash !== '' ? [{ key: ['url'], detail: 'must have no user information and no fragment' }] : [];
  if (endpoint.profile === 'https_web') return faults;
  const server = parseWorkloadId(endpoint.endpoint_spiffe_id);
  if (server === undefined) return [...faults, { key: ['endpoint_spiffe_id'], detail: 'must be a SPIFFE ID with a path, such as spiffe://example.org/bundle-endpoint' }];
  if (server.trustDomain === name) return endpoint.bootstrap_file === undefined ? [...faults, { key: ['bootstrap_file'], detail: 'is needed: the server is of the very trust domain whose bundle it gives' }] : faults;
  if (endpoint.bootstrap_file !== undefined) faults.push({ key: ['bootstrap_file'], detail: `would not be used: the bundle of ${server.trustDomain} says who the server is` });
  if (!identity.trust_domains.some((other) => other.name === server.trustDomain)) faults.push({ key: ['endpoint_spiffe_id'], detail: `is of the trust domain ${server.trustDomain}, which is not configured: nothing would say who the server is` });
  return faults;
}
