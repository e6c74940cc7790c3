import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CliError, EXIT } from './exit-codes.ts';
import { isLoopback } from './safe-address.ts';

export interface DevStack {
  readonly url: string;
  readonly agent_token_file: string;
  readonly operator_token_file: string;
  readonly admin_token_file: string;
}

export interface FoundStack {
  readonly stack: DevStack;
  readonly path: string;
}

/**
 * The development stack that was started in this folder or in one above it, by this user: anybody can write below /tmp. One never runs
 * elsewhere than on this machine, so that a file in a repository that somebody else made cannot send our tokens away.
 */
export function findDevStack(folder: string): FoundStack | undefined {
  for (let at = resolve(folder); ; at = resolve(at, '..')) {
    const path = join(at, '.mayfly/dev.json');
    if (statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()) return { stack: readDevStack(path), path };
    if (at === resolve(at, '..')) return undefined;
  }
}

function readDevStack(path: string): DevStack {
  let stack: DevStack;
  try {
    stack = JSON.parse(readFileSync(path, 'utf8')) as DevStack;
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read; start the development stack again, or use --addr and --token-file`);
  }
  const url = URL.parse(stack.url);
  if (url === null || !isLoopback(url.hostname)) throw new CliError(EXIT.usage, `${path} names a broker that is not on this machine; a development stack is`);
  return stack;
}
