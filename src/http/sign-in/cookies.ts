import type { Request, Response } from 'express';
import type { Secret } from '../../core/secret.ts';

/** Holds the opaque id of a session. `__Host-`: only this host can have set it, over TLS, for all of its paths (RFC 6265bis section 4.1.3.2). */
export const SESSION_COOKIE = '__Host-mayfly';
/** Ties what comes back from the issuer to the browser that was sent there. */
export const ATTEMPT_COOKIE = '__Host-mayfly-sign-in';

/** `lax`, not `strict`: the issuer sends the browser back here, and a link from elsewhere finds its person signed in. */
const ATTRIBUTES = { httpOnly: true, secure: true, sameSite: 'lax', path: '/' } as const;

/** Of a request; null where it is not there, and where it is there twice: which was meant nobody can know. */
export function readCookie(request: Request, name: string): string | null {
  const found = (request.get('cookie') ?? '').split(';').flatMap((pair) => {
    const [key = '', ...rest] = pair.split('=');
    return key.trim() === name ? [rest.join('=').trim()] : [];
  });
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** `forMs`: how long the browser keeps it; until it is closed where not given. */
export function setCookie(response: Response, name: string, value: Secret, forMs?: number): void {
  response.cookie(name, value.expose(), { ...ATTRIBUTES, ...(forMs === undefined ? {} : { maxAge: forMs }) });
}

export function clearCookie(response: Response, name: string): void {
  response.clearCookie(name, ATTRIBUTES);
}
