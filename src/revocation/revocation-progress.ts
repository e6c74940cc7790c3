import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RevocationRecord } from '../ledger/revocation-records.ts';

export type ProgressLedger = Pick<Ledger, 'revocationCounts' | 'openLeases' | 'selectedLeases' | 'getLeases'>;

/** How far a revocation is, and a page of what became of its leases. */
export interface RevocationProgress {
  readonly record: RevocationRecord;
  readonly state: 'running' | 'done' | 'cancelled';
  /** Leases whose end is still to be asked for, or, once cancelled, never will be. */
  readonly notAsked: number;
  /** Asked for, and not final. */
  readonly pending: number;
  readonly ended: number;
  /** Of those pending, among the first thousand. */
  readonly stuck: number;
  readonly results: readonly Lease[];
  /** Position of the next page's first lease; null at the end. */
  readonly nextFrom: number | null;
}

/** Pending leases that are looked at afresh; of more, the count is as old as the worker's last look. */
const LOOKED_AT = 1_000;

/** Reads how far a revocation is. `from`: position of the page's first lease. */
export async function revocationProgress(record: RevocationRecord, page: { readonly from: number; readonly limit: number }, ledger: ProgressLedger): Promise<RevocationProgress> {
  const [counts, ids, openIds] = await Promise.all([
    ledger.revocationCounts(record.id),
    ledger.selectedLeases(record.id, page.from, page.limit),
    ledger.openLeases(record.id, 0, LOOKED_AT),
  ]);
  const [found, open] = await Promise.all([ledger.getLeases(ids), ledger.getLeases(openIds)]);
  const gone = open.filter((lease) => lease === null).length;
  const justEnded = open.filter((lease) => lease !== null && isFinal(lease.state)).length;
  const pending = counts.open - justEnded - gone;
  const through = record.state === 'ending' && counts.tasksToAsk + counts.leasesToAsk + pending === 0;
  return {
    record: { ...record, failed: record.failed + gone },
    state: record.state === 'done' || record.state === 'cancelled' ? record.state : through ? 'done' : 'running',
    notAsked: counts.leasesToAsk,
    pending,
    ended: record.total - counts.leasesToAsk - pending - record.failed - gone,
    stuck: open.filter((lease) => lease?.state === 'stuck').length,
    results: found.filter((lease) => lease !== null),
    nextFrom: page.from + page.limit < record.total ? page.from + page.limit : null,
  };
}
