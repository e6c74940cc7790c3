import { z } from 'zod';
import type { Clock } from '../../core/clock.ts';
import { refused, verifyJwt, type TokenExpectation } from '../verify-token.ts';

/** What an issuer asks by a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4). */
export interface LogoutToken {
  readonly id: string;
  readonly expiresAtMs: number;
  /** At least one of the two is there. */
  readonly subject: string | null;
  readonly sid: string | null;
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** The section's recommended `typ`, and what issuers wrote before it was: what a logout token is, its `events` say. */
export const LOGOUT_TYPES = ['logout+jwt', 'application/logout+jwt', 'JWT'];

const shape = z.object({
  iat: z.number(),
  jti: z.string().min(1),
  events: z.looseObject({ [EVENT]: z.looseObject({}) }),
  sub: z.string().min(1).optional(),
  sid: z.string().min(1).optional(),
});

/**
 * Verifies a logout token: signature, issuer, audience, times, then section 2.6, steps 4 to 7. Whether it was used before is for
 * the caller to find out. Throws `invalid_token`.
 */
export async function verifyLogoutToken(token: string, expected: TokenExpectation, clock: Clock): Promise<LogoutToken> {
  const { claims, expiresAtMs } = await verifyJwt(token, expected, clock.now());
  // An id token has one, and must never pass for this.
  if ('nonce' in claims) throw refused('it has a nonce, which a logout token must not');
  const parsed = shape.safeParse(claims);
  if (!parsed.success) throw refused(`its claim ${String(parsed.error.issues[0]?.path[0] ?? '')} is missing or wrong`);
  const { jti, sub = null, sid = null } = parsed.data;
  if (sub === null && sid === null) throw refused('it names neither a person nor a session');
  return { id: jti, expiresAtMs, subject: sub, sid };
}
