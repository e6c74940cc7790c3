import { basename } from 'node:path';
import { auditSegments, linesIn } from './audit-segments.ts';
import { checkLine, GENESIS, parseLine, type ChainHead, type ChainRecord, type LineProblem } from './hash-chain.ts';

/** Whether what was read is a whole chain. */
export type ChainStanding =
  | { readonly ok: true; readonly records: number }
  /** The first fault; what stands after it is read all the same, and vouched for by nothing. */
  | { readonly ok: false; readonly records: number; readonly file: string; readonly line: number; readonly problem: LineProblem; readonly detail: string };

export interface ChainWalk {
  readonly records: AsyncIterable<ChainRecord & { readonly hash: string }>;
  /** Of what has been read so far. */
  standing(): ChainStanding;
  bytesRead(): number;
}

/**
 * Reads the records of an audit log in their order, rotated files included, and verifies the chain on the way, so that a reader of last week's
 * records knows whether they are what was written. A last line that is still being written is left out. Throws what the
 * file system says.
 */
export function walkChain(path: string): ChainWalk {
  let head: ChainHead = GENESIS;
  let line = 0;
  let bytesRead = 0;
  let records = 0;
  let broken: { readonly file: string; readonly line: number; readonly problem: LineProblem; readonly detail: string } | undefined;

  async function* read(): AsyncGenerator<ChainRecord & { readonly hash: string }> {
    const segments = await auditSegments(path);
    const first = segments[0]?.firstSeq ?? 1;
    for (const segment of segments) {
      line = 0;
      for await (const { text, bytes, ended } of linesIn(segment)) {
        if (!ended) break;
        line += 1;
        bytesRead += bytes;
        // What was archived before the oldest file is not missed: that one's first record says what it was chained to.
        if (records === 0 && first > 1) head = headBefore(text) ?? head;
        const checked = checkLine(text, head);
        const record = checked.ok ? { ...checked.record, hash: checked.head.hash } : parseLine(text);
        if (!checked.ok) broken ??= { file: basename(segment.path), line, problem: checked.problem, detail: checked.detail };
        if (record === undefined) continue;
        head = { seq: record.seq, hash: record.hash, epoch: record.epoch };
        records += 1;
        yield record;
      }
    }
  }

  return {
    records: read(),
    standing: () => (broken === undefined ? { ok: true, records } : { ok: false, records, ...broken }),
    bytesRead: () => bytesRead,
  };
}

function headBefore(line: string): ChainHead | undefined {
  const record = parseLine(line);
  return record === undefined ? undefined : { seq: record.seq - 1, hash: record.prev, epoch: 0 };
}
