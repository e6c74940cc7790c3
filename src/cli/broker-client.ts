import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemClock } from '../core/clock.ts';
import { CliError, EXIT, exitCodeFor } from './exit-codes.ts';
import { printable, say } from './output.ts';

/** How to reach the broker, as every command takes it. */
export interface ConnectionFlags {
  readonly addr?: string;
  readonly tokenFile?: string;
}

/** Whose token a command needs, where a development stack offers several. */
export type Caller = 'agent' | 'operator';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface BrokerClient {
  /** `idempotencyKey`: sent with a call that grants, so that sending it again grants nothing more. */
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, idempotencyKey?: string): Promise<Answer>;
  /** The same answer, once the task has left its state or that many seconds have passed (RFC 7240). */
  waitFor(path: string, seconds: number): Promise<Answer>;
  /** The broker's time, as its last answer told it, ms since the epoch: countdowns go by it. */
  nowMs(): number;
}

interface DevStack {
  readonly url: string;
  readonly agent_token_file: string;
  readonly operator_token_file: string;
}

const TIMEOUT_MS = 30_000;

/**
 * A client for one broker. Address: `--addr`, `MAYFLY_ADDR`, else a development stack in this folder or above it. Token:
 * `--token-file` (`-` for standard input), `MAYFLY_TOKEN_FILE`, `MAYFLY_TOKEN`, else that stack's.
 */
export function createBrokerClient(flags: ConnectionFlags, caller: Caller, env: NodeJS.ProcessEnv = process.env): BrokerClient {
  const dev = findDevStack(process.cwd());
  const named = flags.addr ?? env['MAYFLY_ADDR'];
  const source = flags.addr !== undefined ? '--addr' : env['MAYFLY_ADDR'] !== undefined ? 'MAYFLY_ADDR' : (dev?.path ?? '');
  const address = safeAddress(named ?? dev?.stack.url, source);
  // A development stack's tokens are for that stack: they never go to an address from elsewhere.
  const ownTokens = dev !== undefined && (named === undefined || new URL(named).origin === new URL(dev.stack.url).origin) ? dev : undefined;
  const token = tokenReader(flags, caller, env, ownTokens);
  let aheadMs = 0;

  async function ask(method: 'GET' | 'POST' | 'DELETE', path: string, body: object | undefined, headers: Readonly<Record<string, string>>): Promise<Answer> {
    let response: Response;
    try {
      response = await fetch(new URL(path, address), {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
        headers: { Authorization: `Bearer ${token()}`, ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'TimeoutError') {
        throw new CliError(EXIT.pending, `the broker at ${address} did not answer within ${TIMEOUT_MS / 1000} s; what was asked may still happen`);
      }
      throw new CliError(EXIT.upstream, `no broker answers at ${address} (from ${source})`, 'start one with `npm start`, or name another with --addr');
    }
    aheadMs = clockDifference(response.headers.get('date'), systemClock.now());
    const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    if (!response.ok) throw problemError(response.status, answer);
    return { status: response.status, body: answer };
  }

  return {
    call: (method, path, body, idempotencyKey) => ask(method, path, body, idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
    waitFor: (path, seconds) => ask('GET', path, undefined, { Prefer: `wait=${seconds}` }),
    nowMs: () => systemClock.now() + aheadMs,
  };
}

/** How far the broker's clock is ahead. A `Date` has whole seconds and the answer was some time on its way: a second is none. */
function clockDifference(date: string | null, nowMs: number): number {
  const aheadMs = date === null ? 0 : Date.parse(date) - nowMs;
  return Math.abs(aheadMs) > 1_500 ? aheadMs : 0;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Throws where there is no address, or one that would carry the token in the clear. */
function safeAddress(address: string | undefined, source: string): string {
  if (address === undefined) {
    throw new CliError(EXIT.usage, 'no broker is named: use --addr or MAYFLY_ADDR, or run `npm start` here for a development stack');
  }
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new CliError(EXIT.usage, `${printable(address)} (from ${source}) is not an http or https URL`);
  if (url.username !== '' || url.password !== '') throw new CliError(EXIT.usage, `the address from ${source} must not hold a user or a password`);
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    throw new CliError(EXIT.usage, `${address} (from ${source}) is plain http: the token would be readable on its way; use https`);
  }
  return address;
}

/** Answers the token to send now: a file is read for each call, since whoever keeps it writes it anew before it expires. */
function tokenReader(flags: ConnectionFlags, caller: Caller, env: NodeJS.ProcessEnv, dev: FoundStack | undefined): () => string {
  const file = flags.tokenFile ?? env['MAYFLY_TOKEN_FILE'];
  const given = env['MAYFLY_TOKEN'];
  if (file === undefined && given !== undefined) return () => given.trim();
  if (file === undefined && dev !== undefined) say(`using the development ${caller}'s token of ${dev.path}`);
  const path = file ?? (caller === 'agent' ? dev?.stack.agent_token_file : dev?.stack.operator_token_file);
  if (path === undefined) throw new CliError(EXIT.usage, 'no token is named: use --token-file, MAYFLY_TOKEN_FILE or MAYFLY_TOKEN');
  const first = readToken(path);
  return path === '-' ? () => first : () => readToken(path);
}

function readToken(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').trim();
  } catch {
    throw new CliError(EXIT.usage, `the token file ${path} cannot be read`);
  }
}

interface FoundStack {
  readonly stack: DevStack;
  readonly path: string;
}

/** The development stack that was started in this folder or in one above it, by this user: anybody can write below /tmp. */
function findDevStack(folder: string): FoundStack | undefined {
  for (let at = resolve(folder); ; at = resolve(at, '..')) {
    const path = join(at, '.mayfly/dev.json');
    if (statSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.()) return { stack: readDevStack(path), path };
    if (at === resolve(at, '..')) return undefined;
  }
}

function readDevStack(path: string): DevStack {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as DevStack;
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read; start the development stack again, or use --addr and --token-file`);
  }
}

/** A problem document in words: what, why, which fields, and the id that finds it in the broker's log. */
function problemError(status: number, body: Record<string, unknown>): CliError {
  const text = (key: string): string => (typeof body[key] === 'string' ? body[key] : '');
  const faults = Array.isArray(body['errors']) ? (body['errors'] as { pointer: string; detail: string }[]) : [];
  const decision = body['decision'] as { id?: string; policies?: readonly string[] } | undefined;
  return new CliError(
    exitCodeFor(status, text('code')),
    `${text('title') || `the broker answered ${status}`}: ${text('detail')}`,
    ...faults.map(({ pointer, detail }) => `  ${pointer || '/'} ${detail}`),
    ...(decision?.id === undefined ? [] : [`  decision ${decision.id}${(decision.policies ?? []).length > 0 ? ` by ${(decision.policies ?? []).join(', ')}` : ''}`]),
    ...(text('request_id') === '' ? [] : [`  request ${text('request_id')}`]),
  );
}
