import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { newRevocationId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Lease } from '../ledger/lease.ts';
import type { RevocationRecord } from '../ledger/revocation-records.ts';
import { freeText, parse } from '../task/declaration.ts';
import type { RevocationJobs } from './revocation-jobs.ts';
import { isThrough, selectSlice, START, type SelectionLedger } from './select-live.ts';
import { revocationSelector, type Selector } from './selector.ts';

/** What `POST /v1/revocations` takes. */
export const revocationRequest = z.strictObject({
  selector: revocationSelector,
  reason: freeText.min(1),
  dry_run: z.boolean().default(false),
});

export type RevocationRequest = z.infer<typeof revocationRequest>;

export const parseRevocationRequest = (body: unknown): RevocationRequest => parse(revocationRequest, body);

export interface RequestRevocationDeps {
  readonly ledger: SelectionLedger;
  readonly jobs: Pick<RevocationJobs, 'request'>;
  readonly clock: Clock;
}

/** Writes a revocation down, begins with it, and answers how far it is. What is left is done by workers. */
export async function requestRevocation({ selector, reason }: Pick<RevocationRequest, 'selector' | 'reason'>, by: WorkloadId, { jobs, clock }: Omit<RequestRevocationDeps, 'ledger'>): Promise<RevocationRecord> {
  const record: RevocationRecord = {
    id: newRevocationId(), generation: 1, selector, reason, by, createdAtMs: clock.now(),
    state: 'selecting', place: START, providers: [], total: 0, tasks: 0, failed: 0,
  };
  return jobs.request(record);
}

/** What a revocation would end. */
export interface WouldEnd {
  readonly leases: number;
  readonly tasks: number;
  /** The first of the leases, at most `shown`. */
  readonly first: readonly Lease[];
}

/** Counts what a selector matches now; nothing is written. */
export async function countLive(wanted: Selector, shown: number, ledger: SelectionLedger): Promise<WouldEnd> {
  let found: WouldEnd = { leases: 0, tasks: 0, first: [] };
  for (let place = START; !isThrough(place); ) {
    const slice = await selectSlice(wanted, place, ledger);
    const first = found.first.length < shown ? [...found.first, ...slice.leases].slice(0, shown) : found.first;
    found = { leases: found.leases + slice.leases.length, tasks: found.tasks + slice.tasks.length, first };
    place = slice.next;
  }
  return found;
}
