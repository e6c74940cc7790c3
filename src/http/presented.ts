import { TLSSocket } from 'node:tls';
import type { Request } from 'express';
import { Problem } from '../core/problem.ts';
import type { Presented } from '../identity/presented.ts';
import { peerCertificates } from '../identity/x509/peer-certificates.ts';
import { readCookie, SESSION_COOKIE } from './sign-in/cookies.ts';

const AUTHORIZATION = /^(Bearer|DPoP) +([\w~+/.=-]+)$/i;

/** What a request shows of who sends it. Throws `invalid_token` for an `Authorization` header of another form. */
export function presentedBy(request: Request): Presented {
  return {
    authorization: authorizationOf(request),
    dpopProofs: request.headersDistinct['dpop'] ?? [],
    method: request.method,
    path: request.originalUrl,
    certificates: request.socket instanceof TLSSocket ? peerCertificates(request.socket) : null,
    session: sessionOf(request),
  };
}

function sessionOf(request: Request): Presented['session'] {
  const cookie = readCookie(request, SESSION_COOKIE);
  if (cookie === null) return null;
  return { cookie, site: request.get('sec-fetch-site') ?? null, origin: request.get('origin') ?? null, purpose: request.get('x-mayfly-request') ?? null };
}

function authorizationOf(request: Request): Presented['authorization'] {
  const header = request.get('authorization');
  if (header === undefined) return null;
  const [, scheme, token] = AUTHORIZATION.exec(header) ?? [];
  // What is there and not understood must not be passed over in favour of another proof.
  if (scheme === undefined || token === undefined) throw new Problem('invalid_token', 'send a token as `Authorization: Bearer <token>`');
  return { scheme: scheme.toLowerCase() === 'dpop' ? 'dpop' : 'bearer', token };
}
