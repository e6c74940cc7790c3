/** What one round of load measured. Latencies are in milliseconds, sorted. */
export interface Round {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  readonly failures: number;
}

/**
 * Runs `call` from `callers` loops, each starting its next call when the last has answered, for about `seconds`.
 * A failed call is counted and its latency left out.
 */
export async function closedLoop(call: () => Promise<void>, callers: number, seconds: number): Promise<Round> {
  const latenciesMs: number[] = [];
  let failures = 0;
  const startedMs = performance.now();
  const untilMs = startedMs + seconds * 1000;
  const loop = async (): Promise<void> => {
    while (performance.now() < untilMs) {
      const sentMs = performance.now();
      try {
        await call();
        latenciesMs.push(performance.now() - sentMs);
      } catch {
        failures += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: callers }, loop));
  const tookSeconds = (performance.now() - startedMs) / 1000;
  return { perSecond: latenciesMs.length / tookSeconds, latenciesMs: latenciesMs.sort((a, b) => a - b), failures };
}

/** The value below which this share of sorted values lies; 0 for none. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/** The middle value of a few, with the lowest and the highest. */
export function medianOf(values: readonly number[]): { readonly median: number; readonly min: number; readonly max: number } {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: percentile(sorted, 0.5), min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}
