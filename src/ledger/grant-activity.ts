import type { Redis } from 'ioredis';
import type { Clock } from '../core/clock.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { grantingKey } from './redis-keys.ts';

/** How long after a grant others still count on the next one, ms. */
const REMEMBERED_MS = 1_000;
/** One process tells no oftener: each grant costs nothing more. */
const TELL_EVERY_MS = 300;

/** Whether grants are being made, in whichever process: who ends what has time gives way to them. */
export function createGrantActivity(redis: Redis, clock: Pick<Clock, 'monotonicMs'>) {
  let toldAtMs = -Infinity;

  return {
    /** Tells that a grant is under way. Whether that succeeds concerns no grant. */
    noteGrant(): void {
      const nowMs = clock.monotonicMs();
      if (nowMs - toldAtMs < TELL_EVERY_MS) return;
      toldAtMs = nowMs;
      redis.set(grantingKey, '1', 'PX', REMEMBERED_MS).catch(() => undefined);
    },

    /** Whether a grant was made within about the last second, by any process. */
    isGranting: (): Promise<boolean> => unavailableOnFailure(async () => (await redis.exists(grantingKey)) === 1),
  };
}
