import { decodeProtectedHeader, errors, jwtVerify, type CryptoKey, type JWTPayload, type KeyObject } from 'jose';
import { Problem } from '../core/problem.ts';
import { fromEpochSeconds, toEpochSeconds, type EpochMs } from '../core/time.ts';

/** The key for a `kid` and algorithm; throws a `Problem` where the keys cannot be had. Undefined: no such key. */
export type KeyResolver = (kid: string | undefined, algorithm: string) => Promise<CryptoKey | KeyObject | undefined>;

/** All that a token must be. Every kind of token has its own; nothing is taken from the token itself. */
export interface TokenExpectation {
  readonly issuer: string | undefined;
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Allowed `typ` values, lower case; a token without `typ` is accepted. */
  readonly types: readonly string[];
  readonly requireKid: boolean;
  readonly maxLifetimeSeconds: number;
  readonly keyFor: KeyResolver;
}

export interface VerifiedToken {
  readonly subject: string;
  readonly claims: JWTPayload;
  readonly expiresAtMs: EpochMs;
}

/** Clocks of issuers and ours may differ by this much (design: tokens get 30 s of skew). */
export const SKEW_SECONDS = 30;
/** No honest token is longer; parsing stops here. */
const MAX_TOKEN_CHARS = 16_384;
/** Header members that name keys or demand extensions: never honoured, so never accepted (RFC 8725 section 3.10). */
const FORBIDDEN_HEADERS = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256', 'crit', 'b64', 'zip'];

/**
 * The one function that verifies a token's signature and claims. It asks jose for every check explicitly, since jose
 * checks nothing it is not told to. Throws `invalid_token` with a reason that repeats nothing of the token.
 */
export async function verifyToken(token: string, expected: TokenExpectation, nowMs: EpochMs): Promise<VerifiedToken> {
  const header = headerOf(token);
  const algorithm = String(header.alg);
  // Before anything else is done with it: `none`, HMAC and whatever this issuer does not use end here.
  if (!expected.algorithms.includes(algorithm)) throw refused('its algorithm is not allowed for this issuer');
  if (FORBIDDEN_HEADERS.some((name) => name in header)) throw refused('its header names keys or extensions');
  if (header.typ !== undefined && !expected.types.includes(header.typ.toLowerCase())) throw refused('it is another kind of token');
  if (expected.requireKid && (typeof header.kid !== 'string' || header.kid === '')) throw refused('it names no key');
  const key = await expected.keyFor(typeof header.kid === 'string' ? header.kid : undefined, algorithm);
  if (key === undefined) throw refused('its key is not one of the issuer');
  let claims: JWTPayload;
  try {
    ({ payload: claims } = await jwtVerify(token, key, {
      algorithms: [algorithm],
      audience: expected.audience,
      ...(expected.issuer === undefined ? {} : { issuer: expected.issuer }),
      requiredClaims: ['exp', 'sub', 'aud'],
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(nowMs),
    }));
  } catch (cause) {
    throw refused(reasonOf(cause), cause);
  }
  return checkClaims(claims, expected, nowMs);
}

function headerOf(token: string): ReturnType<typeof decodeProtectedHeader> {
  // Compact form only: a JWS in JSON form, or with more parts, is refused before it is parsed.
  if (token.length > MAX_TOKEN_CHARS || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw refused('it is not a compact JWS');
  try {
    return decodeProtectedHeader(token);
  } catch (cause) {
    throw refused('its header cannot be read', cause);
  }
}

function checkClaims(claims: JWTPayload, expected: TokenExpectation, nowMs: EpochMs): VerifiedToken {
  const { sub, aud, exp, iat } = claims;
  const now = toEpochSeconds(nowMs);
  if (typeof sub !== 'string' || sub === '' || sub.length > 2_048) throw refused('its subject is not usable');
  // A token that another service also accepts could be replayed here by that service.
  if (Array.isArray(aud) ? aud.length !== 1 || aud[0] !== expected.audience : aud !== expected.audience) throw refused('it is for more than this audience');
  if (typeof exp !== 'number' || !Number.isSafeInteger(exp)) throw refused('its expiry is not a whole number of seconds');
  if (iat !== undefined && (!Number.isSafeInteger(iat) || iat > now + SKEW_SECONDS)) throw refused('it was issued in the future');
  if (exp - (iat ?? now) > expected.maxLifetimeSeconds) throw refused('it lives longer than allowed');
  return { subject: sub, claims, expiresAtMs: fromEpochSeconds(exp) };
}

/** The problem for a token that is not accepted. `why` completes "the token was not accepted: …". */
export const refused = (why: string, cause?: unknown): Problem =>
  new Problem('invalid_token', `the token was not accepted: ${why}`, cause === undefined ? {} : { cause });

function reasonOf(cause: unknown): string {
  if (cause instanceof errors.JWTExpired) return 'it has expired';
  if (cause instanceof errors.JWSSignatureVerificationFailed) return 'its signature does not fit';
  if (cause instanceof errors.JWTClaimValidationFailed) return `its claim ${/^[a-z]{3}$/.test(cause.claim) ? cause.claim : ''} is missing or wrong`;
  return 'it cannot be verified';
}
