import { importJWK, type CryptoKey, type JWK, type KeyObject } from 'jose';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import type { OutboundFetch } from './outbound-fetch.ts';

export interface JwksSourceDeps {
  readonly fetch: OutboundFetch;
  readonly clock: Clock;
}

/** Keys are asked for again after this long. */
const MAX_AGE_MS = 600_000;
/** An unknown key id makes us ask again, at most this often: a flood of made-up ids must not become a flood of requests. */
const COOLDOWN_MS = 30_000;
/** With the issuer down, keys this old are still used; older ones are not, since a removed key would never be heard of. */
const MAX_STALE_MS = 3_600_000;

const discovery = z.object({ issuer: z.string(), jwks_uri: z.string() });
const keySet = z.object({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional(), alg: z.string().optional() })).max(100) });

interface Keys {
  readonly jwks: readonly JWK[];
  readonly fetchedMonotonicMs: number;
}

/**
 * The keys of one OpenID Connect issuer, by discovery (OpenID Connect Discovery 1.0 section 4). The document must name
 * the configured issuer byte for byte. Requests share one fetch; a rotated key costs one more.
 */
export class JwksSource {
  readonly #issuer: string;
  readonly #deps: JwksSourceDeps;
  #keys: Keys | undefined;
  #fetching: Promise<Keys> | undefined;
  #lastTryMonotonicMs = -Infinity;
  readonly #imported = new Map<string, Promise<CryptoKey | KeyObject>>();

  constructor(issuer: string, deps: JwksSourceDeps) {
    this.#issuer = issuer;
    this.#deps = deps;
  }

  /** Goes up whenever the set of keys changes, so that what was verified with an old set can be forgotten. */
  revision = 0;

  /** The key for a `kid`, or the only one that fits where the token names none. Throws `identity_unavailable`. */
  readonly keyFor = async (kid: string | undefined, algorithm: string): Promise<CryptoKey | KeyObject | undefined> => {
    const current = await this.#current();
    const found = pick(current.jwks, kid, algorithm);
    if (found !== undefined) return this.#import(found, algorithm);
    if (this.#deps.clock.monotonicMs() - this.#lastTryMonotonicMs < COOLDOWN_MS) return undefined;
    const fresh = pick((await this.#fetch().catch(() => current)).jwks, kid, algorithm);
    return fresh === undefined ? undefined : this.#import(fresh, algorithm);
  };

  async #current(): Promise<Keys> {
    const nowMs = this.#deps.clock.monotonicMs();
    const keys = this.#keys;
    if (keys !== undefined && nowMs - keys.fetchedMonotonicMs < MAX_AGE_MS) return keys;
    // With usable keys in hand, a down issuer is asked now and then, not at every call.
    if (keys !== undefined && nowMs - keys.fetchedMonotonicMs < MAX_STALE_MS && nowMs - this.#lastTryMonotonicMs < COOLDOWN_MS) return keys;
    try {
      return await this.#fetch();
    } catch (cause) {
      if (keys !== undefined && nowMs - keys.fetchedMonotonicMs < MAX_STALE_MS) return keys;
      throw new Problem('identity_unavailable', 'the keys of the token\'s issuer cannot be had', { cause, retryAfterSeconds: 5 });
    }
  }

  #fetch(): Promise<Keys> {
    this.#fetching ??= this.#load().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #load(): Promise<Keys> {
    this.#lastTryMonotonicMs = this.#deps.clock.monotonicMs();
    const document = discovery.parse(await this.#json(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`));
    if (document.issuer !== this.#issuer) throw new TypeError('the discovery document names another issuer');
    const { keys } = keySet.parse(await this.#json(document.jwks_uri));
    const jwks = keys.filter((key) => key.use === undefined || key.use === 'sig') as JWK[];
    if (JSON.stringify(jwks) !== JSON.stringify(this.#keys?.jwks)) {
      this.revision += 1;
      this.#imported.clear();
    }
    this.#keys = { jwks, fetchedMonotonicMs: this.#deps.clock.monotonicMs() };
    return this.#keys;
  }

  async #json(url: string): Promise<unknown> {
    const { status, body } = await this.#deps.fetch(url);
    if (status !== 200) throw new TypeError(`the issuer answered ${status}`);
    return JSON.parse(body) as unknown;
  }

  #import(jwk: JWK, algorithm: string): Promise<CryptoKey | KeyObject> {
    const name = `${jwk.kid ?? ''}\n${algorithm}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const imported = importPublic(jwk, algorithm);
    this.#imported.set(name, imported);
    return imported;
  }
}

/** Imports a public key; a symmetric or private one never serves to verify. */
export async function importPublic(jwk: JWK, algorithm: string): Promise<CryptoKey | KeyObject> {
  const key = await importJWK(jwk, algorithm);
  if (key instanceof Uint8Array) throw new TypeError('not a public key');
  return key;
}

/** Key types that fit an algorithm (RFC 7518 section 3.1, RFC 8037). */
export function fits(jwk: JWK, algorithm: string): boolean {
  if (jwk.alg !== undefined && jwk.alg !== algorithm) return false;
  if (algorithm.startsWith('ES')) return jwk.kty === 'EC' && jwk.crv === { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[algorithm];
  if (algorithm === 'EdDSA') return jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
  return jwk.kty === 'RSA';
}

function pick(jwks: readonly JWK[], kid: string | undefined, algorithm: string): JWK | undefined {
  const candidates = jwks.filter((jwk) => (kid === undefined || jwk.kid === kid) && fits(jwk, algorithm));
  // Two keys under one name, or no name and several keys: which was meant cannot be known, so none.
  return candidates.length === 1 ? candidates[0] : undefined;
}
