import { readFileSync } from 'node:fs';
import nodeVault from 'node-vault';
import { Agent, request as send } from 'undici';
import type { z } from 'zod';
import type { Secret } from '../../core/secret.ts';
import { withDeadline } from '../../core/with-deadline.ts';
import { inSpan, tracingHeaders } from '../../telemetry/in-span.ts';

/** What went wrong, as far as it decides anything. The target's own text stops here: it could hold a secret. */
export type VaultFault = 'invalid_lease' | 'invalid_accessor' | 'token_not_found' | 'other';

/**
 * A call that failed. It holds neither the token nor a body, in either direction, so it can be logged as it is.
 * `mayHaveActed` is true where the target may have done what was asked all the same: a timeout after sending, a
 * connection that broke, an error of its own.
 */
export class VaultFailure extends Error {
  override readonly name = 'VaultFailure';
  /** The HTTP status, or null where there was no answer. */
  readonly status: number | null;
  readonly fault: VaultFault;
  readonly mayHaveActed: boolean;

  constructor(message: string, facts: { status: number | null; fault?: VaultFault; mayHaveActed: boolean }) {
    super(message);
    this.status = facts.status;
    this.fault = facts.fault ?? 'other';
    this.mayHaveActed = facts.mayHaveActed;
  }
}

export interface VaultRequest<T> {
  readonly method: 'GET' | 'POST' | 'LIST';
  /** Below `/v1/`, already encoded. */
  readonly path: string;
  readonly body?: object;
  readonly token?: Secret;
  /** Asks for the answer wrapped, for so long. */
  readonly wrapTtlSeconds?: number;
  /** What the answer must look like; anything else is a failure. */
  readonly answer: z.ZodType<T>;
  readonly signal: AbortSignal;
}

export interface VaultClientOptions {
  readonly address: string;
  readonly namespace?: string | undefined;
  /** PEM certificates to trust instead of the system's. */
  readonly caFile?: string | undefined;
  /** For each request, from the call to the last byte. */
  readonly timeoutMs: number;
}

/** No answer we ask for is near this; a target gone wrong must not fill our memory. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/**
 * One target, over kept-alive connections: the only user of node-vault. Its transport is replaced, which cures what
 * node-vault 0.12 gets wrong: 202 is a success, every request has a timeout and honours its signal, nothing is
 * redirected with a token on it, and errors hold neither token nor body. Its debug output, which prints bodies, is off,
 * and `VAULT_*` variables of the environment are not heard.
 */
export class VaultClient {
  readonly #agent: Agent;
  readonly #vault: nodeVault.client;
  readonly #timeoutMs: number;

  constructor(options: VaultClientOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#agent = new Agent({
      // Time is kept by the signal alone, so that there is one answer to how long a call can take.
      headersTimeout: 0,
      bodyTimeout: 0,
      maxResponseSize: MAX_ANSWER_BYTES,
      connect: { timeout: options.timeoutMs, ...(options.caFile === undefined ? {} : { ca: readFileSync(options.caFile, 'utf8') }) },
    });
    this.#vault = nodeVault({
      endpoint: options.address,
      debug: () => undefined,
      'request-promise': { defaults: () => (call: TransportCall) => this.#transmit(call) },
    });
    this.#vault.token = '';
    Object.assign(this.#vault, { namespace: options.namespace ?? '', pathPrefix: '' });
  }

  /** Makes one call. Throws `VaultFailure`. Its span says the method alone: a path can hold what a caller chose. */
  request<T>(call: VaultRequest<T>): Promise<T> {
    return inSpan('vault', { calls: true, facts: { 'rpc.system': 'vault', 'http.request.method': call.method } }, () => this.#request(call));
  }

  async #request<T>({ method, path, body, token, wrapTtlSeconds, answer, signal }: VaultRequest<T>): Promise<T> {
    const received: unknown = await this.#vault.request({
      method,
      path: `/${path}`,
      signal,
      ...(body === undefined ? {} : { json: body }),
      headers: {
        ...tracingHeaders(),
        ...(token === undefined ? {} : { 'X-Vault-Token': token.expose() }),
        ...(wrapTtlSeconds === undefined ? {} : { 'X-Vault-Wrap-TTL': `${wrapTtlSeconds}s` }),
      },
    });
    const parsed = answer.safeParse(received);
    if (!parsed.success) throw new VaultFailure('the target gave an answer of an unknown form', { status: 200, mayHaveActed: true });
    return parsed.data;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** node-vault's hook for its HTTP library; whatever comes back from here it takes for a success. */
  async #transmit({ method, uri, headers, json, signal }: TransportCall): Promise<TransportAnswer> {
    const { status, text } = await this.#exchange(method, uri, headers, json, signal);
    if (status < 200 || status >= 300) throw answerFailure(status, text);
    return { statusCode: 200, body: parseJson(text), request: { path: '' } };
  }

  async #exchange(
    method: string,
    uri: string,
    headers: Record<string, string>,
    json: object | undefined,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    try {
      return await withDeadline(this.#timeoutMs, signal, async (bounded) => {
        const answer = await send(uri, {
          method,
          headers: { ...headers, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
          body: json === undefined ? null : JSON.stringify(json),
          dispatcher: this.#agent,
          signal: bounded,
        });
        return { status: answer.statusCode, text: await answer.body.text() };
      });
    } catch (error) {
      throw transportFailure(error, signal);
    }
  }
}

interface TransportCall {
  readonly method: string;
  readonly uri: string;
  readonly headers: Record<string, string>;
  readonly json?: object;
  readonly signal: AbortSignal;
}

interface TransportAnswer {
  readonly statusCode: number;
  readonly body: unknown;
  readonly request: { readonly path: string };
}

/** Codes of errors from before a connection stood: nothing was sent, so nothing was done. */
const NEVER_SENT = new Set([
  'ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'ERR_INVALID_URL',
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID',
]);

function transportFailure(error: unknown, signal: AbortSignal): VaultFailure {
  if (signal.aborted) return new VaultFailure('the call was given up', { status: null, mayHaveActed: true });
  const { name, code } = error as { name?: unknown; code?: unknown };
  if (name === 'TimeoutError') return new VaultFailure('the target did not answer in time', { status: null, mayHaveActed: true });
  const reason = typeof code === 'string' ? code : 'unknown';
  return new VaultFailure(`the target could not be reached (${reason})`, { status: null, mayHaveActed: !NEVER_SENT.has(reason) });
}

function answerFailure(status: number, text: string): VaultFailure {
  // 429 and 503 (sealed) are said before anything is done; any other 5xx may come after it.
  const mayHaveActed = status >= 500 && status !== 503;
  return new VaultFailure(`the target answered ${status}`, { status, fault: faultIn(status, text), mayHaveActed });
}

/** Only a 400 says that a thing does not exist: a 403 may be a lost right, and must never pass for it. */
function faultIn(status: number, text: string): VaultFault {
  if (status !== 400) return 'other';
  const said = parseJson(text);
  const errors: unknown = typeof said === 'object' && said !== null && 'errors' in said ? said.errors : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (typeof first !== 'string') return 'other';
  // Alone, or as `1 error occurred:\n\t* invalid lease`.
  const reason = /^(?:1 error occurred:\s+\*\s+)?(invalid lease|invalid accessor|token not found)\s*$/.exec(first)?.[1];
  switch (reason) {
    case 'invalid lease':
      return 'invalid_lease';
    case 'invalid accessor':
      return 'invalid_accessor';
    case 'token not found':
      return 'token_not_found';
    default:
      return 'other';
  }
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
