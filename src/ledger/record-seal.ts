import { createMac } from '../core/mac.ts';

/** What a record is; part of the seal, so that one kind can never pass as another. */
export type RecordKind = 'task' | 'lease' | 'revocation' | 'idempotency' | 'locks' | 'epoch' | 'reconciliation' | 'tree' | 'agent' | 'agents' | 'session';

/** A record as it stands in Redis. */
export interface SealedRecord {
  readonly json: string;
  readonly mac: string;
}

/** A stored record that this deployment's key never sealed: somebody wrote to Redis behind the broker's back. */
export class TamperedRecord extends Error {
  override readonly name = 'TamperedRecord';
  readonly kind: RecordKind;
  readonly id: string;

  constructor(kind: RecordKind, id: string) {
    super(`the stored ${kind} ${id} fails its seal`);
    this.kind = kind;
    this.id = id;
  }
}

/**
 * Seals records with an HMAC whose key is not in Redis, over kind, id and the whole content, state included. Whoever
 * can write to Redis can delete or replay a record, but cannot make one up or change a word of it.
 */
export interface RecordSeal {
  seal(kind: RecordKind, id: string, record: unknown): SealedRecord;
  /** The record, or throws `TamperedRecord`. The caller vouches for the type: only our own code seals. */
  open(kind: RecordKind, id: string, json: string | undefined, mac: string | undefined): unknown;
}

/** `key`: 32 bytes, derived for this purpose alone. */
export function createRecordSeal(key: Buffer): RecordSeal {
  const mac = createMac(key);
  const sealedText = (kind: RecordKind, id: string, json: string): string => `${kind}\n${id}\n${json}`;

  return {
    seal(kind, id, record) {
      // Kept and sealed as this very text, so no canonical form is needed.
      const json = JSON.stringify(record);
      return { json, mac: mac.of(sealedText(kind, id, json)) };
    },
    open(kind, id, json, presented) {
      if (json === undefined || !mac.fits(sealedText(kind, id, json), presented)) throw new TamperedRecord(kind, id);
      return JSON.parse(json) as unknown;
    },
  };
}
