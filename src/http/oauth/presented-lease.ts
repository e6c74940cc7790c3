import type { Lease } from '../../ledger/lease.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { JwtProvider } from '../../providers/jwt/jwt-provider.ts';

export interface PresentedLeaseDeps {
  readonly ledger: Pick<Ledger, 'getLease'>;
  readonly jwtProviders: readonly JwtProvider[];
}

/** A genuine token, by the lease it was minted for, and the provider that minted it. */
export interface PresentedLease {
  readonly lease: Lease;
  readonly provider: JwtProvider;
}

/** What the ledger has of a token, live or not; null for one that is not ours, or no longer on record. Asked afresh at each call. */
export async function presentedLease(token: string, { ledger, jwtProviders }: PresentedLeaseDeps): Promise<PresentedLease | null> {
  for (const provider of jwtProviders) {
    const presented = provider.read(token);
    if (presented === undefined) continue;
    const lease = await ledger.getLease(presented.leaseId);
    return lease?.provider === provider.name && presented.belongsTo(lease) ? { lease, provider } : null;
  }
  return null;
}
