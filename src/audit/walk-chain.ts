import { createReadStream } from 'node:fs';
import { linesOf } from './file-lines.ts';
import { checkLine, GENESIS, parseLine, type ChainHead, type ChainRecord, type LineProblem } from './hash-chain.ts';

/** Whether what was read is a whole chain. */
export type ChainStanding =
  | { readonly ok: true; readonly records: number }
  /** The first fault; what stands after it is read all the same, and vouched for by nothing. */
  | { readonly ok: false; readonly records: number; readonly line: number; readonly problem: LineProblem; readonly detail: string };

export interface ChainWalk {
  readonly records: AsyncIterable<ChainRecord & { readonly hash: string }>;
  /** Of what has been read so far. */
  standing(): ChainStanding;
  bytesRead(): number;
}

/**
 * Reads the records of an audit file in their order and verifies the chain on the way, so that a reader of last week's
 * records knows whether they are what was written. A last line that is still being written is left out. Throws what the
 * file system says.
 */
export function walkChain(path: string): ChainWalk {
  let head: ChainHead = GENESIS;
  let line = 0;
  let bytesRead = 0;
  let records = 0;
  let broken: { readonly line: number; readonly problem: LineProblem; readonly detail: string } | undefined;

  async function* read(): AsyncGenerator<ChainRecord & { readonly hash: string }> {
    for await (const { text, bytes, ended } of linesOf(createReadStream(path))) {
      if (!ended) return;
      line += 1;
      bytesRead += bytes;
      const checked = checkLine(text, head);
      const record = checked.ok ? { ...checked.record, hash: checked.head.hash } : parseLine(text);
      if (!checked.ok) broken ??= { line, problem: checked.problem, detail: checked.detail };
      if (record === undefined) continue;
      head = { seq: record.seq, hash: record.hash, epoch: record.epoch };
      records += 1;
      yield record;
    }
  }

  return {
    records: read(),
    standing: () => (broken === undefined ? { ok: true, records } : { ok: false, records, ...broken }),
    bytesRead: () => bytesRead,
  };
}
