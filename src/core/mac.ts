import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

/** HMAC-SHA-256 under one key: tells texts of ours from those a writer in Redis made up. */
export interface Mac {
  /** Base64url. */
  of(text: string): string;
  /** Whether `mac` is that of `text`, in a time that does not tell how much of it is right. */
  fits(text: string, mac: string | undefined): boolean;
}

/** `key`: 32 bytes, derived for one purpose alone. */
export function createMac(key: Buffer): Mac {
  // As a key object: with a buffer, Node 24 prepares it anew each time, which takes four times as long as the HMAC.
  const secret = createSecretKey(key);
  const digest = (text: string): Buffer => createHmac('sha256', secret).update(text).digest();
  return {
    of: (text) => digest(text).toString('base64url'),
    fits(text, mac) {
      const expected = digest(text);
      const actual = Buffer.from(mac ?? '', 'base64url');
      return actual.length === expected.length && timingSafeEqual(actual, expected);
    },
  };
}
