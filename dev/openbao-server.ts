import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { findBao } from './find-tools.ts';
import { freePort, isListening, runServer } from './run-server.ts';

export interface OpenBaoServer {
  readonly address: string;
  /** Secret; for seeding and for looking in from outside. No Mayfly process may have it. */
  readonly rootToken: string;
  readonly pid: number;
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
}

/**
 * Starts a private OpenBao in development mode: in memory, unsealed, loopback only, a random port and root token.
 * Its log is `openbao.log` in `directory`, which must exist. On a free `port` given, there, so that it can come back.
 */
export async function startOpenBao({ directory, port }: { readonly directory: string; readonly port?: number }): Promise<OpenBaoServer> {
  const rootToken = randomBytes(24).toString('hex');
  // It listens on the next port too, for its cluster.
  const at = port ?? (await freePort(1));
  const address = `http://127.0.0.1:${at}`;
  const server = await runServer(
    {
      command: findBao(),
      args: ['server', '-dev', '-dev-no-store-token', `-dev-listen-address=127.0.0.1:${at}`],
      // The token by environment: the command line is visible to every user of the machine.
      env: { PATH: process.env['PATH'] ?? '', HOME: directory, BAO_DEV_ROOT_TOKEN_ID: rootToken },
      cwd: directory,
      logFile: join(directory, 'openbao.log'),
      stopSignal: 'SIGTERM',
    },
    () => isServing(address, rootToken),
  );
  return { address, rootToken, pid: server.pid, exited: server.exited, stop: () => server.stop() };
}

/** Unsealed is not enough: the root token is installed a moment later. */
async function isServing(address: string, rootToken: string): Promise<boolean> {
  if (!(await isListening(address))) return false;
  try {
    const answer = await fetch(`${address}/v1/auth/token/lookup-self`, { headers: { 'X-Vault-Token': rootToken } });
    await answer.body?.cancel();
    return answer.ok;
  } catch {
    return false;
  }
}
