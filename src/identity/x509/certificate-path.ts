import { id_kp_clientAuth, id_kp_serverAuth, KeyUsageFlags } from '@peculiar/asn1-x509';
import type { EpochMs } from '../../core/time.ts';
import type { Certificate } from './certificate.ts';

export type Purpose = 'client' | 'server';

const PURPOSE_IDS: Readonly<Record<Purpose, string>> = { client: id_kp_clientAuth, server: id_kp_serverAuth };

/** Longer than any honest chain, and short enough that trying every order costs nothing. */
const MAX_CERTIFICATES = 8;
/** Of all orders that a chain of confusing names can be tried in. */
const MAX_TRIES = 64;

/** SHA-256 and longer, with RSA, RSA-PSS and ECDSA, and Ed25519; nothing that collides. */
const SIGNATURES: readonly string[] = [
  '1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13', '1.2.840.113549.1.1.10',
  '1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4', '1.3.101.112',
];
const MIN_RSA_BITS = 2_048;

export interface PathQuestion {
  /** The leaf first, then what came with it, in any order. */
  readonly chain: readonly Certificate[];
  readonly authorities: readonly Certificate[];
  readonly nowMs: EpochMs;
  readonly purpose: Purpose;
}

/**
 * A path from the leaf to one of the authorities, each valid now and allowed to stand where it stands (RFC 5280 section 6.1);
 * a text says why there is none. Only the authorities given count: the system's are never asked.
 */
export function certificatePath({ chain, authorities, nowMs, purpose }: PathQuestion): readonly Certificate[] | string {
  const [leaf, ...others] = chain;
  if (leaf === undefined) return 'there is none';
  if (chain.length > MAX_CERTIFICATES) return 'too many came with it';
  const fault = useFault(leaf, nowMs, purpose);
  if (fault !== undefined) return fault;
  let tries = 0;
  // The first reason found on the way says more than that there is no path.
  let reason: string | undefined;

  function extend(path: readonly Certificate[]): readonly Certificate[] | undefined {
    const last = path.at(-1);
    if (last === undefined) return undefined;
    for (const issuer of [...authorities, ...others]) {
      if (path.includes(issuer) || (tries += 1) > MAX_TRIES || !isIssuedBy(last, issuer)) continue;
      const refused = authorityFault(issuer, path, nowMs, purpose);
      if (refused !== undefined) {
        reason ??= refused;
        continue;
      }
      const found = authorities.includes(issuer) ? [...path, issuer] : extend([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return extend([leaf]) ?? reason ?? 'no authority of its trust domain issued it';
}

/** The names fit, and the signature is that of the issuer's key. */
function isIssuedBy(certificate: Certificate, issuer: Certificate): boolean {
  // OpenSSL also compares the key identifiers, and refuses an issuer whose key usage forbids it.
  return certificate.x509.checkIssued(issuer.x509) && certificate.x509.verify(issuer.x509.publicKey);
}

/** Why an authority must not stand above these. */
function authorityFault(authority: Certificate, below: readonly Certificate[], nowMs: EpochMs, purpose: Purpose): string | undefined {
  const fault = useFault(authority, nowMs, purpose);
  if (fault !== undefined) return `of its issuer: ${fault}`;
  if (!authority.isCa) return 'its issuer is no authority';
  if (!hasUsage(authority, KeyUsageFlags.keyCertSign)) return 'its issuer may not sign certificates';
  const intermediates = below.slice(1).filter(({ isSelfIssued }) => !isSelfIssued).length;
  if (authority.pathLength !== undefined && intermediates > authority.pathLength) return 'more authorities stand between than are allowed';
  if (!below.every(({ uris }) => uris.every((uri) => mayName(authority, uri)))) return 'its issuer may not name it';
  return undefined;
}

/** Why a certificate must not be used at all, wherever it stands. */
function useFault(certificate: Certificate, nowMs: EpochMs, purpose: Purpose): string | undefined {
  if (certificate.fault !== undefined) return certificate.fault;
  if (nowMs < certificate.notBefore.getTime()) return 'it is not valid yet';
  if (nowMs > certificate.notAfter.getTime()) return 'it has expired';
  if (!SIGNATURES.includes(certificate.signatureAlgorithm)) return 'it is signed by a weak algorithm';
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.x509.publicKey;
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) return 'its key is too short';
  if (certificate.purposes !== undefined && !certificate.purposes.includes(PURPOSE_IDS[purpose])) return `it is not for TLS ${purpose}s`;
  return undefined;
}

/** Whether the key may be used so. A certificate that says nothing of it may not: SPIFFE wants it said, for authorities too (X509-SVID section 4.3). */
export const hasUsage = ({ keyUsage }: Certificate, flag: KeyUsageFlags): boolean => keyUsage !== undefined && (keyUsage.bits & flag) !== 0;

/** URI constraints are about the host alone: exact, or any below it with a dot in front (RFC 5280 section 4.2.1.10). */
function mayName({ uriConstraints }: Certificate, uri: string): boolean {
  if (uriConstraints === undefined) return true;
  const host = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]?.toLowerCase() ?? '';
  const fits = (constraint: string): boolean => (constraint.startsWith('.') ? host.endsWith(constraint.toLowerCase()) : host === constraint.toLowerCase());
  return host !== '' && (uriConstraints.permitted?.some(fits) ?? true) && !uriConstraints.excluded.some(fits);
}
