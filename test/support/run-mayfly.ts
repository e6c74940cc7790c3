import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RunningBroker } from './running-broker.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');

/**
 * Runs the command line against a running broker, with a bearer token in a file and nothing of this process's environment but
 * the path. Rejects with `code`, `stdout` and `stderr` where it fails.
 */
export async function runMayfly(broker: RunningBroker, token: { readonly of: string; readonly jwt: string }, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const file = join(broker.stack.directory, `${token.of.replace(':', '-')}-token`);
  await writeFile(file, token.jwt, { mode: 0o600 });
  return run(process.execPath, [LAUNCHER, ...args, '--addr', broker.url, '--token-file', file], { env: { PATH: process.env['PATH'] ?? '', ...env } });
}
