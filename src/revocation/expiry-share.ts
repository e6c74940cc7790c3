/** The longest that an end on time waits for others while grants are made, ms: of the lateness objective, the larger part; the rest is the target's. */
export const MAY_WAIT_MS = 3_000;
/** Few are not made to wait: so many are ended in a second whatever there is, ms of work for each. */
const LEAST_PER_SECOND = 50;
/** What is more than this is a storm that cannot be spread any more: the excess waits for nobody. */
const MOST_WAITING = 1_000;

/**
 * How many of those whose time is up are ended in this look, the longest due first, so that the work is spread evenly and
 * none waits longer than `MAY_WAIT_MS`.
 *
 * @param dueAtMs since when each is due, sorted
 * @param sinceMs how long ago the last look was; the next is expected after as long
 */
export function expiryShare(dueAtMs: readonly number[], nowMs: number, sinceMs: number): number {
  const soonMs = Math.max(sinceMs, 1);
  const paces = dueAtMs.map((atMs, index) => ((index + 1) * soonMs) / Math.max(soonMs, atMs + MAY_WAIT_MS - nowMs));
  const share = Math.max((LEAST_PER_SECOND * soonMs) / 1000, dueAtMs.length - MOST_WAITING, ...paces);
  return Math.min(dueAtMs.length, Math.ceil(share));
}
