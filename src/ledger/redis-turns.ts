import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { createRedisHold, type RedisHold } from '../core/redis-hold.ts';
import { TurnLost, type Turns } from '../core/turns.ts';
import { turnKey } from './redis-keys.ts';

/** How long a turn lasts, should its process die in it. */
const TURN_MS = 30_000;
/** What still is ours for this long may start a last step: a request and its answer. */
const LAST_STEP_MS = 10_000;
const RETRY_MS = { least: 20, most: 120 };

/**
 * Turns over all processes, on Redis. A turn bounds how often two processes collide, it cannot exclude it (a paused
 * process, a lost Redis): who works in turns reads back what it wrote.
 */
export function createRedisTurns(redis: Redis): Turns {
  const hold = createRedisHold(redis);
  return {
    async run(name, signal, work) {
      const key = turnKey(name);
      const holder = randomBytes(16).toString('base64url');
      const tookAtMs = await take(hold, key, holder, signal);
      try {
        return await work(() => performance.now() - tookAtMs < TURN_MS - LAST_STEP_MS);
      } finally {
        await hold.giveBack(key, holder);
      }
    },
  };
}

/** Waits for the turn; answers when it began, on the monotonic clock. */
async function take(hold: RedisHold, key: string, holder: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    const askedAtMs = performance.now();
    const taken = await hold.take(key, holder, TURN_MS).catch(() => {
      throw new TurnLost('Redis does not answer');
    });
    if (taken) return askedAtMs;
    await sleep(RETRY_MS.least + Math.random() * (RETRY_MS.most - RETRY_MS.least), undefined, { signal }).catch(() => {
      throw new TurnLost('others kept the turn');
    });
  }
}
