import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Config } from '../config/config-schema.ts';
import { Problem } from '../core/problem.ts';
import type { Authenticator, Caller } from './caller.ts';
import { parseSpiffeId, posesAsSpiffeId } from './spiffe-id.ts';
import { oidcKind, operatorKind, svidKind, type TokenKind, type TokenKindDeps } from './token-kinds.ts';
import { refused, SKEW_SECONDS, unverifiedClaims, verifyToken } from './verify-token.ts';

export interface AuthenticatorDeps extends TokenKindDeps {
  readonly identity: Config['identity'];
  readonly operators: Config['operators'];
}

/** Verifying costs half a millisecond, a look here five microseconds, and the same token comes again and again. Never trusted longer than this. */
const CACHE_MS = 60_000;
const CACHE_TOKENS = 10_000;

interface Accepted {
  readonly caller: Caller;
  readonly keyStands: () => Promise<boolean>;
  readonly untilMonotonicMs: number;
}

/**
 * Proves who is calling. A token is judged by exactly one set of rules, chosen before it is verified: a SPIFFE subject
 * by its trust domain alone (Federation section 7.3), unless an OIDC issuer was given that subject by name; anything else
 * by its issuer. There is no second try with other keys.
 */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const kindFor = kindChooser(deps);
  // By digest: the cache holds no token.
  const cache = new LRUCache<string, Accepted>({ max: CACHE_TOKENS });

  async function stillGood({ caller, keyStands, untilMonotonicMs }: Accepted): Promise<boolean> {
    const expired = caller.tokenExpiresAtMs + SKEW_SECONDS * 1000 <= deps.clock.now();
    return !expired && deps.clock.monotonicMs() < untilMonotonicMs && (await keyStands());
  }

  return {
    async authenticate({ authorization }) {
      if (authorization?.scheme !== 'bearer') throw new Problem('invalid_token', 'send a token as `Authorization: Bearer <token>`');
      const { token } = authorization;
      const digest = createHash('sha256').update(token).digest('base64');
      const known = cache.get(digest);
      if (known !== undefined && (await stillGood(known))) return known.caller;
      cache.delete(digest);
      const kind = kindFor(unverifiedClaims(token));
      if (kind === undefined) throw refused('its issuer is not known here');
      const verified = await verifyToken(token, kind.expectation, deps.clock.now());
      const caller = kind.toCaller(verified);
      cache.set(digest, { caller, keyStands: verified.keyStands, untilMonotonicMs: deps.clock.monotonicMs() + CACHE_MS });
      return caller;
    },
  };
}

/** Chooses the rules for a token by what it says of itself; whether that is true, those rules decide. */
function kindChooser(deps: AuthenticatorDeps): (claims: JWTPayload) => TokenKind | undefined {
  const { identity, operators } = deps;
  const trustDomains = new Map(identity.trust_domains.map((domain) => [domain.name, svidKind(domain, identity.audience, deps)]));
  const issuers = new Map(identity.issuers.map((issuer) => [issuer.issuer, oidcKind(issuer, identity.audience, deps)]));
  issuers.set(operators.issuer, operatorKind(operators, deps));

  return ({ iss, sub }) => {
    const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
    if (typeof sub !== 'string' || !posesAsSpiffeId(sub) || issuer?.mayName(sub) === true) return issuer;
    return trustDomains.get(parseSpiffeId(sub)?.trustDomain ?? '');
  };
}
