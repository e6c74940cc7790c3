import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { createMac } from '../../core/mac.ts';
import { Secret } from '../../core/secret.ts';
import { addMs, epochMsFrom, type EpochMs } from '../../core/time.ts';

/** A person's way to the issuer and back, from one browser. */
export interface SignInAttempt {
  /** What the browser holds meanwhile: sealed, since it decides where it is sent in the end. */
  readonly cookie: Secret;
  /** Names the attempt, so that it is good once. */
  readonly id: string;
  readonly returnTo: string;
  readonly untilMs: EpochMs;
  /** Sent with the person, and expected back (RFC 6749 section 10.12, OpenID Connect Core section 3.1.2.1). */
  readonly state: string;
  readonly nonce: string;
  /** RFC 7636: never leaves but to the token endpoint. */
  readonly verifier: Secret;
}

/** How long somebody may take to sign in at the issuer. */
export const ATTEMPT_MS = 600_000;

const shape = z.strictObject({ id: z.string(), return_to: z.string(), until_ms: z.number() });

/**
 * Attempts to sign in. The browser keeps what is to be remembered: nothing is stored for somebody whom nobody knows yet, so
 * a flood of them fills no memory. State, nonce and verifier derive from the attempt under our key, so the browser can choose none.
 *
 * @param key 32 bytes, derived for this purpose alone.
 */
export function createSignInAttempts(key: Buffer, clock: Clock) {
  const mac = createMac(key);
  const attempt = (text: string, { id, return_to: returnTo, until_ms: untilMs }: z.infer<typeof shape>): SignInAttempt => ({
    cookie: new Secret(`${Buffer.from(text).toString('base64url')}.${mac.of(`attempt\n${text}`)}`),
    id,
    returnTo,
    untilMs: epochMsFrom(untilMs),
    state: mac.of(`state\n${id}`),
    nonce: mac.of(`nonce\n${id}`),
    verifier: new Secret(mac.of(`verifier\n${id}`)),
  });

  return {
    begin(returnTo: string): SignInAttempt {
      const fields = { id: randomBytes(32).toString('base64url'), return_to: returnTo, until_ms: addMs(clock.now(), ATTEMPT_MS) };
      return attempt(JSON.stringify(fields), fields);
    },

    /** The attempt that a browser holds; null where it holds none of ours, or one that is over. */
    resume(cookie: string | null): SignInAttempt | null {
      const [payload = '', seal] = (cookie ?? '').split('.');
      const text = Buffer.from(payload, 'base64url').toString();
      if (!mac.fits(`attempt\n${text}`, seal)) return null;
      const fields = shape.parse(JSON.parse(text));
      return clock.now() < fields.until_ms ? attempt(text, fields) : null;
    },
  };
}

export type SignInAttempts = ReturnType<typeof createSignInAttempts>;
