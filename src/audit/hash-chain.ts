import { createHash } from 'node:crypto';
import { canonicalJson } from '../core/canonical-json.ts';
import type { AuditEvent } from './audit-event.ts';

/** What the sealer itself has to say. */
export type SealerNotice =
  | { readonly type: 'sealer.started'; readonly cut_bytes: number }
  /** Events of a shard that were counted but are not in its stream. */
  | { readonly type: 'audit.gap'; readonly shard: string; readonly from: number; readonly to: number }
  /** An entry in a stream that the broker did not write, or wrote once and finds twice; only its digest is kept. */
  | { readonly type: 'audit.forged'; readonly shard: string; readonly digest: string; readonly why: 'bad_mac' | 'replayed' }
  /** A shard's counter went back: Redis was wiped or restored. */
  | { readonly type: 'audit.reset'; readonly shard: string };

/** Where an event came from; null for the sealer's own notices. */
export interface EventOrigin {
  readonly shard: string;
  readonly stream_id: string;
  readonly n: number;
}

/** One link of the chain. */
export interface ChainRecord {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Hash of the line before; 64 zeros for the first. */
  readonly prev: string;
  readonly sealed_at: string;
  /** The fencing token of the sealer that wrote it: it never goes down. */
  readonly epoch: number;
  readonly origin: EventOrigin | null;
  readonly event: AuditEvent | SealerNotice;
}

/** Where a chain stands. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
  readonly epoch: number;
}

export const GENESIS: ChainHead = { seq: 0, hash: '0'.repeat(64), epoch: 0 };

/** SHA-256 over 0x00 and the canonical JSON; the prefix keeps leaves apart from nodes of a Merkle tree (RFC 6962 section 2.1). */
export function hashRecord(record: ChainRecord): string {
  return hashText(canonicalJson(record));
}

const hashText = (canonical: string): string => createHash('sha256').update('\0').update(canonical).digest('hex');

/** The next line of a chain, with its line feed, and the head after it. */
export function appendRecord(head: ChainHead, content: Omit<ChainRecord, 'seq' | 'prev'>): { readonly line: string; readonly head: ChainHead } {
  const record: ChainRecord = { ...content, seq: head.seq + 1, prev: head.hash };
  const event = canonicalJson(record.event);
  const hash = hashText(recordText(record, event));
  return { line: `${recordText(record, event, hash)}\n`, head: { seq: record.seq, hash, epoch: record.epoch } };
}

/**
 * The canonical JSON of a record, with or without its hash: the members in their sorted order, so that an event, by far
 * the largest of them, is written out only once for both.
 */
function recordText({ seq, prev, sealed_at: sealedAt, epoch, origin }: ChainRecord, event: string, hash?: string): string {
  const own = hash === undefined ? '' : `"hash":"${hash}",`;
  return `{"epoch":${epoch},"event":${event},${own}"origin":${canonicalJson(origin)},"prev":"${prev}","sealed_at":${JSON.stringify(sealedAt)},"seq":${seq}}`;
}

export type LineProblem = 'not_json' | 'changed' | 'missing' | 'reordered';

export type CheckedLine =
  | { readonly ok: true; readonly record: ChainRecord; readonly head: ChainHead }
  | { readonly ok: false; readonly problem: LineProblem; readonly detail: string };

/** Checks one line against the chain before it. */
export function checkLine(line: string, before: ChainHead): CheckedLine {
  const parsed = parseLine(line);
  if (parsed === undefined) return { ok: false, problem: 'not_json', detail: 'is not a record of an audit chain' };
  const { hash, ...record } = parsed;
  if (hashRecord(record) !== hash) return { ok: false, problem: 'changed', detail: 'its content does not have the hash it states' };
  if (record.seq > before.seq + 1) return { ok: false, problem: 'missing', detail: `record ${before.seq + 1} is missing before it: it is record ${record.seq}` };
  if (record.seq <= before.seq) return { ok: false, problem: 'reordered', detail: `it is record ${record.seq}, after record ${before.seq}` };
  if (record.prev !== before.hash) return { ok: false, problem: 'changed', detail: 'the record before it is not the one it was chained to' };
  if (record.epoch < before.epoch) return { ok: false, problem: 'reordered', detail: 'it was written by an older sealer than the record before it' };
  return { ok: true, record, head: { seq: record.seq, hash, epoch: record.epoch } };
}

/** A line as it stands, unchecked; undefined when it is no record. Only canonical JSON counts: no byte of a line is free. */
export function parseLine(line: string): (ChainRecord & { readonly hash: string }) | undefined {
  try {
    const value = JSON.parse(line) as ChainRecord & { readonly hash: string };
    const formed =
      typeof value === 'object' &&
      Number.isSafeInteger(value.seq) &&
      Number.isSafeInteger(value.epoch) &&
      typeof value.prev === 'string' &&
      typeof value.hash === 'string' &&
      typeof value.event === 'object';
    return formed && canonicalJson(value) === line ? value : undefined;
  } catch {
    return undefined;
  }
}
