import type { JWTPayload } from 'jose';
import type { Config, OidcIssuerConfig, OperatorsConfig, TrustDomainConfig, UsersConfig } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import { OPERATOR_ROLES, type Caller, type OperatorRole } from './caller.ts';
import { claimAt } from './claim-at.ts';
import { claimMapping } from './claim-mapping.ts';
import { githubJob } from './profiles/github-actions.ts';
import { kubernetesObjects } from './profiles/kubernetes.ts';
import { createTokenReview } from './profiles/token-review.ts';
import type { KeySources } from './key-sources.ts';
import type { OutboundFetch } from './outbound-fetch.ts';
import { mayVouchFor } from './may-vouch-for.ts';
import type { SenderRules } from './sender-binding.ts';
import { parseWorkloadId, posesAsSpiffeId } from './spiffe-id.ts';
import type { TrustBundle } from './trust-bundle.ts';
import { refused, type TokenExpectation, type VerifiedToken } from './verify-token.ts';

export interface TokenKindDeps {
  readonly keys: KeySources;
  readonly outboundFetch: OutboundFetch;
  readonly clock: Clock;
}

/** One kind of token: what it must be, whom it may name, and whom it makes of the caller. */
export interface TokenKind {
  readonly expectation: TokenExpectation;
  readonly mayName: (subject: string) => boolean;
  /** Throws `invalid_token` or `forbidden` for a genuine token that makes nobody. */
  readonly toCaller: (token: VerifiedToken) => Caller;
  /** What must be asked at each call, where a signature does not tell. Throws `invalid_token` or `identity_unavailable`. */
  readonly confirm?: (token: string, verified: VerifiedToken) => Promise<void>;
  readonly sender: SenderRules;
  /** Whether each token is good for one call. */
  readonly singleUse: boolean;
}

/** JWT-SVID section 2.1: EdDSA and HMAC are not among them. */
export const SVID_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
const SVID_TYPES = ['JWT', 'JOSE'];
/** RFC 9068 section 4 names two forms for access tokens; some issuers write `JWT` in lower case. */
const OIDC_TYPES = ['JWT', 'jwt', 'JOSE', 'at+jwt', 'application/at+jwt'];

/** Of tokens about which nothing else is configured. */
const REUSED = { sender: { required: false, demandsNonce: false }, singleUse: false };

/** Workload tokens of an OpenID Connect issuer. */
export function oidcKind(issuer: OidcIssuerConfig, audience: Config['identity']['audience'], deps: TokenKindDeps): TokenKind {
  const mayName = (subject: string): boolean => mayVouchFor(issuer.subjects, subject);
  const mapping = claimMapping(issuer);
  const { token_review: review } = issuer;
  return {
    expectation: oidcExpectation({ ...issuer, audience: issuer.audience ?? audience }, deps),
    mayName,
    sender: { required: issuer.sender_binding === 'required', demandsNonce: issuer.dpop_nonces },
    singleUse: issuer.single_use,
    ...(review === undefined ? {} : { confirm: createTokenReview(review, issuer.audience ?? audience, deps) }),
    toCaller({ subject, claims, expiresAtMs }) {
      if (!mayName(subject)) throw refused('its issuer may not vouch for this subject');
      const instance = instanceOf(subject, claims, issuer);
      const attributes = mapping.attributesOf(claims);
      return { kind: 'workload', issuer: issuer.issuer, subject: mapping.agentOf(subject, claims), instance, senderBound: false, ...(attributes === undefined ? {} : { attributes }), tokenExpiresAtMs: expiresAtMs };
    },
  };
}

/** JWT-SVIDs of a trust domain: judged by its bundle alone (Federation section 7.3), whatever `iss` they carry. */
export function svidKind(domain: TrustDomainConfig, audience: Config['identity']['audience'], bundle: TrustBundle): TokenKind {
  const mayName = (subject: string): boolean => parseWorkloadId(subject)?.trustDomain === domain.name;
  return {
    expectation: {
      issuer: undefined,
      audience,
      algorithms: SVID_ALGORITHMS,
      types: SVID_TYPES,
      requireKid: true,
      maxLifetimeSeconds: domain.max_lifetime_seconds,
      keyFor: bundle.keyFor,
    },
    mayName,
    ...REUSED,
    toCaller({ subject, expiresAtMs }) {
      if (!mayName(subject)) throw refused('its subject is not a workload of the trust domain');
      return { kind: 'workload', issuer: `spiffe://${domain.name}`, subject, instance: null, senderBound: false, tokenExpiresAtMs: expiresAtMs };
    },
  };
}

/** Tokens of the operators' issuer: people, so never a SPIFFE ID. */
export function operatorKind(operators: OperatorsConfig, deps: Pick<TokenKindDeps, 'keys'>): TokenKind {
  return {
    expectation: oidcExpectation(operators, deps),
    mayName: (subject) => !posesAsSpiffeId(subject),
    ...REUSED,
    toCaller({ subject, claims, expiresAtMs }) {
      const role = operatorRole(claims, operators);
      if (role === undefined) throw new Problem('forbidden', 'the token gives none of the roles viewer, operator, admin');
      return { kind: 'operator', issuer: operators.issuer, subject, role, tokenExpiresAtMs: expiresAtMs };
    },
  };
}

/** Tokens of people for whom agents act. They call nothing here: their tokens are shown by others. */
export const userExpectation = (users: UsersConfig, deps: Pick<TokenKindDeps, 'keys'>): TokenExpectation => oidcExpectation(users, deps);

type OidcRules = Pick<OperatorsConfig, 'issuer' | 'audience' | 'algorithms' | 'max_lifetime_seconds'>;

/** What a token of an OpenID Connect issuer must be. */
export const oidcExpectation = (rules: OidcRules, { keys }: Pick<TokenKindDeps, 'keys'>): TokenExpectation => ({
  issuer: rules.issuer,
  audience: rules.audience,
  algorithms: rules.algorithms,
  types: OIDC_TYPES,
  requireKid: false,
  maxLifetimeSeconds: rules.max_lifetime_seconds,
  keyFor: keys.issuerKeys(rules.issuer),
});

/** The instance that the token names, as its platform does. A key that it is bound to is none until the call proved to hold it. Throws `invalid_token` for what its platform would not issue. */
function instanceOf(subject: string, claims: JWTPayload, issuer: OidcIssuerConfig): string | null {
  switch (issuer.profile) {
    case 'kubernetes':
      return kubernetesObjects(subject, claims, issuer.service_accounts).pod.uid;
    case 'github_actions':
      return githubJob(subject, claims, issuer.repositories ?? []);
    case 'generic':
      return claimedInstance(claims, issuer.instance_claim);
    default:
      return issuer.profile satisfies never;
  }
}

function claimedInstance(claims: JWTPayload, claim: string | undefined): string | null {
  const named = claim === undefined ? undefined : claimAt(claims, claim);
  const instance = Number.isSafeInteger(named) ? String(named) : named;
  return typeof instance === 'string' && instance !== '' ? instance : null;
}

/** The highest role that the roles claim gives: a list, or a string separated by spaces. */
export function operatorRole(claims: JWTPayload, { roles, roles_claim }: Pick<OperatorsConfig, 'roles' | 'roles_claim'>): OperatorRole | undefined {
  const value = claimAt(claims, roles_claim);
  const given: readonly unknown[] = typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [];
  return OPERATOR_ROLES.findLast((role) => roles[role].some((name) => given.includes(name)));
}
