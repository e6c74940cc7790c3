import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CliError, EXIT } from '../exit-codes.ts';

/** A token that `mayfly login` got, and the one broker that it is sent to. */
export interface StoredLogin {
  /** The origin of the broker. */
  readonly address: string;
  /** Secret. */
  readonly token: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** Where logins are kept: state of this machine, not settings to carry elsewhere (XDG Base Directory Specification). */
const folderOf = (env: NodeJS.ProcessEnv): string => join(env['XDG_STATE_HOME'] || join(env['HOME'] ?? homedir(), '.local/state'), 'mayfly/logins');

/** The file that holds the login at a broker. */
export const loginPath = (address: string, env: NodeJS.ProcessEnv): string => join(folderOf(env), `${encodeURIComponent(address)}.json`);

/** Keeps a login in place of the one before, in one step: nobody reads half a token. For its owner's eyes alone. */
export function keepLogin({ address, token, expiresAt }: StoredLogin, env: NodeJS.ProcessEnv): void {
  const path = loginPath(address, env);
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    mkdirSync(folderOf(env), { recursive: true, mode: 0o700 });
    writeFileSync(fresh, `${JSON.stringify({ address, token, expires_at: expiresAt })}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(fresh, path);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw new CliError(EXIT.failure, `the login cannot be kept in ${path}: ${(error as NodeJS.ErrnoException).code ?? 'it cannot be written'}`);
  }
}

/** The login at a broker; undefined where there is none. Throws a usage error for a file that is not this user's alone, or no login. */
export function readLogin(address: string, env: NodeJS.ProcessEnv): StoredLogin | undefined {
  const path = loginPath(address, env);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.uid !== process.getuid?.() || (stat.mode & 0o077) !== 0) throw new CliError(EXIT.usage, `${path} is open to others; it is not used: remove it, and run \`mayfly login\``);
  try {
    const { address: kept, token, expires_at: expiresAt } = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, unknown>>;
    if (kept === address && typeof token === 'string' && typeof expiresAt === 'string' && !Number.isNaN(Date.parse(expiresAt))) return { address, token, expiresAt };
  } catch {
    // Said below.
  }
  throw new CliError(EXIT.usage, `${path} holds no login: run \`mayfly login\``);
}

/** Forgets the login at a broker; false where there was none. */
export function forgetLogin(address: string, env: NodeJS.ProcessEnv): boolean {
  const path = loginPath(address, env);
  const wasThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
  rmSync(path, { force: true });
  return wasThere;
}

/** Forgets every login; answers how many there were. */
export function forgetEveryLogin(env: NodeJS.ProcessEnv): number {
  const folder = folderOf(env);
  if (statSync(folder, { throwIfNoEntry: false }) === undefined) return 0;
  const files = readdirSync(folder);
  for (const file of files) rmSync(join(folder, file), { force: true });
  return files.filter((file) => file.endsWith('.json')).length;
}
