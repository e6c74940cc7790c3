import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { auditSegments, linesIn } from './audit-segments.ts';
import type { JudgedCheckpoint } from './checkpoint-file.ts';
import { checkLine, GENESIS, parseLine, type ChainHead, type LineProblem } from './hash-chain.ts';
import { frontierOf, TreeFrontier } from './merkle/merkle-tree.ts';
import { logFilesAt } from './log-files.ts';
import { TreeFile } from './merkle/tree-file.ts';

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
      readonly files: number;
      /** The first record that is here: what came before it is vouched for by the tree and a checkpoint alone. */
      readonly begins_at: number;
      readonly head: string | null;
      /** Of the Merkle tree over all records. */
      readonly root: string;
      readonly notices: ChainNotices;
      /** The newest checkpoint that vouches for the chain; null where none was looked at. */
      readonly checkpoint: { readonly seq: number; readonly at: string } | null;
    }
  | {
      readonly ok: false;
      /** The file with the fault; null for the checkpoint file, where a checkpoint is torn or of an unknown key. */
      readonly file: string | null;
      readonly line: number;
      readonly problem: LineProblem | 'torn' | 'cut' | 'rewritten' | 'unknown_key';
      readonly detail: string;
    };

/** How far a verification is. */
export interface VerifyProgress {
  /** Bytes on disk; a compressed file counts when it is read. */
  readonly bytes: number;
  readonly totalBytes: number;
  readonly records: number;
}

const PROGRESS_BYTES = 1024 * 1024;

/**
 * Reads an audit log from its first line, rotated files included, and finds the first that is changed, missing, moved or torn.
 * With checkpoints, also that its end was cut off, or that all of it was written anew; each of them must be signed by a known key.
 * Where the oldest files are not here, the tree beside the log stands for them, if a checkpoint vouches for it.
 *
 * @param onProgress told how far it is, at the start of each file and about each MiB.
 */
export async function verifyChainFile(path: string, checkpoints: readonly JudgedCheckpoint[] = [], onProgress?: (progress: VerifyProgress) => void): Promise<ChainVerdict> {
  const vouched = new Map<number, { at: string; hash: string }>();
  for (const judged of checkpoints) {
    if ('problem' in judged) return { ok: false, file: null, line: judged.line, problem: judged.problem, detail: judged.problem === 'torn' ? 'the checkpoint cannot be read' : 'the checkpoint is not signed by any of the given keys' };
    vouched.set(judged.checkpoint.size, { at: judged.at, hash: judged.checkpoint.hash });
  }
  const files = await filesOf(path);
  const start = startOf((await logFilesAt(path)).tree, files[0]?.firstSeq ?? 1, vouched);
  if ('problem' in start) return { ok: false, file: files[0]?.path ?? path, line: 1, ...start };
  let { head } = start;
  const { frontier } = start;
  let records = 0;
  let where = { file: path, line: 1 };
  const notices = { forged: 0, gaps: 0, resets: 0 };
  let missing: Extract<ChainVerdict, { ok: false }> | undefined;
  const sizes = await Promise.all(files.map(async (file) => (await stat(file.path)).size));
  const totalBytes = sizes.reduce((sum, size) => sum + size, 0);
  let before = 0;
  for (const [index, { path: file, gzip }] of files.entries()) {
    let line = 0;
    let [bytes, told] = [0, 0];
    onProgress?.({ bytes: before, totalBytes, records });
    for await (const { text, bytes: length, ended } of linesIn({ path: file, gzip })) {
      line += 1;
      bytes += length;
      if (bytes - told >= PROGRESS_BYTES) {
        told = bytes;
        onProgress?.({ bytes: before + (gzip ? 0 : bytes), totalBytes, records });
      }
      if (missing !== undefined) {
        // One line further tells a record that was moved from one that is gone.
        const follows = parseLine(text)?.seq === head.seq + 1;
        return follows ? { ...missing, problem: 'reordered', detail: `${missing.detail}, and that one follows it` } : missing;
      }
      if (!ended) return { ok: false, file, line, problem: 'torn', detail: 'the last line does not end: it was cut, or is being written' };
      const checked = checkLine(text, head);
      if (!checked.ok) {
        const failed = { ok: false, file, line, problem: checked.problem, detail: checked.detail } as const;
        if (checked.problem !== 'missing') return failed;
        missing = failed;
        continue;
      }
      head = checked.head;
      records += 1;
      frontier.append(Buffer.from(head.hash, 'hex'));
      const said = vouched.get(head.seq);
      if (said !== undefined && said.hash !== head.hash && said.hash !== frontier.root.toString('hex')) {
        return { ok: false, file, line, problem: 'rewritten', detail: `the checkpoint of ${said.at} vouches for other records up to ${head.seq}` };
      }
      count(checked.record.event.type, notices);
    }
    where = { file, line: line + 1 };
    before += sizes[index] ?? 0;
  }
  if (missing !== undefined) return missing;
  const newest = [...vouched].reduce<{ seq: number; at: string } | null>((best, [seq, { at }]) => (best === null || seq > best.seq ? { seq, at } : best), null);
  if (newest !== null && newest.seq > head.seq) {
    return { ok: false, ...where, problem: 'cut', detail: `it ends with record ${head.seq}; the checkpoint of ${newest.at} vouches for ${newest.seq}` };
  }
  return { ok: true, records, files: files.length, begins_at: start.head.seq + 1, head: records === 0 ? null : head.hash, root: frontier.root.toString('hex'), notices, checkpoint: newest };
}

interface LogFile {
  readonly path: string;
  readonly gzip: boolean;
  readonly firstSeq?: number;
}

/** Also the named file whose first line is no record: that is what is being looked for. */
async function filesOf(path: string): Promise<LogFile[]> {
  const segments = await auditSegments(path);
  const named = await stat(path);
  return named.isDirectory() || segments.some((segment) => segment.path === path) ? segments : [...segments, { path, gzip: path.endsWith('.gz') }];
}

type Start = { readonly head: ChainHead; readonly frontier: TreeFrontier } | { readonly problem: 'rewritten'; readonly detail: string };

/** Where to begin: at the first record, or after those for which the tree stands. */
function startOf(treeFile: string, firstSeq: number, vouched: ReadonlyMap<number, { readonly at: string; readonly hash: string }>): Start {
  const before = firstSeq - 1;
  const atFirst = { head: GENESIS, frontier: new TreeFrontier() };
  if (before === 0 || !existsSync(treeFile) || ![...vouched.keys()].some((size) => size >= before)) return atFirst;
  const tree = TreeFile.reading(treeFile);
  try {
    if (tree.leaves < before) return atFirst;
    const leafAt = (seq: number): string => tree.subtree(0, seq - 1).toString('hex');
    for (const [size, { at, hash }] of vouched) {
      if (size > 0 && size <= before && hash !== leafAt(size) && hash !== frontierOf(size, tree.subtree).root.toString('hex')) return { problem: 'rewritten', detail: `the checkpoint of ${at} vouches for other records up to ${size} than the tree` };
    }
    return { head: { seq: before, hash: leafAt(before), epoch: 0 }, frontier: frontierOf(before, tree.subtree) };
  } finally {
    tree.close();
  }
}

function count(type: string, notices: { forged: number; gaps: number; resets: number }): void {
  if (type === 'audit.forged') notices.forged += 1;
  if (type === 'audit.gap') notices.gaps += 1;
  if (type === 'audit.reset') notices.resets += 1;
}
