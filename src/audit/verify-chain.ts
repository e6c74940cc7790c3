import { createReadStream } from 'node:fs';
import type { JudgedCheckpoint } from './checkpoint-file.ts';
import { linesOf } from './file-lines.ts';
import { checkLine, GENESIS, parseLine, type ChainHead, type LineProblem } from './hash-chain.ts';

/** What the sealer noticed while it wrote the chain: signs of somebody at work in Redis. */
export interface ChainNotices {
  readonly forged: number;
  readonly gaps: number;
  readonly resets: number;
}

export type ChainVerdict =
  | {
      readonly ok: true;
      readonly records: number;
      readonly head: string | null;
      readonly notices: ChainNotices;
      /** The newest checkpoint that vouches for the chain; null where none was looked at. */
      readonly checkpoint: { readonly seq: number; readonly at: string } | null;
    }
  | {
      readonly ok: false;
      /** Of the audit file; of the checkpoint file for `unknown_key` and a torn checkpoint. */
      readonly line: number;
      readonly problem: LineProblem | 'torn' | 'cut' | 'rewritten' | 'unknown_key';
      readonly detail: string;
    };

/**
 * Reads an audit file from its first line and finds the first that is changed, missing, moved or torn. With checkpoints,
 * also that its end was cut off, or that all of it was written anew; each of them must be signed by a known key.
 */
export async function verifyChainFile(path: string, checkpoints: readonly JudgedCheckpoint[] = []): Promise<ChainVerdict> {
  const vouched = new Map<number, { at: string; hash: string }>();
  for (const judged of checkpoints) {
    if ('problem' in judged) return { ok: false, line: judged.line, problem: judged.problem, detail: judged.problem === 'torn' ? 'the checkpoint cannot be read' : 'the checkpoint is not signed by any of the given keys' };
    vouched.set(judged.checkpoint.seq, { at: judged.at, hash: judged.checkpoint.hash });
  }
  let head: ChainHead = GENESIS;
  let line = 0;
  const notices = { forged: 0, gaps: 0, resets: 0 };
  let missing: Extract<ChainVerdict, { ok: false }> | undefined;
  for await (const { text, ended } of linesOf(createReadStream(path))) {
    line += 1;
    if (missing !== undefined) {
      // One line further tells a record that was moved from one that is gone.
      const follows = parseLine(text)?.seq === head.seq + 1;
      return follows ? { ...missing, problem: 'reordered', detail: `${missing.detail}, and that one follows it` } : missing;
    }
    if (!ended) return { ok: false, line, problem: 'torn', detail: 'the last line does not end: it was cut, or is being written' };
    const checked = checkLine(text, head);
    if (!checked.ok) {
      const failed = { ok: false, line, problem: checked.problem, detail: checked.detail } as const;
      if (checked.problem !== 'missing') return failed;
      missing = failed;
      continue;
    }
    head = checked.head;
    const said = vouched.get(head.seq);
    if (said !== undefined && said.hash !== head.hash) {
      return { ok: false, line, problem: 'rewritten', detail: `the checkpoint of ${said.at} vouches for another record ${head.seq}` };
    }
    count(checked.record.event.type, notices);
  }
  if (missing !== undefined) return missing;
  const newest = [...vouched].reduce<{ seq: number; at: string } | null>((best, [seq, { at }]) => (best === null || seq > best.seq ? { seq, at } : best), null);
  if (newest !== null && newest.seq > head.seq) {
    return { ok: false, line: line + 1, problem: 'cut', detail: `it ends with record ${head.seq}; the checkpoint of ${newest.at} vouches for ${newest.seq}` };
  }
  return { ok: true, records: line, head: line === 0 ? null : head.hash, notices, checkpoint: newest };
}

function count(type: string, notices: { forged: number; gaps: number; resets: number }): void {
  if (type === 'audit.forged') notices.forged += 1;
  if (type === 'audit.gap') notices.gaps += 1;
  if (type === 'audit.reset') notices.resets += 1;
}
