import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRedis as startPrivateRedis, type RedisServer } from '../../dev/redis-server.ts';

export type TestRedis = Pick<RedisServer, 'url' | 'port' | 'pid' | 'stop'>;

/** A private Redis in a temporary folder, both gone after `stop()`. */
export async function startRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'mayfly-redis-'));
  const server = await startPrivateRedis({ directory });
  return {
    ...server,
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
