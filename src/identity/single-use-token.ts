import type { JWTPayload } from 'jose';

/**
 * What a token is remembered by where it may be used once: its `jti`, which its issuer gives to no other (RFC 7519 section
 * 4.1.7), else what was signed. Never the whole text: an ECDSA signature has a second form that fits as well, and the last
 * letter of base64 has spare bits, so that one token could be written in several ways.
 */
export function usedAs(token: string, issuer: string, { jti }: JWTPayload): string {
  const signed = token.slice(0, token.lastIndexOf('.'));
  return JSON.stringify(['token', issuer, ...(typeof jti === 'string' && jti !== '' ? ['jti', jti] : ['signed', signed])]);
}
