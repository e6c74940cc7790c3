import type { Config } from '../config/config-schema.ts';
import { JwksSource } from './jwks-source.ts';
import type { TrustBundle } from './trust-bundle.ts';
import { createTrustBundles, type TrustBundlesDeps } from './trust-bundles.ts';
import type { KeyResolver } from './verify-token.ts';

/** Whose keys tokens are verified with. */
export interface KeySources {
  /** The keys of an OpenID Connect issuer: the same source for whoever asks, and each source asks its issuer by itself. */
  readonly issuerKeys: (issuer: string) => KeyResolver;
  /** The bundle of every configured trust domain, by its name. */
  readonly bundles: ReadonlyMap<string, TrustBundle>;
}

/**
 * One source of keys for each issuer and each trust domain. Whoever verifies tokens in a broker shares them: two sources for one
 * issuer would be asked twice, and a key that was withdrawn would be gone for one and good for the other.
 */
export function createKeySources(domains: Config['identity']['trust_domains'], deps: TrustBundlesDeps): KeySources {
  const { outboundFetch: fetch, clock, log } = deps;
  const sources = new Map<string, JwksSource>();
  return {
    bundles: createTrustBundles(domains, deps),
    issuerKeys(issuer) {
      const source = sources.get(issuer) ?? new JwksSource(issuer, { fetch, clock, log });
      sources.set(issuer, source);
      return source.keyFor;
    },
  };
}
