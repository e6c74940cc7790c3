import { createHash } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Config } from '../config/config-schema.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { Authenticator, Caller } from './caller.ts';
import { boundCertificate, certificateCallers, requireCertificate } from './certificate-caller.ts';
import type { DpopVerifier } from './dpop/dpop-verifier.ts';
import type { Presented } from './presented.ts';
import type { SessionCallers } from './session-caller.ts';
import { provenThumbprint } from './sender-binding.ts';
import { usedAs } from './single-use-token.ts';
import { parseSpiffeId, posesAsSpiffeId } from './spiffe-id.ts';
import { oidcKind, operatorKind, svidKind, type TokenKind, type TokenKindDeps } from './token-kinds.ts';
import { refused, SKEW_SECONDS, unverifiedClaims, verifyToken, type VerifiedToken } from './verify-token.ts';

export interface AuthenticatorDeps extends TokenKindDeps {
  readonly identity: Config['identity'];
  readonly operators: Config['operators'];
  /** Undefined where the broker does not know by which URL clients reach it. */
  readonly dpop: DpopVerifier | undefined;
  /** Undefined where nobody can sign in: cookies then mean nothing. */
  readonly sessions: SessionCallers | undefined;
  /** True for the first who uses a thing, over all replicas. */
  readonly useOnce: (what: string, untilMs: EpochMs) => Promise<boolean>;
}

/** Verifying costs half a millisecond, a look here five microseconds, and the same token comes again and again. Never trusted longer than this. */
const CACHE_MS = 60_000;
const CACHE_TOKENS = 10_000;

interface Accepted {
  readonly caller: Caller;
  /** The certificate that the token is bound to. */
  readonly certificate: string | undefined;
  readonly verified: VerifiedToken;
  readonly kind: TokenKind;
  readonly untilMonotonicMs: number;
}

/**
 * Proves who is calling. A token is judged by exactly one set of rules, chosen before it is verified: a SPIFFE subject
 * by its trust domain alone (Federation section 7.3), unless an OIDC issuer was given that subject by name; anything else
 * by its issuer. There is no second try with other keys. Without a token it is the session of the browser that says who calls, and
 * without one the X.509-SVID of the connection; beside a token, a certificate only shows that the token's own one is there, and a
 * cookie means nothing: a token is shown on purpose, a cookie by the browser alone.
 */
export function createAuthenticator(deps: AuthenticatorDeps): Authenticator {
  const kindFor = kindChooser(deps);
  const byCertificate = certificateCallers({ bundles: deps.keys.bundles, clock: deps.clock });
  // By digest: the cache holds no token.
  const cache = new LRUCache<string, Accepted>({ max: CACHE_TOKENS });

  async function stillGood({ caller, verified, untilMonotonicMs }: Accepted): Promise<boolean> {
    return deps.clock.now() < endOf(caller) && deps.clock.monotonicMs() < untilMonotonicMs && (await verified.keyStands());
  }

  /** What a token says, believed: whoever sends it. */
  async function accepted(token: string): Promise<Accepted> {
    const digest = createHash('sha256').update(token).digest('base64');
    const known = cache.get(digest);
    if (known !== undefined && (await stillGood(known))) return known;
    cache.delete(digest);
    const kind = kindFor(unverifiedClaims(token));
    if (kind === undefined) throw refused('its issuer is not known here');
    const verified = await verifyToken(token, kind.expectation, deps.clock.now());
    const certificate = boundCertificate(verified.claims);
    const told = kind.toCaller(verified);
    // Never without the certificate, so it may stand in the cache: whoever is let in has shown that they hold its key.
    const caller = certificate !== undefined && told.kind === 'workload' ? { ...told, senderBound: true } : told;
    const fresh = { caller, certificate, verified, kind, untilMonotonicMs: deps.clock.monotonicMs() + CACHE_MS };
    cache.set(digest, fresh);
    return fresh;
  }

  /** Whether the caller is the one that the token was given to. */
  async function proveSender(presented: Presented, { caller, certificate, verified, kind }: Accepted): Promise<Caller> {
    if (certificate !== undefined) requireCertificate(certificate, presented.certificates);
    const jkt = await provenThumbprint(presented, verified.claims, kind.sender, deps.dpop);
    if (jkt === null && certificate === undefined && kind.sender.required) throw refused('its issuer is configured for tokens that are bound to a key, and it is bound to none');
    return jkt === null || caller.kind === 'operator' ? caller : { ...caller, senderBound: true, instance: caller.instance ?? jkt };
  }

  async function useUp(token: string, { caller, verified, kind }: Accepted): Promise<void> {
    if (!kind.singleUse) return;
    const first = await deps.useOnce(usedAs(token, caller.issuer, verified.claims), endOf(caller));
    if (!first) throw refused('it was used before, and its issuer is configured for tokens that are good for one call');
  }

  return {
    async authenticate(presented) {
      const { authorization, certificates, session } = presented;
      if (authorization === null && session !== null && deps.sessions !== undefined) return deps.sessions.authenticate(session, presented.method);
      if (authorization === null && certificates !== null) return byCertificate(certificates);
      const token = tokenOf(presented);
      const told = await accepted(token);
      await told.kind.confirm?.(token, told.verified);
      const caller = await proveSender(presented, told);
      // Last: who cannot prove to be its holder shall not use it up either.
      await useUp(token, told);
      return caller;
    },

    async recheck(presented) {
      const { authorization, certificates, session } = presented;
      if (authorization === null && session !== null && deps.sessions !== undefined) return deps.sessions.recheck(session);
      if (authorization === null && certificates !== null) return byCertificate(certificates);
      const token = tokenOf(presented);
      const { caller, kind, verified } = await accepted(token);
      await kind.confirm?.(token, verified);
      return caller;
    },
  };
}

function tokenOf({ authorization }: Presented): string {
  if (authorization === null) throw new Problem('invalid_token', 'send a token as `Authorization: Bearer <token>`');
  return authorization.token;
}

/** When a caller's token is good for nothing any more. */
const endOf = ({ tokenExpiresAtMs }: Caller): EpochMs => addSeconds(tokenExpiresAtMs, SKEW_SECONDS);

/** Chooses the rules for a token by what it says of itself; whether that is true, those rules decide. */
export function kindChooser(deps: Pick<AuthenticatorDeps, 'identity' | 'operators' | keyof TokenKindDeps>): (claims: JWTPayload) => TokenKind | undefined {
  const { identity, operators } = deps;
  const trustDomains = new Map(
    identity.trust_domains.flatMap((domain): [string, TokenKind][] => {
      const bundle = deps.keys.bundles.get(domain.name);
      return bundle === undefined ? [] : [[domain.name, svidKind(domain, identity.audience, bundle)]];
    }),
  );
  const issuers = new Map(identity.issuers.map((issuer) => [issuer.issuer, oidcKind(issuer, identity.audience, deps)]));
  issuers.set(operators.issuer, operatorKind(operators, deps));

  return ({ iss, sub }) => {
    const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
    if (typeof sub !== 'string' || !posesAsSpiffeId(sub) || issuer?.mayName(sub) === true) return issuer;
    return trustDomains.get(parseSpiffeId(sub)?.trustDomain ?? '');
  };
}
