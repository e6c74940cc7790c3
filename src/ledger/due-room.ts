import type { LeaseId } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { providerDueKey } from './redis-keys.ts';

/** Due times are counted in windows of this length. */
export const DUE_WINDOW_MS = 10_000;
/** How far ahead the forecast looks. */
const FORECAST_MINUTES = 60;
const MINUTE_MS = 60_000;

type DueLease = { readonly id: LeaseId; readonly dueAtMs: EpochMs };

/** Room among what falls due at a provider: a grant that could not be ended in time is better not made. */
export function createDueRoom({ redis, clock }: Pick<LedgerSteps, 'redis' | 'clock'>) {
  const runReserve = defineScript(redis, 'mayflyReserveDue', new URL('./scripts/reserve-due.lua', import.meta.url));

  return {
    /** False where more would fall due at once than `perSecond` can end; then nothing is reserved. */
    async reserveDue(provider: string, leases: readonly DueLease[], perSecond: number): Promise<boolean> {
      const perWindow = (perSecond * DUE_WINDOW_MS) / 1000;
      const items = leases.flatMap(({ id, dueAtMs }) => [id, dueAtMs]);
      return (await unavailableOnFailure(() => runReserve(1, providerDueKey(provider), clock.now(), perWindow, DUE_WINDOW_MS, ...items))) === 1;
    },

    async releaseDue(provider: string, leases: readonly LeaseId[]): Promise<void> {
      if (leases.length > 0) await unavailableOnFailure(() => redis.zrem(providerDueKey(provider), ...leases));
    },

    /** How many leases of a provider fall due in each of the next sixty minutes. */
    async dueForecast(provider: string, nowMs: EpochMs): Promise<readonly number[]> {
      const minutes = Array.from({ length: FORECAST_MINUTES }, (_, index) => nowMs + index * MINUTE_MS);
      return unavailableOnFailure(() => Promise.all(minutes.map((start) => redis.zcount(providerDueKey(provider), start, start + MINUTE_MS - 1))));
    },
  };
}
