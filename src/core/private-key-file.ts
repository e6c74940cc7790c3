import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { canonicalJson } from './canonical-json.ts';

/** Reads a PEM private key. Throws `TypeError` that names the file. */
export function readPrivateKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file));
  } catch (cause) {
    throw new TypeError(`${file} does not hold a PEM private key`, { cause });
  }
}

/** The members of a private key's public half that its thumbprint is over (RFC 7638 section 3.2); an Ed25519 key has no `y`. */
export function requiredMembers(privateKey: KeyObject): Readonly<Record<string, string>> {
  const { kty = '', crv = '', x = '', y } = createPublicKey(privateKey).export({ format: 'jwk' });
  return y === undefined ? { crv, kty, x } : { crv, kty, x, y };
}

/** RFC 7638 thumbprint, base64url: the `kid` of a key. */
export const thumbprintOf = (members: Readonly<Record<string, string>>): string => createHash('sha256').update(canonicalJson(members)).digest('base64url');
