import type { OidcIssuerConfig } from '../config/config-schema.ts';
import { parseWorkloadId, posesAsSpiffeId } from './spiffe-id.ts';

/**
 * Whether an issuer may name this subject: as listed, exactly or up to a trailing `*`. A SPIFFE ID belongs to its trust
 * domain, so it must be well formed and listed as one: `*` alone does not reach it.
 */
export function mayVouchFor(listed: OidcIssuerConfig['subjects'], subject: string): boolean {
  const matches = (pattern: string): boolean => (pattern.endsWith('*') ? subject.startsWith(pattern.slice(0, -1)) : subject === pattern);
  if (posesAsSpiffeId(subject)) {
    return parseWorkloadId(subject) !== undefined && (listed ?? []).some((pattern) => pattern.startsWith('spiffe://') && matches(pattern));
  }
  return listed === undefined || listed.some(matches);
}
