import type { JWTPayload } from 'jose';
import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds, toEpochSeconds, type EpochMs } from '../core/time.ts';
import { JwksSource, type JwksSourceDeps } from './jwks-source.ts';
import { SKEW_SECONDS, unverifiedClaims, unverifiedType, verifySigned, type KeyResolver } from './verify-token.ts';

export type Transmitter = Config['signals']['transmitters'][number];

/** What is wrong with a security event token, in the words of RFC 8935 section 2.4. */
export type SecurityEventError = 'invalid_request' | 'invalid_key' | 'invalid_issuer' | 'invalid_audience';

/** A security event token that is not taken. `message` is for its transmitter and repeats nothing of it. */
export class SecurityEventRefused extends Error {
  override readonly name = 'SecurityEventRefused';
  readonly err: SecurityEventError;

  constructor(err: SecurityEventError, message: string) {
    super(message);
    this.err = err;
  }
}

/** What a transmitter says: one event, about one subject. */
export interface SecurityEvent {
  readonly transmitter: Transmitter;
  readonly jti: string;
  /** A URI. */
  readonly type: string;
  /** What it says besides, as it came. */
  readonly said: Readonly<Record<string, unknown>>;
  /** A subject identifier (RFC 9493), as it came. */
  readonly subject: unknown;
  /** When nobody takes it any more. */
  readonly overAtMs: EpochMs;
}

export interface SecurityEventDeps {
  readonly transmitters: readonly Transmitter[];
  readonly keysOf: (transmitter: Transmitter) => KeyResolver;
  readonly clock: Clock;
}

/** The keys of a transmitter: where it is said that they are, else by its metadata (SSF 1.0 section 6.2, like RFC 8414 section 3.1). */
export function transmitterKeys({ issuer, jwks_uri: jwks }: Transmitter, deps: JwksSourceDeps): KeyResolver {
  const { origin, pathname } = new URL(issuer);
  const location = jwks === undefined ? { document: `${origin}/.well-known/ssf-configuration${pathname.replace(/\/$/, '')}` } : { jwks };
  return new JwksSource(issuer, deps, location).keyFor;
}

const TYPE = 'secevent+jwt';
/** A transmitter that could not reach us for days sends again what it has; anything older is not news. Its `jti` is remembered as long. */
const MAX_AGE_SECONDS = 7 * 86_400;
const JTI = /^[\x21-\x7e]{1,255}$/;

/**
 * Verifies a security event token (RFC 8417, OpenID SSF 1.0 sections 4.1 and 4.2): its type, the keys of its transmitter, our audience, one
 * event, and that it is no token of another kind. Throws `SecurityEventRefused`, or `identity_unavailable` where the keys cannot be had.
 */
export function createSecurityEventVerifier({ transmitters, keysOf, clock }: SecurityEventDeps): (token: string) => Promise<SecurityEvent> {
  const known = new Map(transmitters.map((transmitter) => [transmitter.issuer, { transmitter, keyFor: keysOf(transmitter) }]));

  return async (token) => {
    const claimed = orRefused('invalid_request', () => unverifiedClaims(token));
    const from = typeof claimed.iss === 'string' ? known.get(claimed.iss) : undefined;
    if (from === undefined) throw new SecurityEventRefused('invalid_issuer', 'the issuer is no transmitter that is known here');
    const { transmitter, keyFor } = from;
    // An access token or an ID token of the same issuer, with the same audience, is no signal.
    if (orRefused('invalid_request', () => unverifiedType(token)) !== TYPE) throw new SecurityEventRefused('invalid_request', `the typ must be ${TYPE}`);
    // SSF 1.0 sections 4.1.2 and 4.1.7: so that it is never taken for a token that one logs in with, nor that for it.
    if ('sub' in claimed || 'exp' in claimed) throw new SecurityEventRefused('invalid_request', 'sub and exp must not be there');
    if (![claimed.aud].flat().includes(transmitter.audience)) throw new SecurityEventRefused('invalid_audience', 'it is for another audience');
    const { issuer, audience, algorithms } = transmitter;
    const { claims } = await verifySigned(token, { issuer, audience, algorithms, types: [TYPE], requireKid: true, keyFor }, [], clock.now()).catch((error: unknown) => {
      throw asRefused('invalid_key', error);
    });
    return { transmitter, ...readEvent(claims, clock.now()) };
  };
}

function readEvent(claims: JWTPayload, nowMs: EpochMs): Omit<SecurityEvent, 'transmitter'> {
  const { iat, jti, events, sub_id: subjectOfAll } = claims;
  const refuse = (why: string): never => {
    throw new SecurityEventRefused('invalid_request', why);
  };
  if (typeof jti !== 'string' || !JTI.test(jti)) refuse('the jti cannot be used');
  const now = toEpochSeconds(nowMs);
  if (iat === undefined || !Number.isSafeInteger(iat)) return refuse('the iat is not in whole seconds');
  if (iat > now + SKEW_SECONDS) refuse('it was issued in the future');
  if (iat < now - MAX_AGE_SECONDS) refuse('it was issued more than seven days ago');
  const [event, ...others] = typeof events === 'object' && events !== null ? Object.entries(events) : [];
  if (event === undefined || others.length > 0) return refuse('events must hold one event');
  const [type, payload] = event as [string, unknown];
  const said = typeof payload === 'object' && payload !== null ? (payload as Readonly<Record<string, unknown>>) : {};
  return { jti: String(jti), type, said, subject: subjectOfAll ?? said['subject'], overAtMs: addSeconds(nowMs, MAX_AGE_SECONDS + 2 * SKEW_SECONDS) };
}

function orRefused<T>(err: SecurityEventError, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw asRefused(err, error);
  }
}

/** What makes a token unacceptable, told to its transmitter; what passes stays what it is. */
const asRefused = (err: SecurityEventError, error: unknown): unknown =>
  error instanceof Problem && error.code === 'invalid_token' ? new SecurityEventRefused(err, error.message.replace(/^the token was not accepted: /, '')) : error;
