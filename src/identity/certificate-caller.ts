import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import type { Workload } from './caller.ts';
import type { TrustBundle } from './trust-bundle.ts';
import { refused } from './verify-token.ts';
import type { Certificate } from './x509/certificate.ts';
import { verifyX509Svid, type X509Svid } from './x509/verify-x509-svid.ts';

export interface CertificateCallerDeps {
  readonly bundles: ReadonlyMap<string, TrustBundle>;
  readonly clock: Clock;
}

/** Verifying a chain costs a millisecond, and the same connection asks again and again. */
const CACHE_CHAINS = 1_000;

interface Verified {
  readonly svid: X509Svid;
  readonly authorities: readonly Certificate[] | undefined;
}

/**
 * Proves a caller by the X.509-SVID of its connection. Judged anew once it has expired and whenever the bundle of its trust
 * domain is another, connections that stand among them. Throws `invalid_token` or `identity_unavailable`.
 */
export function certificateCallers({ bundles, clock }: CertificateCallerDeps): (certificates: readonly Uint8Array[]) => Promise<Workload> {
  const cache = new LRUCache<string, Verified>({ max: CACHE_CHAINS });
  const authoritiesOf = (trustDomain: string): Promise<readonly Certificate[] | undefined> => bundles.get(trustDomain)?.authorities() ?? Promise.resolve(undefined);

  return async (certificates) => {
    const digest = certificateThumbprint(Buffer.concat(certificates));
    const nowMs = clock.now();
    const known = cache.get(digest);
    const stands = known !== undefined && nowMs < known.svid.expiresAtMs && (await authoritiesOf(known.svid.id.trustDomain)) === known.authorities;
    if (stands) return workload(known.svid);
    cache.delete(digest);
    let authorities: readonly Certificate[] | undefined;
    const svid = await verifyX509Svid(certificates, async (trustDomain) => (authorities = await authoritiesOf(trustDomain)), nowMs);
    cache.set(digest, { svid, authorities });
    return workload(svid);
  };
}

/** No instance: an SVID names none, and its key changes with every rotation. */
const workload = ({ id, subject, expiresAtMs }: X509Svid): Workload => ({
  kind: 'workload',
  issuer: `spiffe://${id.trustDomain}`,
  subject,
  instance: null,
  senderBound: true,
  tokenExpiresAtMs: expiresAtMs,
});

/** The certificate that a token is bound to (RFC 8705 section 3.1), undefined for none. Throws `invalid_token` for a binding that cannot be read. */
export function boundCertificate({ cnf }: JWTPayload): string | undefined {
  if (typeof cnf !== 'object' || cnf === null || !('x5t#S256' in cnf)) return undefined;
  const bound = cnf['x5t#S256'];
  if (typeof bound !== 'string' || bound === '') throw refused('the certificate it is bound to cannot be read');
  return bound;
}

/** Whether the connection is that of the certificate, whoever issued it (RFC 8705 section 3). Throws `invalid_token` when it is not. */
export function requireCertificate(bound: string, certificates: readonly Uint8Array[] | null): void {
  const [own] = certificates ?? [];
  if (own === undefined) throw refused('it is bound to a certificate, and the connection has none');
  if (certificateThumbprint(own) !== bound) throw refused('it is bound to another certificate than that of the connection');
}

/** What a token is bound to a certificate by: SHA-256 of its DER, base64url (RFC 8705 section 3.1). */
export const certificateThumbprint = (der: Uint8Array): string => createHash('sha256').update(der).digest('base64url');
