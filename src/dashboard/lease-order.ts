// In which order leases stand: what should be dead and is not comes first. Pure.
import type { Lease } from './answers.ts';

const FINAL = new Set<Lease['state']>(['revoked', 'lapsed', 'abandoned', 'disclosed']);
export const isFinal = (state: Lease['state']): boolean => FINAL.has(state);

/** Ending a credential takes a moment: only after this does a lease past its time count as overdue. */
const ENDING_MS = 2_000;
const LAST_MS = 60_000;
const SOON_MS = 300_000;

/** When a lease must be dead: its due time, or when somebody asked for the end. */
export const deadlineOf = (lease: Pick<Lease, 'revocation_due_at' | 'expires_at'>): number => Date.parse(lease.revocation_due_at ?? lease.expires_at);

export type Urgency = 'overdue' | 'last' | 'soon' | 'later';

/** @param leftMs until it must be dead */
export function urgencyOf(leftMs: number): Urgency {
  if (leftMs < -ENDING_MS) return 'overdue';
  if (leftMs < LAST_MS) return 'last';
  return leftMs < SOON_MS ? 'soon' : 'later';
}

/** A lease in its place. */
export interface Row {
  readonly lease: Lease;
  readonly deadlineMs: number;
}

export const rowOf = (lease: Lease): Row => ({ lease, deadlineMs: deadlineOf(lease) });

const rank = ({ lease }: Row): number => (lease.state === 'stuck' ? 0 : 1);

/** Stuck ones, then by the time they must be dead: the overdue are the soonest of all. */
export const byUrgency = (a: Row, b: Row): number => rank(a) - rank(b) || a.deadlineMs - b.deadlineMs || (a.lease.id < b.lease.id ? -1 : a.lease.id > b.lease.id ? 1 : 0);

/** Where a row is, or belongs, among sorted ones. */
export function placeOf(rows: readonly Row[], row: Row): number {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = rows[middle];
    if (there !== undefined && byUrgency(there, row) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
