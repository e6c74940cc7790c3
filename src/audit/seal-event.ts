import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { AuditEvent, SealedEvent } from './audit-event.ts';

/** Seals events, so that one made up by a writer in Redis can be told from one of ours. */
export interface EventSealer {
  seal(event: AuditEvent): SealedEvent;
  /** The event, or undefined when the MAC is not ours. */
  open(json: string, mac: string): AuditEvent | undefined;
}

/** `key`: 32 bytes, derived for events alone. */
export function createEventSealer(key: Buffer): EventSealer {
  // As a key object: with a buffer, Node 24 prepares it anew each time, which takes four times as long as the HMAC.
  const secret = createSecretKey(key);
  const macOf = (json: string): Buffer => createHmac('sha256', secret).update(`mayfly-event\n${json}`).digest();
  return {
    seal(event) {
      // Carried and sealed as this very text, so no canonical form is needed.
      const json = JSON.stringify(event);
      return { json, mac: macOf(json).toString('base64url') };
    },
    open(json, mac) {
      const expected = macOf(json);
      const actual = Buffer.from(mac, 'base64url');
      if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return undefined;
      return JSON.parse(json) as AuditEvent;
    },
  };
}
