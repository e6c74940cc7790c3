import { stat } from 'node:fs/promises';
import { linesIn, type AuditSegment, type ByteRange } from './audit-segments.ts';
import type { ChainRecord } from './hash-chain.ts';
import { nextLine, positionOf, seekLine } from './line-position.ts';

/** What part of a log is wanted; more may be read. */
export interface AuditRange {
  /** What happened from then on. */
  readonly sinceMs?: number | undefined;
  /** What happened before then. */
  readonly untilMs?: number | undefined;
  readonly afterSeq?: number | undefined;
  readonly beforeSeq?: number | undefined;
}

/** Brokers grant with clocks that are within 5 s of the ledger's, so that no two are further apart than this. */
const CLOCKS_APART_MS = 10_000;
/** What is read at once where the newest come first: what is found in it has to be kept. */
const BLOCK_BYTES = 2 * 1024 * 1024;

/**
 * The lines of a log that can hold what happened in a range, oldest first; files and bytes outside of it are not read. A record is
 * sealed after it happened: seldom much later, but by hours where the file could not be written, so that the end of a range
 * is found by what the records say and not by when they were sealed. Past that end it goes on while `goOn` says so.
 */
export async function* linesForward(segments: readonly AuditSegment[], range: AuditRange & { readonly goOn?: () => boolean }): AsyncGenerator<string> {
  const isPast = endOf(range);
  let past = false;
  for (const { segment, from } of await starts(segments, range)) {
    for await (const { text, ended } of linesIn(segment, { from })) {
      if (!ended) continue;
      past ||= isPast(text);
      if (past && range.goOn?.() !== true) return;
      yield text;
    }
  }
}

/** The same lines in blocks, the newest block first; within a block the oldest line first. */
export async function* blocksBackward(segments: readonly AuditSegment[], range: AuditRange): AsyncGenerator<AsyncIterable<string>> {
  const parts = await starts(segments, range);
  const end = await placeOfEnd(parts, range);
  for (const { segment, from } of parts.slice(0, end.part + 1).toReversed()) {
    if (segment.gzip) {
      yield wholeLines(segment, { from: 0 });
      continue;
    }
    let to = segment === parts[end.part]?.segment ? end.to : (await stat(segment.path)).size;
    while (to > from) {
      const start = to - BLOCK_BYTES <= from ? from : await nextLine(segment.path, to - BLOCK_BYTES, to);
      // A line longer than a block.
      const begin = start === to ? from : start;
      yield wholeLines(segment, { from: begin, to });
      to = begin;
    }
  }
}

interface Part {
  readonly segment: AuditSegment;
  readonly from: number;
}

/** Where to begin, in each segment that can hold something. */
async function starts(segments: readonly AuditSegment[], { sinceMs, afterSeq }: AuditRange): Promise<Part[]> {
  const sealedFromMs = sinceMs === undefined ? -Infinity : sinceMs - CLOCKS_APART_MS;
  const fromSeq = (afterSeq ?? 0) + 1;
  const wanted = segments.filter((_, index) => {
    const next = segments[index + 1];
    return next === undefined || (next.firstSealedAtMs >= sealedFromMs && next.firstSeq > fromSeq);
  });
  return Promise.all(
    wanted.map(async (segment) => {
      const isInside = segment.firstSealedAtMs >= sealedFromMs && segment.firstSeq >= fromSeq;
      return { segment, from: segment.gzip || isInside ? 0 : await seekLine(segment.path, ({ seq, sealedAtMs }) => sealedAtMs >= sealedFromMs && seq >= fromSeq) };
    }),
  );
}

/** Where to stop: in which part, and before which of its bytes. */
async function placeOfEnd(parts: readonly Part[], range: AuditRange): Promise<{ readonly part: number; readonly to: number }> {
  const { untilMs = Infinity, beforeSeq = Infinity } = range;
  const isPast = endOf(range);
  let place = { part: -1, to: 0 };
  for (const [part, { segment, from }] of parts.entries()) {
    const next = parts[part + 1]?.segment;
    if (next !== undefined && next.firstSealedAtMs < untilMs && next.firstSeq < beforeSeq) continue;
    let to = segment.gzip ? 0 : Math.max(from, await seekLine(segment.path, ({ seq, sealedAtMs }) => sealedAtMs >= untilMs || seq >= beforeSeq));
    for await (const { text, bytes } of linesIn(segment, { from: to })) {
      if (isPast(text)) return { part, to };
      to += bytes;
    }
    place = { part, to };
  }
  return place;
}

async function* wholeLines(segment: AuditSegment, range: ByteRange): AsyncGenerator<string> {
  for await (const { text, ended } of linesIn(segment, range)) if (ended) yield text;
}

/**
 * Tells of one line after the other whether nothing wanted can be in it or after it. The sealer writes in batches, whose records
 * share their `sealed_at`, and takes the oldest of every shard into each. So all that happened before the end of a range
 * stands before the first batch in which nothing did.
 */
function endOf({ untilMs = Infinity, beforeSeq = Infinity }: AuditRange): (line: string) => boolean {
  let batchMs: number | undefined;
  // Of the batch so far: whether a shard was looked at for it, and whether nothing in it happened in the range.
  let looked = false;
  let late = true;
  return (line) => {
    const position = positionOf(line);
    if (position === undefined) return false;
    if (position.seq >= beforeSeq) return true;
    if (position.sealedAtMs < untilMs) return false;
    if (position.sealedAtMs !== batchMs) {
      if (batchMs !== undefined && looked && late) return true;
      batchMs = position.sealedAtMs;
      looked = false;
      late = true;
    }
    const record = statedRecord(line);
    if (record === undefined || record.origin === null || !('at' in record.event)) return false;
    looked = true;
    late &&= Date.parse(record.event.at) >= untilMs + CLOCKS_APART_MS;
    return false;
  };
}

/** A record with the hash that its line states. */
export type StatedRecord = ChainRecord & { readonly hash: string };

/** A record as its line states it; undefined when it is none. Whether it is genuine is for verifying to find. */
export function statedRecord(line: string): StatedRecord | undefined {
  try {
    const record = JSON.parse(line) as StatedRecord;
    return typeof record.event === 'object' && Number.isSafeInteger(record.seq) ? record : undefined;
  } catch {
    return undefined;
  }
}
