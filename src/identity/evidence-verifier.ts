import type { JWTPayload } from 'jose';
import type { Config, UsersConfig } from '../config/config-schema.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import { kindChooser } from './authenticate.ts';
import type { WorkloadId } from './caller.ts';
import { posesAsSpiffeId } from './spiffe-id.ts';
import { userExpectation, type TokenKindDeps } from './token-kinds.ts';
import { SKEW_SECONDS, unverifiedClaims, unverifiedType, verifyToken } from './verify-token.ts';

/** `typ` of a signed declaration: no token that one logs in with has it, and nothing else is taken for one (RFC 8725 section 3.11). */
export const DECLARATION_TYPE = 'mayfly-declaration+jwt';
/** It is signed for one declaration, which is made at once. */
export const DECLARATION_LIFETIME_SECONDS = 300;

/** What an orchestrator signed. */
export interface SignedDeclaration {
  readonly by: WorkloadId;
  readonly digest: string;
  readonly jti: string;
  /** When nobody takes it any more, skew included. */
  readonly overAtMs: EpochMs;
}

/** What a user's token says. */
export interface UserConsent {
  readonly user: WorkloadId;
  /** Who may act for the user (RFC 8693 section 4.4), as the token has it; undefined where it names nobody. */
  readonly mayAct: unknown;
  /** Of the declaration that the user agreed to; undefined where the token is for none in particular. */
  readonly digest: unknown;
  readonly consent: UsersConfig['consent'];
}

/** Verifies the words of others that a declaration brings. Throws `evidence_refused` with what is wrong, `identity_unavailable`. */
export interface EvidenceVerifier {
  signedDeclaration(token: string): Promise<SignedDeclaration>;
  userConsent(token: string): Promise<UserConsent>;
}

export interface EvidenceVerifierDeps extends TokenKindDeps {
  readonly identity: Config['identity'];
  readonly operators: Config['operators'];
}

/** The problem for evidence that is not taken: `why` is for the declarer and for the record. */
export const evidenceRefused = (why: string, cause?: unknown): Problem =>
  new Problem('evidence_refused', `the evidence was not accepted: ${why}`, { errors: [{ pointer: '/evidence/token', detail: why }], ...(cause === undefined ? {} : { cause }) });

export function createEvidenceVerifier(deps: EvidenceVerifierDeps): EvidenceVerifier {
  const kindFor = kindChooser(deps);
  const { users } = deps.identity;
  const userRules = users === undefined ? undefined : { users, expectation: userExpectation(users, deps) };

  return {
    signedDeclaration: (token) =>
      asEvidence(async () => {
        const kind = kindFor(unverifiedClaims(token));
        if (unverifiedType(token) !== DECLARATION_TYPE) throw evidenceRefused(`its typ must be ${DECLARATION_TYPE}`);
        if (kind === undefined) throw evidenceRefused('its issuer is not known here');
        const verified = await verifyToken(token, { ...kind.expectation, types: [DECLARATION_TYPE], maxLifetimeSeconds: DECLARATION_LIFETIME_SECONDS }, deps.clock.now());
        const caller = kind.toCaller(verified);
        if (caller.kind !== 'workload') throw evidenceRefused('only a workload vouches for a declaration');
        const { iat, jti, declaration_digest: digest } = verified.claims;
        if (iat === undefined) throw evidenceRefused('it does not say when it was signed (iat)');
        if (typeof jti !== 'string' || !/^[\x21-\x7e]{1,256}$/.test(jti)) throw evidenceRefused('it has no usable jti');
        if (typeof digest !== 'string') throw evidenceRefused('it has no declaration_digest');
        return { by: { issuer: caller.issuer, subject: caller.subject }, digest, jti, overAtMs: addSeconds(verified.expiresAtMs, SKEW_SECONDS) };
      }),

    userConsent: (token) =>
      asEvidence(async () => {
        if (userRules === undefined) throw evidenceRefused('no issuer of users is configured here');
        const { users: rules, expectation } = userRules;
        const { subject, claims } = await verifyToken(token, expectation, deps.clock.now());
        if (posesAsSpiffeId(subject)) throw evidenceRefused('its subject is a workload, not a person');
        const { may_act: mayAct, declaration_digest: digest }: JWTPayload = claims;
        return { user: { issuer: rules.issuer, subject }, mayAct, digest, consent: rules.consent };
      }),
  };
}

/** A token that is not accepted as evidence says nothing about the caller, whose own token was. */
async function asEvidence<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify();
  } catch (error) {
    if (error instanceof Problem && (error.code === 'invalid_token' || error.code === 'forbidden')) {
      throw evidenceRefused(error.message.replace(/^the token was not accepted: /, ''), error);
    }
    throw error;
  }
}
