import { shardOf } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { Write } from './commit-step.ts';
import { exposureMs } from './exposure.ts';
import { tallyWrites, type Tally } from './hourly-tally.ts';
import type { Lease } from './lease.ts';
import { deadlineOf } from './lease-transitions.ts';

/** Of a hundred thousand credentials in four weeks, a hundred may be dead more than five seconds late. */
export const LATENESS_OBJECTIVE = { seconds: 5, ratio: 0.999, days: 28 } as const;

/** Upper bounds, ms: fine up to the objective, of which one is a bound, and coarse above. */
const BOUNDS_MS = [10, 25, 50, 75, 100, 150, 200, 300, 400, 500, 750, 1_000, 1_250, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000, 7_500, 10_000, 15_000, 30_000, 60_000, 300_000, 1_800_000, Infinity] as const;
const PREFIX = 'late:';
const LATE_FROM_MS = LATENESS_OBJECTIVE.seconds * 1000;

/** How late revocations were in a span of time. Null where there were none. */
export interface Lateness {
  readonly count: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly maxMs: number | null;
}

/** What is left of the objective. */
export interface LatenessBudget {
  readonly count: number;
  /** Later than the objective, those that are so late by now and not dead among them. */
  readonly late: number;
  /** 1: untouched; 0: spent; negative: overspent; null where nothing was to be revoked. */
  readonly remaining: number | null;
}

/**
 * How late an end was: from when the lease had to be dead to its confirmed revocation or, where that never came, to the
 * target's own end. Null where no revocation is measured by it: only its expiry could end it, or nothing was minted.
 */
export function latenessMs(lease: Lease): number | null {
  if (lease.state === 'revoked') return Math.max(0, (lease.finalAtMs ?? 0) - deadlineOf(lease));
  return lease.state === 'lapsed' && lease.revocability !== 'none' ? exposureMs(lease) : null;
}

/** Counts the end of a lease, in the step that makes it final. */
export function latenessWrites(lease: Lease, nowMs: EpochMs): Write[] {
  const ms = latenessMs(lease);
  if (ms === null) return [];
  const bound = BOUNDS_MS.find((one) => ms <= one) ?? Infinity;
  return tallyWrites(shardOf(lease.id), nowMs, `${PREFIX}${bound}`, ms);
}

/** Counts by bound, in order; what no process of ours wrote is left out. */
const histogram = ({ counts }: Tally): { readonly fromMs: number; readonly toMs: number; readonly count: number }[] =>
  BOUNDS_MS.map((toMs, index) => ({ fromMs: BOUNDS_MS[index - 1] ?? 0, toMs, count: counts.get(`${PREFIX}${toMs}`) ?? 0 }));

export function latenessIn(tally: Tally): Lateness {
  const buckets = histogram(tally);
  const count = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
  if (count === 0) return { count, p50Ms: null, p99Ms: null, maxMs: null };
  const quantile = (ratio: number): number => {
    let before = 0;
    for (const bucket of buckets) {
      const rank = ratio * count - before;
      // Evenly spread within its bucket, as Prometheus has it, and never above the highest that was measured.
      if (rank <= bucket.count && bucket.count > 0) return Math.min(tally.max, bucket.fromMs + (Math.min(bucket.toMs, Math.max(tally.max, bucket.fromMs)) - bucket.fromMs) * (rank / bucket.count));
      before += bucket.count;
    }
    return tally.max;
  };
  return { count, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: tally.max };
}

/** `overdue`: leases that are late by more than the objective now, and not dead. */
export function budgetIn(tally: Tally, overdue: number): LatenessBudget {
  const buckets = histogram(tally);
  const count = buckets.reduce((sum, bucket) => sum + bucket.count, overdue);
  const late = buckets.reduce((sum, bucket) => (bucket.toMs > LATE_FROM_MS ? sum + bucket.count : sum), overdue);
  return { count, late, remaining: count === 0 ? null : 1 - late / (count * (1 - LATENESS_OBJECTIVE.ratio)) };
}
