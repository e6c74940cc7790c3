import { createReadStream } from 'node:fs';
import { linesOf } from './file-lines.ts';
import { checkLine, GENESIS, parseLine, type ChainHead, type LineProblem } from './hash-chain.ts';

/** What the sealer noticed while it wrote the chain: signs of somebody at work in Redis. */
export interface ChainNotices {
  readonly forged: number;
  readonly gaps: number;
  readonly resets: number;
}

export type ChainVerdict =
  | { readonly ok: true; readonly records: number; readonly head: string | null; readonly notices: ChainNotices }
  | { readonly ok: false; readonly line: number; readonly problem: LineProblem | 'torn'; readonly detail: string };

/**
 * Reads an audit file from its first line and finds the first that is changed, missing, moved or torn. Needs no key.
 * It cannot tell that lines are missing at the end: only something kept elsewhere could.
 */
export async function verifyChainFile(path: string): Promise<ChainVerdict> {
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
    count(checked.record.event.type, notices);
  }
  return missing ?? { ok: true, records: line, head: line === 0 ? null : head.hash, notices };
}

function count(type: string, notices: { forged: number; gaps: number; resets: number }): void {
  if (type === 'audit.forged') notices.forged += 1;
  if (type === 'audit.gap') notices.gaps += 1;
  if (type === 'audit.reset') notices.resets += 1;
}
