import { auditSegments, type AuditSegment } from './audit-segments.ts';
import { RECENT_IDS, type Recovered } from './chain-sink.ts';
import { readChainState, stateFileOf, type ChainState } from './chain-state.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkLine, GENESIS, parseLine, type ChainHead } from './hash-chain.ts';
import { positionOf } from './line-position.ts';
import { TreeFile, treeFileOf } from './merkle/tree-file.ts';
import { linesForward, statedRecord } from './read-range.ts';

/** The log ends before, or says otherwise than, what was signed for it, or is no longer all here. */
export class ChainFileCut extends Error {
  override readonly name = 'ChainFileCut';
}

export interface RecoveredLog {
  readonly recovered: Omit<Recovered, 'cutBytes'>;
  readonly tree: TreeFile;
  /** The first record of the file that is written; the next one where that file is empty. */
  readonly firstSeq: number;
}

const ANEW = 'to start anew, move it, and all that is named like it, into another folder';

/**
 * Finds where a log stands. From its last mark where there is one: then no more is read than what came after, and the newest
 * events for their ids. Else from its first record on. Throws `ChainFileCut` when the log does not hold what `signed` vouches
 * for: continuing it would sign over the gap.
 */
export async function recoverChain(path: string, signed: Pick<Checkpoint, 'size' | 'hash'> | undefined): Promise<RecoveredLog> {
  const segments = await auditSegments(path);
  // One that cannot be read costs a longer start, no more.
  const state = await readChainState(stateFileOf(path)).catch(() => undefined);
  const fromMark = state === undefined ? undefined : await readOn(path, segments, state);
  if (fromMark !== undefined && holds(fromMark.tree, signed)) return fromMark;
  fromMark?.tree.close();
  const afresh = await readAll(path, segments);
  if (!holds(afresh.tree, signed)) {
    afresh.tree.close();
    throw new ChainFileCut(`the audit file does not hold record ${signed?.size ?? 0} as its last checkpoint signed it: it was cut or rewritten; ${ANEW}`);
  }
  return afresh;
}

/** Whether the log is, up to there, what was signed: as the root of its tree, or as before trees, as the last record's hash. */
function holds(tree: TreeFile, signed: Pick<Checkpoint, 'size' | 'hash'> | undefined): boolean {
  if (signed === undefined || signed.size === 0) return true;
  if (signed.size > tree.size) return false;
  return tree.rootAt(signed.size).toString('hex') === signed.hash || tree.subtree(0, signed.size - 1).toString('hex') === signed.hash;
}

/** From the last mark; undefined where the log or its tree are not as it says. */
async function readOn(path: string, segments: readonly AuditSegment[], state: ChainState): Promise<RecoveredLog | undefined> {
  const { seq, hash } = state.head;
  const tree = TreeFile.open(treeFileOf(path), seq);
  if (tree === undefined) return undefined;
  if (seq > 0 && tree.subtree(0, seq - 1).toString('hex') === hash) {
    const reading = new Reading(tree, state);
    for await (const line of linesForward(segments, { afterSeq: Math.max(0, seq - RECENT_IDS) })) reading.take(line);
    if (reading.foundMark) return reading.result(path, segments);
  }
  tree.close();
  return undefined;
}

/** From the first record. */
async function readAll(path: string, segments: readonly AuditSegment[]): Promise<RecoveredLog> {
  const current = segments.find((segment) => segment.path === path);
  // A file that begins with the first record is a log of its own, and so is an empty one, whatever lies beside it.
  const own = current === undefined ? [] : current.firstSeq === 1 ? [current] : segments;
  const first = own[0]?.firstSeq ?? 1;
  if (first > 1) throw new ChainFileCut(`the audit file begins with record ${first}, and neither what came before it nor ${treeFileOf(path)} is whole; bring back either, or ${ANEW}`);
  const tree = TreeFile.open(treeFileOf(path), 0);
  if (tree === undefined) throw new Error('a tree without leaves is always there');
  const reading = new Reading(tree, { head: GENESIS, last: new Map() });
  for await (const line of linesForward(own, {})) reading.take(line);
  return reading.result(path, own);
}

/** Leaves that are added to the tree at once. */
const LEAVES_AT_ONCE = 10_000;

/** What is learned from one line after the other. */
class Reading {
  readonly #tree: TreeFile;
  readonly #mark: ChainHead;
  readonly #last: Map<string, { streamId: string; n: number }>;
  readonly #recentIds: string[] = [];
  #leaves: Buffer[] = [];
  #head: ChainHead;
  foundMark = false;

  constructor(tree: TreeFile, { head, last }: ChainState) {
    this.#tree = tree;
    this.#mark = head;
    this.#head = head;
    this.#last = new Map(last);
  }

  take(line: string): void {
    const position = positionOf(line);
    if (position !== undefined && position.seq <= this.#mark.seq) {
      const record = statedRecord(line);
      if (record === undefined) return;
      if (record.seq === this.#mark.seq) this.foundMark = record.hash === this.#mark.hash;
      if ('id' in record.event) this.#remember(record.event.id);
      return;
    }
    const checked = checkLine(line, this.#head);
    // The file with the marked record itself may be archived by now: the next one is chained to it.
    if (checked.ok && checked.record.seq === this.#mark.seq + 1) this.foundMark = true;
    // A changed record is for `mayfly audit verify` to find: the chain is continued from what its last one says.
    const stated = checked.ok ? { ...checked.record, hash: checked.head.hash } : parseLine(line);
    if (stated === undefined) return;
    if (stated.seq !== this.#head.seq + 1) throw new ChainFileCut(`the audit file holds record ${stated.seq} after record ${this.#head.seq}; see mayfly audit verify; ${ANEW}`);
    this.#head = { seq: stated.seq, hash: stated.hash, epoch: stated.epoch };
    this.#leaves.push(Buffer.from(stated.hash, 'hex'));
    if (this.#leaves.length === LEAVES_AT_ONCE) this.#flush();
    if (stated.origin !== null) this.#last.set(stated.origin.shard, { streamId: stated.origin.stream_id, n: stated.origin.n });
    if ('id' in stated.event) this.#remember(stated.event.id);
  }

  result(path: string, segments: readonly AuditSegment[]): RecoveredLog {
    this.#flush();
    const current = segments.find((segment) => segment.path === path);
    return { tree: this.#tree, firstSeq: current?.firstSeq ?? this.#head.seq + 1, recovered: { head: this.#head, last: this.#last, recentIds: this.#recentIds.slice(-RECENT_IDS) } };
  }

  #remember(id: string): void {
    this.#recentIds.push(id);
    if (this.#recentIds.length > 2 * RECENT_IDS) this.#recentIds.splice(0, RECENT_IDS);
  }

  #flush(): void {
    this.#tree.append(this.#leaves);
    this.#leaves = [];
  }
}
