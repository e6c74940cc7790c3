import { readFile } from 'node:fs/promises';
import type { VaultLoginConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import { ProviderError } from '../credential-provider.ts';
import * as answers from './vault-answers.ts';
import { VaultFailure, type VaultClient, type VaultRequest } from './vault-client.ts';

/** The broker's own standing at a target for one right: calls are made with its token. */
export interface VaultSession {
  /** Calls with the session's token, logging in anew once if that token has died. Throws `VaultFailure` or `ProviderError`. */
  call<T>(request: Omit<VaultRequest<T>, 'token'>): Promise<T>;
  /** The cluster logged in to. Throws `ProviderError` when not logged in. */
  clusterId(signal: AbortSignal): Promise<string>;
  close(): void;
}

export interface VaultLoginOptions {
  readonly provider: string;
  /** Which right this login is for; named in failures. */
  readonly right: string;
  readonly config: VaultLoginConfig;
  readonly client: VaultClient;
  readonly clock: Clock;
  readonly log?: { warn(fields: object, message: string): void };
  /** A JWT-SVID of the broker itself, where its SPIFFE agent gives one. */
  readonly jwtSvid?: JwtSvidSource | undefined;
}

export type JwtSvidSource = (audience: string, signal: AbortSignal) => Promise<Secret>;

interface Standing {
  readonly token: Secret;
  readonly clusterId: string;
  readonly renewable: boolean;
  /** As granted at the login, seconds; 0 never ends. A renewal that gives much less nears the end of all renewals. */
  readonly ttlSeconds: number;
  /** On the monotonic clock. */
  readonly endsAtMonotonicMs: number;
}

/** Renewed after this part of the lifetime: two more tries fit before it ends. */
const RENEW_AFTER = 2 / 3;
/** A renewal worth less than this part of a fresh login means the maximum is near: better log in anew. */
const WORTH_RENEWING = 1 / 2;
const RETRY_FIRST_MS = 250;
/** Short enough that a target which is back is used again soon, long enough to leave it alone while it starts. */
const RETRY_MAX_MS = 5_000;
/** What a timer can hold. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Logs in at once, renews at two thirds of the lifetime, logs in anew when renewing does not help, and tries again with
 * backoff and jitter while the target is away; a standing that still holds is kept meanwhile. Its timers keep no process alive.
 */
export class VaultLogin implements VaultSession {
  readonly #options: VaultLoginOptions;
  readonly #closed = new AbortController();
  #standing: Standing | undefined;
  #refreshing: Promise<void> | undefined;
  #failure: ProviderError | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: VaultLoginOptions) {
    this.#options = options;
    void this.#refresh();
  }

  async call<T>(request: Omit<VaultRequest<T>, 'token'>): Promise<T> {
    const { client } = this.#options;
    const { token } = await this.#hold(request.signal);
    try {
      return await client.request({ ...request, token });
    } catch (error) {
      // A 403 was not acted on, so asking again is safe, if it was our token and not our rights.
      if (!(error instanceof VaultFailure && error.status === 403) || !(await this.#hasDied(token, request.signal))) throw error;
      if (this.#standing?.token === token) this.#standing = undefined;
      await this.#refresh();
      return client.request({ ...request, token: (await this.#hold(request.signal)).token });
    }
  }

  async clusterId(signal: AbortSignal): Promise<string> {
    return (await this.#hold(signal)).clusterId;
  }

  close(): void {
    this.#closed.abort();
    clearTimeout(this.#timer);
    this.#standing = undefined;
    this.#failure = this.#unavailable('it is shut down');
  }

  /** The standing. Waits for a login under way, but not for the next try of one that failed. */
  async #hold(signal: AbortSignal): Promise<Standing> {
    const held = this.#valid();
    if (held !== undefined) return held;
    if (this.#refreshing !== undefined || this.#failures === 0) await unlessAborted(this.#refresh(), signal);
    const standing = this.#valid();
    if (standing === undefined) throw this.#failure ?? this.#unavailable('not yet');
    return standing;
  }

  #valid(): Standing | undefined {
    const standing = this.#standing;
    return standing !== undefined && this.#options.clock.monotonicMs() < standing.endsAtMonotonicMs ? standing : undefined;
  }

  /** Renews or logs in, one at a time. Never rejects: the outcome is in the fields. */
  #refresh(): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.resolve();
    this.#refreshing ??= this.#renewOrLogIn().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #renewOrLogIn(): Promise<void> {
    clearTimeout(this.#timer);
    const { provider, right, log, clock } = this.#options;
    try {
      const standing = (await this.#renewed()) ?? (await this.#loggedIn());
      if (this.#closed.signal.aborted) return;
      this.#standing = standing;
      this.#failure = undefined;
      this.#failures = 0;
      this.#refreshIn((standing.endsAtMonotonicMs - clock.monotonicMs()) * RENEW_AFTER);
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      this.#failures += 1;
      this.#failure = this.#unavailable(error instanceof Error ? error.message : 'failed', error);
      log?.warn({ provider, right, failures: this.#failures, err: this.#failure }, 'login at the provider failed; it will be tried again');
      const backoffMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (this.#failures - 1));
      this.#refreshIn(backoffMs * (0.5 + Math.random() / 2));
    }
  }

  #refreshIn(delayMs: number): void {
    if (delayMs === Infinity) return;
    this.#timer = setTimeout(() => void this.#refresh(), Math.min(delayMs, LONGEST_TIMER_MS));
    this.#timer.unref();
  }

  /** The standing prolonged, or undefined where only a new login helps. Throws when the target is away. */
  async #renewed(): Promise<Standing | undefined> {
    const standing = this.#valid();
    if (standing?.renewable !== true) return undefined;
    try {
      const { auth } = await this.#options.client.request({
        method: 'POST',
        path: 'auth/token/renew-self',
        body: {},
        token: standing.token,
        answer: answers.login,
        signal: this.#closed.signal,
      });
      if (auth.lease_duration < standing.ttlSeconds * WORTH_RENEWING) return undefined;
      return { ...standing, renewable: auth.renewable, endsAtMonotonicMs: this.#endOf(auth.lease_duration) };
    } catch (error) {
      // Whatever it answers (OpenBao says 500 at the maximum lifetime), a login of its own is the better try; only silence is not.
      if (error instanceof VaultFailure && error.status !== null) return undefined;
      throw error;
    }
  }

  async #loggedIn(): Promise<Standing> {
    const { client, config } = this.#options;
    const signal = this.#closed.signal;
    const { cluster_id: clusterId } = await client.request({ method: 'GET', path: HEALTH_PATH, answer: answers.health, signal });
    switch (config.method) {
      case 'approle': {
        const [role_id, secret_id] = await Promise.all([
          readCredentialFile(config.role_id_file, 'role_id_file'),
          readCredentialFile(config.secret_id_file, 'secret_id_file'),
        ]);
        const path = `auth/${config.mount}/login`;
        const { auth } = await client.request({ method: 'POST', path, body: { role_id, secret_id }, answer: answers.login, signal });
        return this.#standingOf(new Secret(auth.client_token), clusterId, auth.renewable, auth.lease_duration);
      }
      case 'jwt':
        return this.#loggedInByJwt(config, clusterId, await readCredentialFile(config.jwt_file, 'jwt_file'));
      case 'jwt_svid': {
        if (this.#options.jwtSvid === undefined) throw new Error('there is no Workload API to have a JWT-SVID from');
        return this.#loggedInByJwt(config, clusterId, (await this.#options.jwtSvid(config.audience, signal)).expose());
      }
      case 'kubernetes':
        return this.#loggedInByJwt(config, clusterId, await readCredentialFile(config.token_file, 'token_file'));
      case 'token_file': {
        const token = new Secret(await readCredentialFile(config.file, 'token file'));
        const { data } = await client.request({ method: 'GET', path: LOOKUP_SELF_PATH, token, answer: answers.ownToken, signal });
        return this.#standingOf(token, clusterId, data.renewable, data.ttl);
      }
      default:
        return config satisfies never;
    }
  }

  /** The methods are the same call: a role, and a token of the workload's own that the target verifies. */
  async #loggedInByJwt({ mount, role }: { readonly mount: string; readonly role: string }, clusterId: string, jwt: string): Promise<Standing> {
    const signal = this.#closed.signal;
    const { auth } = await this.#options.client.request({ method: 'POST', path: `auth/${mount}/login`, body: { role, jwt }, answer: answers.login, signal });
    return this.#standingOf(new Secret(auth.client_token), clusterId, auth.renewable, auth.lease_duration);
  }

  #standingOf(token: Secret, clusterId: string, renewable: boolean, ttlSeconds: number): Standing {
    return { token, clusterId, renewable, ttlSeconds, endsAtMonotonicMs: this.#endOf(ttlSeconds) };
  }

  #endOf(ttlSeconds: number): number {
    return ttlSeconds === 0 ? Infinity : this.#options.clock.monotonicMs() + ttlSeconds * 1000;
  }

  async #hasDied(token: Secret, signal: AbortSignal): Promise<boolean> {
    if (this.#standing?.token !== token) return true;
    try {
      await this.#options.client.request({ method: 'GET', path: LOOKUP_SELF_PATH, token, answer: answers.ownToken, signal });
      return false;
    } catch (error) {
      return error instanceof VaultFailure && error.status === 403;
    }
  }

  #unavailable(why: string, cause?: unknown): ProviderError {
    const { provider, right } = this.#options;
    return new ProviderError(provider, 'unavailable', `not logged in for ${right}: ${why}`, cause === undefined ? {} : { cause });
  }
}

/** Answers on a standby too, which passes requests on; not on a sealed or fresh node. */
export const HEALTH_PATH = 'sys/health?standbyok=true&perfstandbyok=true';
export const LOOKUP_SELF_PATH = 'auth/token/lookup-self';

/** Read at every login, so that a rotated file is taken up. The path is for the log (`cause`), not for callers. */
async function readCredentialFile(path: string, what: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    const { code } = cause as { code?: unknown };
    throw new Error(`its ${what} cannot be read (${typeof code === 'string' ? code : 'unknown'})`, { cause });
  }
  if (text === '') throw new Error(`its ${what} is empty`, { cause: new Error(path) });
  return text;
}

async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<undefined>();
  const give = (): void => aborted.resolve(undefined);
  signal.addEventListener('abort', give, { once: true });
  if (signal.aborted) give();
  await Promise.race([work, aborted.promise]);
  signal.removeEventListener('abort', give);
}
