import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type CryptoKey, type JWTPayload } from 'jose';
import { Problem } from '../core/problem.ts';
import { fromEpochSeconds, toEpochSeconds, type EpochMs } from '../core/time.ts';

/**
 * The key in force for a `kid` and algorithm, the same object for as long as it is; undefined: no such key. Throws a
 * `Problem` where the keys cannot be had.
 */
export type KeyResolver = (kid: string | undefined, algorithm: string) => Promise<CryptoKey | undefined>;

/** All that a token must be. Every kind of token has its own; nothing is taken from the token itself. */
export interface TokenExpectation {
  /** The exact `iss`; undefined for JWT-SVIDs, whose trust domain is in `sub`. */
  readonly issuer: string | undefined;
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Allowed `typ` values, exactly; a token without `typ` is accepted. */
  readonly types: readonly string[];
  readonly requireKid: boolean;
  readonly maxLifetimeSeconds: number;
  readonly keyFor: KeyResolver;
}

export interface VerifiedJwt {
  readonly claims: JWTPayload;
  readonly expiresAtMs: EpochMs;
  /** Whether the key that signed it is still in force. Throws `identity_unavailable` where that cannot be known. */
  readonly keyStands: () => Promise<boolean>;
}

export interface VerifiedToken extends VerifiedJwt {
  readonly subject: string;
}

/** Clocks of issuers and ours may differ by this much (design: tokens get 30 s of skew). */
export const SKEW_SECONDS = 30;
/** No honest token is longer; parsing stops here. */
const MAX_TOKEN_CHARS = 16_384;
/** Header members that bring keys or demand extensions: never honoured, so never accepted (RFC 8725 section 3.10). */
const FORBIDDEN_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip'];
/** A subject becomes a name in records and at targets: Unicode text of bounded length, and without control characters. */
const SUBJECT = /^[^\p{Cc}\p{Cs}]{1,2048}$/u;

/**
 * Verifies a token of somebody: the one function that looks at signatures and claims is below. It asks jose for every check explicitly, since jose
 * checks nothing it is not told to. Throws `invalid_token` with a reason that repeats nothing of the token.
 */
export async function verifyToken(token: string, expected: TokenExpectation, nowMs: EpochMs): Promise<VerifiedToken> {
  const verified = await verifyJwt(token, expected, nowMs);
  const { sub } = verified.claims;
  if (sub === undefined) throw refused('its claim sub is missing or wrong');
  return { ...verified, subject: sub };
}

/** The same, of what need not name anybody; a subject that is there is one that can be used. */
export async function verifyJwt(token: string, expected: TokenExpectation, nowMs: EpochMs): Promise<VerifiedJwt> {
  const { claims, keyStands } = await verifySigned(token, expected, ['exp', 'aud'], nowMs);
  return { ...checkClaims(claims, expected, nowMs), claims, keyStands };
}

/** The same, of what need not expire: signature, issuer, audience, and that the required claims are there. The others are for the caller to check. */
export async function verifySigned(token: string, expected: Omit<TokenExpectation, 'maxLifetimeSeconds'>, requiredClaims: string[], nowMs: EpochMs): Promise<Pick<VerifiedJwt, 'claims' | 'keyStands'>> {
  const { algorithm, kid } = checkHeader(token, expected);
  const key = await expected.keyFor(kid, algorithm);
  if (key === undefined) throw refused('its key is not one of the issuer');
  let claims: JWTPayload;
  try {
    ({ payload: claims } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      audience: expected.audience,
      ...(expected.issuer === undefined ? {} : { issuer: expected.issuer }),
      requiredClaims,
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(nowMs),
    }));
  } catch (cause) {
    throw refused(reasonOf(cause), cause);
  }
  const keyStands = async (): Promise<boolean> => (await expected.keyFor(kid, algorithm)) === key;
  return { claims, keyStands };
}

/**
 * What a token says of itself. Good only for choosing by which rules it is to be judged. Throws `invalid_token` for
 * anything but a compact JWT of bounded size.
 */
export function unverifiedClaims(token: string): JWTPayload {
  requireCompact(token);
  try {
    return decodeJwt(token);
  } catch (cause) {
    throw refused('its claims cannot be read', cause);
  }
}

/** The `typ` that a token says of itself, for the same use. Throws `invalid_token` for a header that cannot be read. */
export const unverifiedType = (token: string): unknown => headerOf(token)['typ'];

/** Compact form only: a JWS in JSON form, or with more parts, is refused before it is parsed. */
function requireCompact(token: string): void {
  if (token.length > MAX_TOKEN_CHARS || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw refused('it is not a compact JWS');
}

/** The algorithm and key that a header names, where it is one that is taken. */
function checkHeader(token: string, expected: Pick<TokenExpectation, 'algorithms' | 'types' | 'requireKid'>): { algorithm: string; kid: string | undefined } {
  const header = headerOf(token);
  const { alg, typ, kid } = header;
  // Before anything else is done with it: `none`, HMAC and whatever this issuer does not use end here.
  if (typeof alg !== 'string' || !expected.algorithms.includes(alg)) throw refused('its algorithm is not allowed for this issuer');
  if (FORBIDDEN_HEADERS.some((name) => Object.hasOwn(header, name))) throw refused('its header brings keys or extensions');
  if (typ !== undefined && !(typeof typ === 'string' && expected.types.includes(typ))) throw refused('it is another kind of token');
  if (kid === undefined && !expected.requireKid) return { algorithm: alg, kid };
  if (typeof kid !== 'string' || kid === '') throw refused('it names no key');
  return { algorithm: alg, kid };
}

function headerOf(token: string): Record<string, unknown> {
  requireCompact(token);
  try {
    return { ...decodeProtectedHeader(token) };
  } catch (cause) {
    throw refused('its header cannot be read', cause);
  }
}

function checkClaims(claims: JWTPayload, expected: TokenExpectation, nowMs: EpochMs): Pick<VerifiedJwt, 'expiresAtMs'> {
  const { sub, aud, exp, iat, nbf } = claims;
  const now = toEpochSeconds(nowMs);
  if (sub !== undefined && !(typeof sub === 'string' && SUBJECT.test(sub))) throw refused('its subject is not usable');
  // A token that another service also accepts could be replayed here by that service.
  if (Array.isArray(aud) ? aud.length !== 1 || aud[0] !== expected.audience : aud !== expected.audience) throw refused('it is for more than this audience');
  if (exp === undefined || [exp, iat, nbf].some((at) => at !== undefined && !Number.isSafeInteger(at))) throw refused('its times are not whole seconds');
  if (iat !== undefined && iat > now + SKEW_SECONDS) throw refused('it was issued in the future');
  if (exp - (iat ?? now) > expected.maxLifetimeSeconds) throw refused('it lives longer than allowed');
  return { expiresAtMs: fromEpochSeconds(exp) };
}

/** The problem for a token that is not accepted. `why` completes "the token was not accepted: …". */
export const refused = (why: string, cause?: unknown): Problem =>
  new Problem('invalid_token', `the token was not accepted: ${why}`, cause === undefined ? {} : { cause });

function reasonOf(cause: unknown): string {
  if (cause instanceof errors.JWTExpired) return 'it has expired';
  if (cause instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not fit';
  // The name is one of those asked for above, never one that the token brings.
  if (cause instanceof errors.JWTClaimValidationFailed) return `its claim ${cause.claim} is missing or wrong`;
  return 'it cannot be verified';
}
