import { Redis } from 'ioredis';
import { BLOCK_MS } from '../audit/feed-reader.ts';
import type { Config } from '../config/config-schema.ts';
import { redisUrlOf } from '../config/redis-url.ts';
import type { Logger } from '../telemetry/logger.ts';

/** For what must fail at once when Redis is away: a grant, a read. */
const IMPATIENT = { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 2_000, enableAutoPipelining: true, retryStrategy: retryDelay };
/** For a blocking read, which outlasts what others may take. */
const FOLLOWING = { ...IMPATIENT, commandTimeout: 2 * BLOCK_MS, enableAutoPipelining: false };
/** For BullMQ, which waits for Redis as long as it takes. */
const PATIENT = { maxRetriesPerRequest: null, retryStrategy: retryDelay };

const MANNERS = { impatient: IMPATIENT, following: FOLLOWING, patient: PATIENT };

/** All connections of a broker to Redis, so that they end together. */
export class RedisConnections {
  readonly #url: string;
  readonly #log: Logger;
  readonly #open: Redis[] = [];

  constructor(config: Config, log: Logger) {
    this.#url = redisUrlOf(config);
    this.#log = log;
  }

  connect(manner: keyof typeof MANNERS): Redis {
    const redis = new Redis(this.#url, MANNERS[manner]);
    redis.on('error', (error) => this.#log.debug({ err: error }, 'redis'));
    this.#open.push(redis);
    return redis;
  }

  close(): void {
    // Ending one that has ended keeps the process up for two more seconds: ioredis waits for a socket that is closed already.
    for (const redis of this.#open) if (redis.status !== 'end') redis.disconnect();
  }
}

function retryDelay(attempts: number): number {
  return Math.min(50 * attempts, 1_000);
}

/** What time it is for Redis, epoch ms with microseconds as a fraction. */
export async function redisTimeMs(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Number(micros) / 1000;
}

/** Waits for a connection as long as it takes; errors meanwhile are no end of it. */
export const whenReady = (redis: Redis): Promise<void> =>
  new Promise((resolve) => {
    if (redis.status === 'ready') resolve();
    else redis.once('ready', resolve);
  });
