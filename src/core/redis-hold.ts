import type { Redis } from 'ioredis';
import { defineScript } from './redis-script.ts';

/** Keys that one holder has at a time, each until its time runs out. */
export interface RedisHold {
  /** False while somebody has it. */
  take(key: string, holder: string, ms: number): Promise<boolean>;
  /** False where it is somebody else's by now. */
  prolong(key: string, holder: string, ms: number): Promise<boolean>;
  /** Lets go. Where Redis is away it ends by itself. */
  giveBack(key: string, holder: string): Promise<void>;
}

export function createRedisHold(redis: Redis): RedisHold {
  const runProlong = defineScript(redis, 'mayflyProlongHold', new URL('./scripts/prolong-hold.lua', import.meta.url));
  const prolong = async (key: string, holder: string, ms: number): Promise<boolean> => (await runProlong(1, key, holder, ms)) === 1;
  return {
    take: async (key, holder, ms) => (await redis.set(key, holder, 'PX', ms, 'NX')) === 'OK',
    prolong,
    // Shortened, not deleted: what somebody else took meanwhile must not be touched.
    async giveBack(key, holder) {
      await prolong(key, holder, 1).catch(() => undefined);
    },
  };
}
