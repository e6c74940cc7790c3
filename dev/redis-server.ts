import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort, runServer } from './run-server.ts';

export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  /** With its password; secret. */
  readonly url: string;
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** Must exist; the data lives in `redis` below it. */
  readonly directory: string;
  /** Where it was before, so that it can come back with its data. */
  readonly port?: number;
  readonly password?: string;
}

/** Starts a private Redis: loopback, a random port and password, nothing evicted, every write on disk within a second. */
export async function startRedis({ directory, port, password = randomBytes(24).toString('hex') }: RedisOptions): Promise<RedisServer> {
  const at = port ?? (await freePort());
  const home = join(directory, 'redis');
  await mkdir(home, { recursive: true, mode: 0o700 });
  const url = `redis://default:${password}@127.0.0.1:${at}`;
  const settings = ['--bind', '127.0.0.1', '--port', String(at), '--dir', home, '--save', '', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction'];
  const server = await runServer(
    {
      command: 'redis-server',
      // Configuration by standard input would be tidier than a password on the command line, but is not to be had with `--pdeathsig`.
      args: [...settings, '--requirepass', password],
      env: { PATH: process.env['PATH'] ?? '' },
      cwd: home,
      logFile: join(directory, 'redis.log'),
      stopSignal: 'SIGTERM',
    },
    () => answers(url),
  );
  return { port: at, pid: server.pid, url, exited: server.exited, stop: () => server.stop() };
}

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 500 });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
    return true;
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
