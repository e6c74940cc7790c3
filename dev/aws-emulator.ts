import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { findMinistack } from './find-tools.ts';
import { freePort, runServer } from './run-server.ts';

/** Keys of an AWS identity. */
export interface AccessKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface AwsEmulator {
  readonly endpoint: string;
  readonly region: string;
  /** Secret: the account's root, for seeding and for looking in from outside. No Mayfly process may have it. */
  readonly root: AccessKeys;
  readonly pid: number;
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
}

const REGION = 'eu-central-1';

/**
 * Starts a private AWS emulator (ministack) that judges every call by policy: in memory, loopback only, a random port and
 * root keys. Its log is `aws.log` in `directory`, which must exist. On a free `port` given, there, so that it can come back.
 */
export async function startAwsEmulator({ directory, port }: { readonly directory: string; readonly port?: number }): Promise<AwsEmulator> {
  const at = port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${at}`;
  const scratch = join(directory, 'aws');
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const root = { accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(20).toString('hex') };
  const server = await runServer(
    {
      command: findMinistack(),
      args: [],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: scratch,
        TMPDIR: scratch,
        S3_DATA_DIR: join(scratch, 's3'),
        // Without AUTH nothing is enforced; without BIND_HOST the whole network is served.
        AUTH: 'true',
        BIND_HOST: '127.0.0.1',
        MINISTACK_HOST: '127.0.0.1',
        GATEWAY_PORT: String(at),
        AWS_ACCESS_KEY_ID: root.accessKeyId,
        AWS_SECRET_ACCESS_KEY: root.secretAccessKey,
        AWS_DEFAULT_REGION: REGION,
      },
      cwd: scratch,
      logFile: join(directory, 'aws.log'),
      stopSignal: 'SIGTERM',
    },
    () => isServing(endpoint),
    40_000,
  );
  return { endpoint, region: REGION, root, pid: server.pid, exited: server.exited, stop: () => server.stop() };
}

async function isServing(endpoint: string): Promise<boolean> {
  try {
    const answer = await fetch(`${endpoint}/_ministack/health`);
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
