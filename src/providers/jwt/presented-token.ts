import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLeaseId, type LeaseId } from '../../core/ids.ts';
import type { Lease } from '../../ledger/lease.ts';
import { openJws, type SigningKeys } from '../../keys/signing-keys.ts';

/** A token somebody shows us, as far as it can be judged without the ledger. */
export interface PresentedToken {
  readonly leaseId: LeaseId;
  /** Whether the lease, as it stands in the ledger, is the one this token was minted for. */
  readonly belongsTo: (lease: Lease) => boolean;
}

const REFERENCE = /^mfr_(lse_[0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/** An opaque reference: the lease it stands for, and 256 random bits. */
export const newReference = (leaseId: LeaseId): string => `mfr_${leaseId}_${randomBytes(32).toString('base64url')}`;

/** What is kept of a reference: enough to know it again, nothing to use it by. */
export const referenceDigest = (reference: string): string => createHash('sha256').update(reference).digest('hex');

/** Judges a token by itself; undefined when it is not one of ours. The lease decides whether it is still good. */
export function readPresentedToken(token: string, keys: SigningKeys): PresentedToken | undefined {
  const referenced = REFERENCE.exec(token)?.[1];
  if (referenced !== undefined && isLeaseId(referenced)) {
    const digest = Buffer.from(referenceDigest(token));
    return {
      leaseId: referenced,
      belongsTo({ handle }) {
        const recorded = Buffer.from(String(handle?.['reference_sha256'] ?? ''));
        return recorded.length === digest.length && timingSafeEqual(recorded, digest);
      },
    };
  }
  const id = openJws(token, keys, 'at+jwt')?.['jti'];
  if (typeof id !== 'string' || !isLeaseId(id)) return undefined;
  return { leaseId: id, belongsTo: ({ handle }) => handle?.['form'] === 'jwt' };
}
