/** How a part of the deployment stands. `skipped`: it could not be looked at, and why is said. */
export type Standing = 'ok' | 'warning' | 'failure' | 'skipped';

export interface Finding {
  /** `<area>.<what>`, stable: scripts select by it. */
  readonly check: string;
  readonly standing: Standing;
  readonly found: string;
  /** What to do about it, in one line; null where there is nothing to do. */
  readonly fix: string | null;
}

/** One area to look at. What it cannot find out it reports as skipped; it throws only for a fault of its own. */
export interface Check {
  readonly area: string;
  readonly look: (signal: AbortSignal) => Promise<readonly Finding[]>;
}

export const ok = (check: string, found: string): Finding => ({ check, standing: 'ok', found, fix: null });
export const warning = (check: string, found: string, fix: string): Finding => ({ check, standing: 'warning', found, fix });
export const failure = (check: string, found: string, fix: string): Finding => ({ check, standing: 'failure', found, fix });
export const skipped = (check: string, found: string, fix: string | null = null): Finding => ({ check, standing: 'skipped', found, fix });

/** For one area, all of it. */
const AREA_TIMEOUT_MS = 10_000;

/** Runs every check, each in its time, side by side; one that fails keeps nobody else from being looked at. */
export async function runChecks(checks: readonly Check[]): Promise<Finding[]> {
  const found = await Promise.all(
    checks.map(async ({ area, look }) => {
      const signal = AbortSignal.timeout(AREA_TIMEOUT_MS);
      try {
        return await Promise.race([look(signal), expiry(signal)]);
      } catch (error) {
        return [failure(area, error instanceof Error ? error.message : String(error), 'see whether it is reachable, and try again')];
      }
    }),
  );
  return found.flat();
}

function expiry(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error(`no answer within ${AREA_TIMEOUT_MS / 1000} s`)), { once: true }));
}
