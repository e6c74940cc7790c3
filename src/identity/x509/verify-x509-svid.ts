import { KeyUsageFlags } from '@peculiar/asn1-x509';
import { Problem } from '../../core/problem.ts';
import type { EpochMs } from '../../core/time.ts';
import { parseWorkloadId, type SpiffeId } from '../spiffe-id.ts';
import { certificatePath, hasUsage, type Purpose } from './certificate-path.ts';
import { parseCertificate, type Certificate } from './certificate.ts';

export interface X509Svid {
  readonly id: SpiffeId;
  /** The SPIFFE ID as it stands in the certificate. */
  readonly subject: string;
  /** When the first certificate of the path ends. */
  readonly expiresAtMs: EpochMs;
}

/** Which authorities judge an SVID: those of exactly one trust domain. Undefined: the domain is not known here. */
export type AuthoritiesOf = (trustDomain: string) => Promise<readonly Certificate[] | undefined>;

/**
 * Verifies an X.509-SVID (X509-SVID section 5): one SPIFFE ID, a leaf that signs nothing but its own messages, a path to the
 * bundle of its own trust domain. That the sender holds its key is for TLS to prove. Throws `invalid_token`.
 */
export async function verifyX509Svid(ders: readonly Uint8Array[], authoritiesOf: AuthoritiesOf, nowMs: EpochMs, purpose: Purpose = 'client'): Promise<X509Svid> {
  const chain = parsed(ders);
  const [leaf] = chain;
  if (leaf === undefined) throw refusedCertificate('there is none');
  const { id, subject } = spiffeIdOf(leaf);
  const authorities = await authoritiesOf(id.trustDomain);
  if (authorities === undefined) throw refusedCertificate('its trust domain is not known here');
  const path = certificatePath({ chain, authorities, nowMs, purpose });
  if (typeof path === 'string') throw refusedCertificate(path);
  return { id, subject, expiresAtMs: Math.min(...path.map(({ notAfter }) => notAfter.getTime())) as EpochMs };
}

/** The problem for a certificate that is not accepted. `why` completes "the certificate was not accepted: …". */
export const refusedCertificate = (why: string, cause?: unknown): Problem =>
  new Problem('invalid_token', `the certificate was not accepted: ${why}`, cause === undefined ? {} : { cause });

function parsed(ders: readonly Uint8Array[]): Certificate[] {
  try {
    return ders.map(parseCertificate);
  } catch (cause) {
    throw refusedCertificate('it, or one that came with it, cannot be read', cause);
  }
}

/** The SPIFFE ID of a leaf (X509-SVID sections 2, 4 and 5.2). */
function spiffeIdOf(leaf: Certificate): Pick<X509Svid, 'id' | 'subject'> {
  const [subject] = leaf.uris;
  if (subject === undefined) throw refusedCertificate('it names no SPIFFE ID');
  if (leaf.uris.length > 1) throw refusedCertificate('it names more than one URI');
  const id = parseWorkloadId(subject);
  if (id === undefined) throw refusedCertificate('its URI is not the SPIFFE ID of a workload');
  if (leaf.subjectIsEmpty && !leaf.altNameCritical) throw refusedCertificate('its subject is empty, and its names are not critical');
  if (leaf.isCa) throw refusedCertificate('it is an authority, which never authenticates');
  if (leaf.keyUsage?.critical !== true) throw refusedCertificate('its key usage is missing or not critical');
  if (!hasUsage(leaf, KeyUsageFlags.digitalSignature)) throw refusedCertificate('its key may not sign');
  if (hasUsage(leaf, KeyUsageFlags.keyCertSign) || hasUsage(leaf, KeyUsageFlags.cRLSign)) throw refusedCertificate('its key may sign certificates or their revocation');
  return { id, subject };
}
