import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RunningBroker } from './running-broker.ts';

const run = promisify(execFile);
export const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');

/** So that no settings of whoever runs the tests are found. */
export const NOBODYS_HOME = '/nonexistent';

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the command line against a running broker, with a bearer token in a file and nothing of this process's environment but
 * the path. Rejects with `code`, `stdout` and `stderr` where it fails.
 */
export async function runMayfly(broker: RunningBroker, token: { readonly of: string; readonly jwt: string }, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const file = join(broker.stack.directory, `${token.of.replace(':', '-')}-token`);
  await writeFile(file, token.jwt, { mode: 0o600 });
  return runMayflyAlone([...args, '--addr', broker.url, '--token-file', file], { env });
}

/** The same with nothing but what is in `args`. */
export function runMayflyAlone(args: readonly string[], { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {}): Promise<Ran> {
  return run(process.execPath, [LAUNCHER, ...args], { cwd, env: { PATH: process.env['PATH'] ?? '', HOME: NOBODYS_HOME, ...env } });
}
