import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

/** What a record is; part of the seal, so that one kind can never pass as another. */
export type RecordKind = 'task' | 'lease' | 'revocation' | 'idempotency';

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
  // As a key object: with a buffer, Node 24 prepares it anew each time, which takes four times as long as the HMAC.
  const secret = createSecretKey(key);
  const macOf = (kind: RecordKind, id: string, json: string): Buffer =>
    createHmac('sha256', secret).update(`${kind}\n${id}\n${json}`).digest();

  return {
    seal(kind, id, record) {
      // Kept and sealed as this very text, so no canonical form is needed.
      const json = JSON.stringify(record);
      return { json, mac: macOf(kind, id, json).toString('base64url') };
    },
    open(kind, id, json, mac) {
      const expected = macOf(kind, id, json ?? '');
      const actual = Buffer.from(mac ?? '', 'base64url');
      if (json === undefined || actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
        throw new TamperedRecord(kind, id);
      }
      return JSON.parse(json) as unknown;
    },
  };
}
