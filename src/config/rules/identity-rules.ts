import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';
import { trustDomainFaults } from './spiffe-rules.ts';

/** Workloads, operators, users and Mayfly itself are vouched for by different issuers, for different audiences. Pure. */
export function identityFaults({ identity, operators, providers }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  if (identity.issuers.length + identity.trust_domains.length === 0) {
    faults.push({ key: ['identity'], detail: 'needs at least one of issuers and trust_domains: nobody could call' });
  }
  const own = new Set(Object.values(providers).flatMap((provider) => (provider.type === 'jwt' ? [provider.issuer] : [])));
  const seen = new Set<string>();
  for (const [index, { issuer, audience }] of identity.issuers.entries()) {
    const key = ['identity', 'issuers', index];
    if (issuer === operators.issuer) faults.push({ key: [...key, 'issuer'], detail: 'is also the issuer of operators; workloads and operators never share one' });
    if (own.has(issuer)) faults.push({ key: [...key, 'issuer'], detail: "is Mayfly's own issuer; what it mints must not call it" });
    if (seen.has(issuer)) faults.push({ key: [...key, 'issuer'], detail: 'is listed twice' });
    if (audience === operators.audience) faults.push({ key: [...key, 'audience'], detail: 'is also the audience of operators' });
    seen.add(issuer);
  }
  faults.push(...userFaults(identity, operators, own));
  for (const [index, { subjects }] of identity.issuers.entries()) {
    for (const [position, pattern] of (subjects ?? []).entries()) {
      const domain = identity.trust_domains.find(({ name }) => reaches(pattern, `spiffe://${name}/`));
      if (domain === undefined) continue;
      const detail = `lets this issuer vouch for members of the trust domain ${domain.name}, which only that domain's own keys may do`;
      faults.push({ key: ['identity', 'issuers', index, 'subjects', position], detail });
    }
  }
  if (own.has(operators.issuer)) faults.push({ key: ['operators', 'issuer'], detail: "is Mayfly's own issuer" });
  if (identity.audience === operators.audience) faults.push({ key: ['operators', 'audience'], detail: 'is also the audience of workloads; an operator token must never pass as a workload' });
  return [...faults, ...trustDomainFaults({ identity })];
}

/** A user's token is consent; one of a workload, an operator or our own must never pass for it. */
function userFaults({ users, audience, issuers }: Config['identity'], operators: Config['operators'], own: ReadonlySet<string>): RuleFault[] {
  if (users === undefined) return [];
  const key = ['identity', 'users'];
  const faults: RuleFault[] = [];
  if (users.issuer === operators.issuer) faults.push({ key: [...key, 'issuer'], detail: 'is also the issuer of operators' });
  if (issuers.some(({ issuer }) => issuer === users.issuer)) faults.push({ key: [...key, 'issuer'], detail: 'is also an issuer of workloads' });
  if (own.has(users.issuer)) faults.push({ key: [...key, 'issuer'], detail: "is Mayfly's own issuer" });
  if ([audience, operators.audience, ...issuers.map((one) => one.audience)].includes(users.audience)) faults.push({ key: [...key, 'audience'], detail: 'is also the audience of workloads or operators' });
  return faults;
}

/** Whether a subject pattern can match a subject that starts with `prefix`. */
const reaches = (pattern: string, prefix: string): boolean =>
  pattern.startsWith(prefix) || (pattern.endsWith('*') && prefix.startsWith(pattern.slice(0, -1)));

/** Proofs are for a URL, and certificates need TLS: without either nobody could be bound. */
export function senderFaults({ identity, http, tls }: Config): RuleFault[] {
  if (http.public_url !== undefined || tls !== undefined) return [];
  return identity.issuers.flatMap(({ sender_binding: binding }, index) =>
    binding === 'required' ? [{ key: ['identity', 'issuers', index, 'sender_binding'], detail: 'needs http.public_url, which proofs are compared with, or tls for certificates' }] : [],
  );
}
