import { createHash } from 'node:crypto';
import { decodeJwt, type JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Config, OidcIssuerConfig } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import { OPERATOR_ROLES, type Authenticator, type Caller, type OperatorRole, type Workload } from './caller.ts';
import { JwksSource } from './jwks-source.ts';
import type { OutboundFetch } from './outbound-fetch.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import { TrustBundle, type BundleLog } from './trust-bundle.ts';
import { refused, SKEW_SECONDS, verifyToken, type TokenExpectation, type VerifiedToken } from './verify-token.ts';

export interface AuthenticatorDeps {
  readonly identity: Config['identity'];
  readonly operators: Config['operators'];
  readonly outboundFetch: OutboundFetch;
  readonly clock: Clock;
  readonly log: BundleLog;
}

/** JWT-SVID section 2.1: EdDSA and HMAC are not among them. */
const SVID_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const SVID_TYPES = ['jwt', 'jose'];
const OIDC_TYPES = ['jwt', 'jose', 'at+jwt'];

/** Verifying costs a tenth of a millisecond; the same token comes again and again. Never trusted longer than this. */
const CACHE_MS = 60_000;
const CACHE_TOKENS = 10_000;

/** One kind of token: what it must be, and whom it makes of the caller. */
interface TokenKind {
  readonly expectation: TokenExpectation;
  readonly keys: { readonly revision: number; refresh?(): void };
  readonly toCaller: (token: VerifiedToken) => Caller;
}

interface CachedCaller {
  readonly caller: Caller;
  readonly keys: TokenKind['keys'];
  readonly revision: number;
}

/**
 * Proves who is calling. A token is judged by exactly one set of rules, chosen before it is verified: a SPIFFE subject
 * by its trust domain alone (Federation section 7.3), unless an OIDC issuer was given that subject by name; anything else
 * by its issuer. There is no second try with other keys.
 */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const { identity, operators, clock } = deps;
  const workloadIssuers = new Map(identity.issuers.map((issuer) => [issuer.issuer, oidcKind(issuer, identity.audience, deps)]));
  const trustDomains = new Map(identity.trust_domains.map((domain) => [domain.name, svidKind(domain, identity.audience, deps)]));
  const operatorKind = createOperatorKind(operators, deps);
  const cache = new LRUCache<string, CachedCaller>({ max: CACHE_TOKENS, ttl: CACHE_MS, ttlAutopurge: false });

  function kindFor(claims: JWTPayload): TokenKind | undefined {
    if (claims.iss === operators.issuer) return operatorKind;
    const issuer = identity.issuers.find(({ issuer: name }) => name === claims.iss);
    if (!claims.sub?.startsWith('spiffe://')) return issuer === undefined ? undefined : workloadIssuers.get(issuer.issuer);
    if (issuer?.subjects !== undefined && mayVouchFor(issuer, claims.sub)) return workloadIssuers.get(issuer.issuer);
    const id = parseSpiffeId(claims.sub);
    return id === undefined ? undefined : trustDomains.get(id.trustDomain);
  }

  return {
    async authenticate(token) {
      const digest = createHash('sha256').update(token).digest('base64');
      const known = cache.get(digest);
      if (known !== undefined) {
        known.keys.refresh?.();
        const alive = known.caller.tokenExpiresAtMs + SKEW_SECONDS * 1000 > clock.now();
        if (alive && known.revision === known.keys.revision) return known.caller;
        cache.delete(digest);
      }
      const kind = kindFor(unverifiedClaims(token));
      if (kind === undefined) throw refused('its issuer is not known here');
      const caller = kind.toCaller(await verifyToken(token, kind.expectation, clock.now()));
      cache.set(digest, { caller, keys: kind.keys, revision: kind.keys.revision });
      return caller;
    },
  };
}

function unverifiedClaims(token: string): JWTPayload {
  try {
    return decodeJwt(token);
  } catch (cause) {
    throw refused('it is not a JWT', cause);
  }
}

function oidcKind(issuer: OidcIssuerConfig, audience: string, deps: AuthenticatorDeps): TokenKind {
  const keys = new JwksSource(issuer.issuer, { fetch: deps.outboundFetch, clock: deps.clock });
  return {
    keys,
    expectation: {
      issuer: issuer.issuer,
      audience: issuer.audience ?? audience,
      algorithms: issuer.algorithms,
      types: OIDC_TYPES,
      requireKid: false,
      maxLifetimeSeconds: issuer.max_lifetime_seconds,
      keyFor: keys.keyFor,
    },
    toCaller({ subject, claims, expiresAtMs }) {
      if (!mayVouchFor(issuer, subject)) throw refused('its issuer may not vouch for this subject');
      return workload(issuer.issuer, subject, instanceOf(claims, issuer.instance_claim), expiresAtMs);
    },
  };
}

function svidKind(domain: Config['identity']['trust_domains'][number], audience: string, deps: AuthenticatorDeps): TokenKind {
  const keys = new TrustBundle(domain.bundle_file, deps.clock, deps.log);
  return {
    keys,
    expectation: {
      issuer: undefined,
      audience,
      algorithms: SVID_ALGORITHMS,
      types: SVID_TYPES,
      requireKid: true,
      maxLifetimeSeconds: domain.max_lifetime_seconds,
      keyFor: keys.keyFor,
    },
    toCaller({ subject, claims, expiresAtMs }) {
      const id = parseSpiffeId(subject);
      // JWT-SVID section 3.1: the subject is a workload's id, so it has a path.
      if (id?.trustDomain !== domain.name || id.path === '') throw refused('its subject is not a workload of the trust domain');
      return workload(`spiffe://${domain.name}`, subject, instanceOf(claims, undefined), expiresAtMs);
    },
  };
}

function createOperatorKind(operators: Config['operators'], deps: AuthenticatorDeps): TokenKind {
  const keys = new JwksSource(operators.issuer, { fetch: deps.outboundFetch, clock: deps.clock });
  return {
    keys,
    expectation: {
      issuer: operators.issuer,
      audience: operators.audience,
      algorithms: operators.algorithms,
      types: OIDC_TYPES,
      requireKid: false,
      maxLifetimeSeconds: operators.max_lifetime_seconds,
      keyFor: keys.keyFor,
    },
    toCaller({ subject, claims, expiresAtMs }) {
      const role = highestRole(claims, operators);
      if (role === undefined) throw new Problem('forbidden', 'the token gives none of the roles viewer, operator, admin');
      return { kind: 'operator', issuer: operators.issuer, subject, role, tokenExpiresAtMs: expiresAtMs };
    },
  };
}

const workload = (issuer: string, subject: string, instance: string | null, tokenExpiresAtMs: Workload['tokenExpiresAtMs']): Workload => ({
  kind: 'workload',
  issuer,
  subject,
  instance,
  tokenExpiresAtMs,
});

/** Whether an issuer may name this subject: as listed, exactly or up to a trailing `*`; SPIFFE IDs only when listed. */
function mayVouchFor(issuer: OidcIssuerConfig, subject: string): boolean {
  if (issuer.subjects === undefined) return !subject.startsWith('spiffe://');
  return issuer.subjects.some((allowed) => (allowed.endsWith('*') ? subject.startsWith(allowed.slice(0, -1)) : subject === allowed));
}

function instanceOf(claims: JWTPayload, claim: string | undefined): string | null {
  const named = claim === undefined ? undefined : claims[claim];
  if (typeof named === 'string' && named !== '') return named;
  const confirmation = claims['cnf'];
  const thumbprint = typeof confirmation === 'object' && confirmation !== null && 'jkt' in confirmation ? confirmation.jkt : undefined;
  return typeof thumbprint === 'string' ? thumbprint : null;
}

/** The highest role that the roles claim gives: a list or a space-separated string, at a path with dots. */
function highestRole(claims: JWTPayload, operators: Config['operators']): OperatorRole | undefined {
  const value = operators.roles_claim.split('.').reduce<unknown>((at, part) => (typeof at === 'object' && at !== null && Object.hasOwn(at, part) ? (at as Record<string, unknown>)[part] : undefined), claims);
  const given = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value.map(String) : [];
  return OPERATOR_ROLES.findLast((role) => operators.roles[role].some((name) => given.includes(name)));
}
