import { z } from 'zod';
import type { Config } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import { usableJwks, type PublicJwk } from '../identity/public-keys.ts';
import type { OutboundFetch } from '../identity/outbound-fetch.ts';
import { failure, ok, warning, type Check, type Finding } from './check.ts';
import { profileChecks } from './profile-check.ts';
import { trustDomainChecks } from './spiffe-check.ts';

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string() });
const keySet = z.object({ keys: z.array(z.unknown()) });

/** Tokens get this much skew. */
const MAX_SKEW_SECONDS = 30;

export const issuerCheck = (role: 'workloads' | 'operators', { issuer, algorithms }: { readonly issuer: string; readonly algorithms: readonly string[] }, outboundFetch: OutboundFetch): Check => ({
  area: `issuer.${role}`,
  async look(signal) {
    const check = `issuer.${role}`;
    const mend = `mend the issuer, or ${role === 'operators' ? 'operators.issuer' : 'identity.issuers'}`;
    try {
      const { status, body, headers } = await outboundFetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, { signal });
      const found = status === 200 ? discovery.safeParse(JSON.parse(body)).data : undefined;
      if (found === undefined) return [failure(check, `${issuer}: its discovery document cannot be had (${status})`, mend)];
      if (found.issuer !== issuer) return [failure(check, `${issuer}: its document names ${found.issuer}`, 'the two must be the same, byte for byte')];
      const keys = usableJwks(keySet.parse(JSON.parse((await outboundFetch(found.jwks_uri, { signal })).body)).keys);
      const usable = keys.filter((key) => algorithms.some((algorithm) => fits(key, algorithm)));
      if (usable.length === 0) return [failure(check, `${issuer}: none of its ${keys.length} keys is for ${algorithms.join(', ')}`, 'add the algorithm it signs with to `algorithms`')];
      return [ok(check, `${issuer}: ${usable.length === 1 ? '1 key' : `${usable.length} keys`} for ${algorithms.join(', ')}`), ...clock(check, headers['date'])];
    } catch (error) {
      return [failure(check, `${issuer}: ${error instanceof Error ? error.message : 'cannot be reached'}`, mend)];
    }
  },
});

function fits(key: PublicJwk, algorithm: string): boolean {
  if (key.alg !== undefined) return key.alg === algorithm;
  if (algorithm === 'EdDSA') return key.kty === 'OKP';
  return algorithm.startsWith('ES') ? key.kty === 'EC' : key.kty === 'RSA';
}

function clock(check: string, date: string | string[] | undefined): Finding[] {
  const theirs = Date.parse(String(date));
  if (Number.isNaN(theirs)) return [];
  const skew = Math.round((systemClock.now() - theirs) / 1000);
  if (Math.abs(skew) <= MAX_SKEW_SECONDS) return [];
  return [warning(`${check}.clock`, `${skew} s from our clock: its tokens may be refused`, 'run NTP on both machines')];
}

/** All issuers of a configuration. */
export const identityChecks = ({ identity, operators, workload_api, http }: Config, outboundFetch: OutboundFetch): Check[] => [
  ...identity.issuers.map((issuer) => issuerCheck('workloads', issuer, outboundFetch)),
  issuerCheck('operators', operators, outboundFetch),
  ...profileChecks({ identity, http }, outboundFetch),
  ...trustDomainChecks({ identity, workload_api }, outboundFetch),
];
