import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import { Redis } from 'ioredis';
import { startRedis, type RedisServer } from '../../dev/redis-server.ts';

/** A private Redis and one connection to it. */
export interface TestRedis {
  /** Such as the ledger's own. */
  readonly redis: Redis;
  readonly server: RedisServer;
  /** Ends the server, and its temporary folder with it. */
  stop(): Promise<void>;
}

export async function startTestRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'mayfly-redis-'));
  const server = await startRedis({ directory });
  const redis = new Redis(server.url, { enableOfflineQueue: false, commandTimeout: 2_000, maxRetriesPerRequest: 0, lazyConnect: true });
  redis.on('error', () => undefined);
  // A test may put many ledgers on the one connection, and each listens for its end.
  redis.setMaxListeners(0);
  await redis.connect();
  return {
    redis,
    server,
    async stop() {
      redis.disconnect();
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Gives a suite a private Redis: its connection is handed to `each` before every test, with nothing in it. */
export function useRedis(each: (redis: Redis) => void | Promise<void>): void {
  let server: TestRedis;

  beforeAll(async () => {
    server = await startTestRedis();
  });

  afterAll(() => server.stop());

  beforeEach(async () => {
    await server.redis.flushall();
    await each(server.redis);
  });
}
