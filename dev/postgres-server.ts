import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { findPostgresBin } from './find-tools.ts';
import { freshData } from './postgres-data.ts';
import { freePort, isListening, runServer } from './run-server.ts';

const run = promisify(execFile);

/** Where somebody logs in. */
export interface PostgresLogin {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly username: string;
  readonly password: string;
}

export interface PostgresServer {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly pid: number;
  readonly exited: Promise<unknown>;
  /** Connection URL of the superuser; secret. */
  readonly adminUrl: string;
  /** What OpenBao logs in as to make and end logins. */
  readonly openbaoLogin: PostgresLogin;
  stop(): Promise<void>;
}

/**
 * Starts a private PostgreSQL with the seeded database `orders` under `directory`, which must exist: loopback and a socket
 * in that folder only, a random port, SCRAM passwords made up here. Its data is meant to be thrown away.
 */
export async function startPostgres({ directory }: { readonly directory: string }): Promise<PostgresServer> {
  const bin = findPostgresBin();
  const home = join(directory, 'postgres');
  const data = join(home, 'data');
  const user = await unprivilegedUser();
  const privileges = user === undefined ? [] : await privilegesOf(user, directory);
  await mkdir(home, { mode: 0o700 });
  if (user !== undefined) await chown(home, user.uid, user.gid);
  const adminPassword = randomBytes(24).toString('hex');
  const openbaoPassword = randomBytes(24).toString('hex');
  await freshData({ bin, data, uid: user?.uid, asOwner: (command, args) => asUser(privileges, command, args), asSelf: (command, args) => asUser([], command, args) });

  const port = await freePort();
  const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: home, max_connections: 200, fsync: 'off', log_statement: 'none' };
  const server = await runServer(
    {
      command: join(bin, 'postgres'),
      args: ['-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
      cwd: '/',
      logFile: join(directory, 'postgres.log'),
      privileges,
      stopSignal: 'SIGINT',
    },
    () => isReady(bin, port),
  );

  // By the socket, which lies in a folder of the server's own: whoever is let in there needs no password.
  const psql = (database: string, args: readonly string[]): Promise<unknown> =>
    // Passwords go by the environment: the command line is visible to every user of the machine.
    asUser([], join(bin, 'psql'), ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', home, '-p', String(port), '-U', 'postgres', '-d', database, ...args], {
      ADMIN_PASSWORD: adminPassword,
      OPENBAO_PASSWORD: openbaoPassword,
    });
  try {
    await psql('postgres', ['-c', '\\getenv admin_password ADMIN_PASSWORD', '-f', join(import.meta.dirname, 'admin.sql')]);
    await psql('orders', ['-c', '\\getenv openbao_password OPENBAO_PASSWORD', '-f', join(import.meta.dirname, 'orders.sql')]);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const place = { host: '127.0.0.1', port, database: 'orders' };
  return {
    ...place,
    pid: server.pid, exited: server.exited,
    adminUrl: `postgresql://postgres:${adminPassword}@127.0.0.1:${port}/orders`,
    openbaoLogin: { ...place, username: 'openbao', password: openbaoPassword },
    stop: () => server.stop(),
  };
}

interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: the user it runs as then, or nothing where we are no root. */
async function unprivilegedUser(): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, name])).stdout)));
      if (uid !== undefined && gid !== undefined) return { name, uid, gid };
    } catch {
      // No such user here: the next one will do.
    }
  }
  throw new Error('PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`');
}

/** `setpriv` options to become that user; below a private folder it needs leave to walk through to its own. */
async function privilegesOf(user: SystemUser, directory: string): Promise<string[]> {
  const become = [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups'];
  const leave = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
  return (await isReachable(directory)) ? become : [...become, ...leave];
}

async function isReachable(path: string): Promise<boolean> {
  const { mode } = await stat(path);
  if ((mode & 0o001) === 0) return false;
  return path === dirname(path) || isReachable(dirname(path));
}

function asUser(privileges: readonly string[], command: string, args: readonly string[], env: Record<string, string> = {}): Promise<unknown> {
  const [file, all] = privileges.length === 0 ? [command, args] : ['setpriv', [...privileges, command, ...args]];
  return run(file, [...all], { cwd: '/', env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C', ...env } });
}

/** A server that still recovers already takes connections, only to turn them away: PostgreSQL's own word is asked (pg_isready(1)). */
async function isReady(bin: string, port: number): Promise<boolean> {
  if (!(await isListening(`tcp://127.0.0.1:${port}`))) return false;
  return asUser([], join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).then(
    () => true,
    () => false,
  );
}
