import { createMac } from '../core/mac.ts';
import type { AuditEvent, SealedEvent } from './audit-event.ts';

/** Seals events, so that one made up by a writer in Redis can be told from one of ours. */
export interface EventSealer {
  seal(event: AuditEvent): SealedEvent;
  /** The event, or undefined when the MAC is not ours. */
  open(json: string, mac: string): AuditEvent | undefined;
}

/** `key`: 32 bytes, derived for events alone. */
export function createEventSealer(key: Buffer): EventSealer {
  const mac = createMac(key);
  const sealedText = (json: string): string => `mayfly-event\n${json}`;
  return {
    seal(event) {
      // Carried and sealed as this very text, so no canonical form is needed.
      const json = JSON.stringify(event);
      return { json, mac: mac.of(sealedText(json)) };
    },
    open: (json, presented) => (mac.fits(sealedText(json), presented) ? (JSON.parse(json) as AuditEvent) : undefined),
  };
}
