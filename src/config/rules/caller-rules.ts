import { issuerOfSpiffeId } from '../../identity/spiffe-id.ts';
import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';

/** Whoever introspects is a workload, and asks about tokens that can be introspected. */
export function introspectionFaults({ introspection, identity, credentials }: Config): RuleFault[] {
  const issuers = workloadIssuers(identity);
  const opaque = Object.values(credentials).flatMap((credential) => (credential.kind === 'jwt' ? [credential.audience] : []));
  return introspection.resource_servers.flatMap(({ issuer, audiences }, index) => {
    const key = ['introspection', 'resource_servers', index];
    const unknown = audiences.flatMap((audience, position) => (opaque.includes(audience) ? [] : [{ key: [...key, 'audiences', position], detail: 'is the audience of no credential of kind jwt' }]));
    return issuers.includes(issuer) ? unknown : [{ key: [...key, 'issuer'], detail: `must be one of the workload issuers: ${issuers.join(', ')}` }, ...unknown];
  });
}

/** Metadata is found by its address alone, so there is no path to be lost on the way (AuthZEN 1.0, section 9.1). */
export function authzenFaults({ authzen, identity }: Config): RuleFault[] {
  const { url, callers } = authzen;
  const faults: RuleFault[] = [];
  if (url !== undefined && new URL(url).origin !== url) faults.push({ key: ['authzen', 'url'], detail: 'must be a scheme and a host, with a port if need be, and nothing after it' });
  const issuers = workloadIssuers(identity);
  const unknown = callers.flatMap(({ issuer }, index) => (issuers.includes(issuer) ? [] : [{ key: ['authzen', 'callers', index, 'issuer'], detail: `must be one of the workload issuers: ${issuers.join(', ')}` }]));
  return [...faults, ...unknown];
}

/** Each agent once, and vouched for by somebody who may call. */
export function agentFaults({ agents, identity }: Config): RuleFault[] {
  const issuers = workloadIssuers(identity);
  const seen = new Set<string>();
  return agents.flatMap(({ issuer: given, subject }, index): RuleFault[] => {
    const issuer = given ?? issuerOfSpiffeId(subject);
    if (issuer === undefined) return [{ key: ['agents', index, 'subject'], detail: 'is no SPIFFE ID, which would name its trust domain: say who vouches for it, in issuer' }];
    if (!issuers.includes(issuer)) return [{ key: ['agents', index, given === undefined ? 'subject' : 'issuer'], detail: `must be vouched for by one of the workload issuers: ${issuers.join(', ')}` }];
    const who = JSON.stringify([issuer, subject]);
    const twice = seen.has(who);
    seen.add(who);
    return twice ? [{ key: ['agents', index, 'subject'], detail: 'is listed twice' }] : [];
  });
}

const workloadIssuers = ({ issuers, trust_domains: domains }: Config['identity']): string[] => [...issuers.map(({ issuer }) => issuer), ...domains.map(({ name }) => `spiffe://${name}`)];
