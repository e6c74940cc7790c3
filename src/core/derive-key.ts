import { hkdfSync } from 'node:crypto';

/** A 32-byte key for one purpose alone, from a master key (HKDF-SHA-256, RFC 5869). */
export function deriveKey(master: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', master, '', `mayfly ${purpose}`, 32));
}
