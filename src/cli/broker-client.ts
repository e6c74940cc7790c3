import { readFileSync } from 'node:fs';
import { systemClock } from '../core/clock.ts';
import { connectionSettings, type Caller, type ConnectionFlags, type ConnectionSettings, type Surroundings } from './connection-settings.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { countdown, printable, say } from './output.ts';
import { problemError } from './problem-error.ts';
import { tlsFetch } from './tls-fetch.ts';
import { traceRequest } from './trace-request.ts';

export type { Caller, ConnectionFlags } from './connection-settings.ts';

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface BrokerClient {
  /** `idempotencyKey`: sent with a call that grants, so that sending it again grants nothing more. */
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, idempotencyKey?: string): Promise<Answer>;
  /** The same answer, once the task has left its state or that many seconds have passed (RFC 7240). */
  waitFor(path: string, seconds: number): Promise<Answer>;
  /** An answer that goes on, such as server-sent events; its body is the caller's to read, and `signal` ends it. */
  stream(path: string, signal: AbortSignal, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** The broker's time, as its last answer told it, ms since the epoch: countdowns go by it. */
  nowMs(): number;
}

const TIMEOUT_MS = 30_000;
const SIGN_IN_AGAIN = 'sign in again: mayfly login';

interface Connection {
  readonly address: string;
  readonly source: string;
  readonly authorization: () => string | undefined;
  /** Whether the token is what `mayfly login` got. */
  readonly isLogin: boolean;
  readonly fetch: typeof fetch;
}

interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A client for one broker: which, and with what, is looked up at its first call (`connectionSettings`). Every call throws `CliError`. */
export const createBrokerClient = (flags: ConnectionFlags, caller: Caller, surroundings: Surroundings = { env: process.env, folder: process.cwd() }): BrokerClient =>
  clientOf(async () => connect(await connectionSettings(flags, caller, surroundings), caller));

/** The same for a broker and a token that are known. */
export const brokerClientWith = (settings: ConnectionSettings): BrokerClient => clientOf(() => connect(settings, 'operator'));

function clientOf(connecting: () => Promise<Connection>): BrokerClient {
  let connection: Promise<Connection> | undefined;
  let aheadMs = 0;

  async function send({ method, path, body, headers = {}, signal }: Request): Promise<Response> {
    connection ??= connecting();
    const { address, source, authorization, isLogin, fetch: fetchWith } = await connection;
    const bearer = authorization();
    let response: Response;
    try {
      const asking = fetchWith(new URL(path, address), {
        method,
        redirect: 'error',
        signal,
        headers: { ...(bearer === undefined ? {} : { Authorization: bearer }), ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      response = await traceRequest(asking, { method, path });
    } catch (error) {
      if (error instanceof CliError) throw error;
      if (error instanceof DOMException && error.name === 'TimeoutError') {
        throw new CliError(EXIT.pending, `the broker at ${address} did not answer within ${TIMEOUT_MS / 1000} s; what was asked may still happen`);
      }
      throw new CliError(EXIT.upstream, `no broker answers at ${address} (from ${source})${why(error)}`, 'start one with `npm start`, or name another with --addr');
    }
    aheadMs = clockDifference(response.headers.get('date'), systemClock.now());
    if (!response.ok) {
      const problem = problemError(response.status, (await response.json().catch(() => ({}))) as Record<string, unknown>);
      throw isLogin && response.status === 401 ? new CliError(problem.exitCode, ...problem.lines, SIGN_IN_AGAIN) : problem;
    }
    return response;
  }
  const ask = async (method: Request['method'], path: string, body: object | undefined, headers: Readonly<Record<string, string>>): Promise<Answer> => {
    const response = await send({ method, path, body, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    return { status: response.status, body: (await response.json().catch(() => ({}))) as Record<string, unknown> };
  };

  return {
    call: (method, path, body, idempotencyKey) => ask(method, path, body, idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
    waitFor: (path, seconds) => ask('GET', path, undefined, { Prefer: `wait=${seconds}` }),
    stream: (path, signal, headers = {}) => send({ method: 'GET', path, headers, signal }),
    nowMs: () => systemClock.now() + aheadMs,
  };
}

async function connect({ addr, tokenFile, token, login, certFile, keyFile, caFile }: ConnectionSettings, caller: Caller): Promise<Connection> {
  if (tokenFile !== undefined && tokenFile.origin === addr.origin && addr.origin.endsWith('dev.json')) say(`using the development ${caller}'s token of ${addr.origin}`);
  const tls = certFile !== undefined || caFile !== undefined;
  return {
    address: addr.value,
    source: addr.origin,
    authorization: login === undefined ? authorizationOf(tokenFile?.value, token?.value) : () => loginAuthorization(login, addr.value),
    isLogin: login !== undefined,
    fetch: tls ? await tlsFetch({ certFile: certFile?.value, keyFile: keyFile?.value, caFile: caFile?.value }) : fetch,
  };
}

/** What to send now: a file is read for each call, since whoever keeps it writes it anew before it expires. */
function authorizationOf(file: string | undefined, token: string | undefined): () => string | undefined {
  if (file === undefined) return () => (token === undefined ? undefined : `Bearer ${token.trim()}`);
  const first = readToken(file);
  return () => `Bearer ${file === '-' ? first : readToken(file)}`;
}

function loginAuthorization({ value, expiresAt }: NonNullable<ConnectionSettings['login']>, address: string): string {
  const nowMs = systemClock.now();
  if (Date.parse(expiresAt) <= nowMs) throw new CliError(EXIT.auth, `your sign-in to ${address} expired ${countdown(expiresAt, nowMs)}`, SIGN_IN_AGAIN);
  return `Bearer ${value}`;
}

function readToken(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8').trim();
  } catch {
    throw new CliError(EXIT.usage, `the token file ${path} cannot be read`);
  }
}

/** What is wrong with the connection, where it is more than nobody listening: a certificate above all. */
function why(error: unknown): string {
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown };
  return typeof code === 'string' && code !== 'ECONNREFUSED' ? `: ${printable(code)}` : '';
}

/** How far the broker's clock is ahead. A `Date` has whole seconds and the answer was some time on its way: a second is none. */
function clockDifference(date: string | null, nowMs: number): number {
  const aheadMs = date === null ? 0 : Date.parse(date) - nowMs;
  return Math.abs(aheadMs) > 1_500 ? aheadMs : 0;
}
