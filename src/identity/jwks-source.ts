import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import type { OutboundFetch } from './outbound-fetch.ts';
import { PublicKeys, usableJwks, type KeyLog } from './public-keys.ts';
import type { KeyResolver } from './verify-token.ts';

export interface JwksSourceDeps {
  readonly fetch: OutboundFetch;
  readonly clock: Clock;
  readonly log: KeyLog;
}

/** Keys are asked for again after this long. */
const MAX_AGE_MS = 600_000;
/** An unknown key id makes us ask again, at most this often: a flood of made-up ids must not become a flood of requests. */
const COOLDOWN_MS = 30_000;
/** With no keys to go on with, we ask more often, so that an issuer that comes back is usable at once. */
const RETRY_MS = 1_000;
/** With the issuer down, keys this old are still used; older ones are not, since a removed key would never be heard of. */
const MAX_STALE_MS = 3_600_000;
/** For the discovery document and the keys together; callers wait for it. */
const LOAD_MS = 5_000;
/** No honest issuer publishes more; choosing among them costs time at every new token. */
const MAX_KEYS = 100;

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string() });
const keySet = z.object({ keys: z.array(z.unknown()).max(MAX_KEYS) });

/** Where an issuer publishes its keys: in a document that names them, or at an address that is known. */
export type KeyLocation = { readonly document: string } | { readonly jwks: string };

/** OpenID Connect Discovery 1.0 section 4. */
const openidConfiguration = (issuer: string): KeyLocation => ({ document: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` });

/**
 * The keys of one issuer: by OpenID Connect discovery, or where it is said to publish them. A document must name
 * the configured issuer byte for byte. Callers share one request; a rotated key costs one more.
 */
export class JwksSource {
  readonly #issuer: string;
  readonly #deps: JwksSourceDeps;
  readonly #location: KeyLocation;
  #published = '';
  #keys = new PublicKeys([]);
  #fetchedMs = -Infinity;
  #triedMs = -Infinity;
  #failure: unknown;
  #loading: Promise<void> | undefined;

  constructor(issuer: string, deps: JwksSourceDeps, location: KeyLocation = openidConfiguration(issuer)) {
    this.#issuer = issuer;
    this.#deps = deps;
    this.#location = location;
  }

  /** The key in force for a `kid` and algorithm. Throws `identity_unavailable` where that cannot be known now. */
  readonly keyFor: KeyResolver = async (kid, algorithm) => {
    const ageMs = this.#ageMs();
    // While one caller waits for newer keys, the others go on with those at hand, if they may still be used.
    if (ageMs >= MAX_STALE_MS || (ageMs >= MAX_AGE_MS && this.#loading === undefined)) await this.#refresh();
    if (this.#ageMs() >= MAX_STALE_MS) throw this.#unavailable();
    const known = await this.#keys.find(kid, algorithm);
    if (known !== undefined) return known;
    await this.#refresh();
    const found = await this.#keys.find(kid, algorithm);
    // With the issuer down, nobody can tell a made-up name from that of a new key.
    if (found === undefined && this.#failure !== undefined) throw this.#unavailable();
    return found;
  };

  #ageMs(): number {
    return this.#deps.clock.monotonicMs() - this.#fetchedMs;
  }

  #unavailable(): Problem {
    return new Problem('identity_unavailable', "the keys of the token's issuer cannot be had", { cause: this.#failure, retryAfterSeconds: 5 });
  }

  /** Asks the issuer, unless it was asked just now; joins a request that is under way. Never throws. */
  #refresh(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading;
    const nowMs = this.#deps.clock.monotonicMs();
    const pauseMs = this.#ageMs() >= MAX_STALE_MS ? RETRY_MS : COOLDOWN_MS;
    if (nowMs - this.#triedMs < pauseMs) return Promise.resolve();
    this.#triedMs = nowMs;
    this.#loading = this.#load(nowMs).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(startedMs: number): Promise<void> {
    try {
      const signal = AbortSignal.timeout(LOAD_MS);
      const published = await this.#get('jwks' in this.#location ? this.#location.jwks : await this.#discover(this.#location.document, signal), signal);
      if (published !== this.#published) {
        const jwks = usableJwks(keySet.parse(JSON.parse(published)).keys);
        this.#keys = new PublicKeys(jwks.filter(({ use }) => use === undefined || use === 'sig'));
        this.#published = published;
      }
      this.#fetchedMs = startedMs;
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
      this.#deps.log.warn({ issuer: this.#issuer, err: error }, "the issuer's keys cannot be fetched");
    }
  }

  async #discover(url: string, signal: AbortSignal): Promise<string> {
    const document = discovery.parse(JSON.parse(await this.#get(url, signal)));
    if (document.issuer !== this.#issuer) throw new TypeError('the discovery document names another issuer');
    return document.jwks_uri;
  }

  async #get(url: string, signal: AbortSignal): Promise<string> {
    const { status, body } = await this.#deps.fetch(url, { signal });
    if (status !== 200) throw new TypeError(`the issuer answered ${status}`);
    return body;
  }
}
