import type { Config } from '../config-schema.ts';
import type { RuleFault } from './rule-fault.ts';
import { mayVouchFor } from '../../identity/may-vouch-for.ts';

/** Members of a JWK that make it a private or a shared key (RFC 7518 section 6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'k'];

/** A client is one workload that somebody else could vouch for too, and nobody is two clients. Pure. */
export function oauthFaults({ oauth, identity, operators, providers }: Config): RuleFault[] {
  const faults: RuleFault[] = [];
  const own = Object.values(providers).flatMap((provider) => (provider.type === 'jwt' ? [provider.issuer] : []));
  if (oauth.issuer !== undefined && !own.includes(oauth.issuer)) {
    faults.push({ key: ['oauth', 'issuer'], detail: own.length === 0 ? 'needs a provider of type jwt with this issuer' : `must be the issuer of a jwt provider: ${own.join(', ')}` });
  }
  const seen = new Set<string>();
  for (const [index, { client_id: clientId, workload, jwks, jwks_file: file }] of oauth.clients.entries()) {
    const key = ['oauth', 'clients', index];
    if (seen.has(clientId)) faults.push({ key: [...key, 'client_id'], detail: 'is listed twice' });
    seen.add(clientId);
    if (/^spiffe:/i.test(clientId)) faults.push({ key: [...key, 'client_id'], detail: 'must not look like a SPIFFE ID: such a client proves itself by its SVID' });
    // An assertion is chosen by its `iss`: it must be plain which of two kinds it is.
    if ([...own, operators.issuer, ...identity.issuers.map(({ issuer }) => issuer)].includes(clientId)) faults.push({ key: [...key, 'client_id'], detail: 'is the name of an issuer' });
    const issuer = identity.issuers.find((candidate) => candidate.issuer === workload.issuer);
    if (issuer === undefined) {
      const issuers = identity.issuers.map((candidate) => candidate.issuer).join(', ');
      faults.push({ key: [...key, 'workload', 'issuer'], detail: `must be one of identity.issuers: ${issuers}` });
    } else if (!mayVouchFor(issuer.subjects, workload.subject)) {
      faults.push({ key: [...key, 'workload', 'subject'], detail: 'is not a subject that this issuer may vouch for' });
    }
    if ((jwks === undefined) === (file === undefined)) faults.push({ key, detail: 'needs either jwks or jwks_file' });
    for (const [position, jwk] of (jwks?.keys ?? []).entries()) {
      if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member))) faults.push({ key: [...key, 'jwks', 'keys', position], detail: 'is a private or a shared key; only public ones belong here' });
    }
  }
  return faults;
}
