import { access } from 'node:fs/promises';
import { canonicalJson } from '../core/canonical-json.ts';
import { overSegments, type AuditSegment } from './audit-segments.ts';
import { checkpointsNewestFirst } from './checkpoint-file.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { logFilesAt } from './log-files.ts';
import { consistencyProof, frontierOf, inclusionProof, nodeHash, verifyInclusion, type SubtreeHash } from './merkle/merkle-tree.ts';
import { TreeFile } from './merkle/tree-file.ts';
import { CONSISTENCY_FORMAT, leafHash, PROOF_FORMAT, type ConsistencyBundle, type ProofBundle } from './proof-bundle.ts';
import { linesForward, statedRecord, type StatedRecord } from './read-range.ts';
import { noteText } from './signed-note.ts';

/** A proof that cannot be made, and why. */
export class NoProof extends Error {
  override readonly name = 'NoProof';
}

/** The record with a number or an event id; undefined where it is not here. */
export function findRecord(path: string, reference: string): Promise<StatedRecord | undefined> {
  const seq = /^[1-9]\d{0,14}$/.test(reference) ? Number(reference) : undefined;
  return overSegments(path, async (segments) => {
    for await (const line of linesForward(segments, seq === undefined ? {} : { afterSeq: seq - 1 })) {
      if (seq === undefined && !line.includes(`"${reference}"`)) continue;
      const record = statedRecord(line);
      if (record === undefined) continue;
      if (seq === undefined ? 'id' in record.event && record.event.id === reference : record.seq === seq) return record;
      if (seq !== undefined && record.seq > seq) return undefined;
    }
    return undefined;
  });
}

/** Proves records by the newest checkpoint of their log. Throws `NoProof`, or what the file system says. */
export async function proveRecords(path: string, records: readonly StatedRecord[]): Promise<ProofBundle> {
  return withTree(path, async (tree, checkpoints) => {
    const newest = records.reduce((most, { seq }) => Math.max(most, seq), 0);
    const { note, checkpoint } = await signedTree(tree, checkpoints, newest);
    const root = Buffer.from(checkpoint.hash, 'hex');
    const proven = records.map(({ hash, ...record }) => {
      const index = record.seq - 1;
      const leaf = canonicalJson(record);
      const proof = inclusionProof(index, checkpoint.size, tree.subtree);
      if (leafHash(leaf).toString('hex') !== hash || !verifyInclusion(leafHash(leaf), index, checkpoint.size, proof, root)) {
        throw new NoProof(`record ${record.seq} is not the one that was signed: it was changed; see mayfly audit verify`);
      }
      return { index, leaf, path: proof.map((one) => one.toString('base64')) };
    });
    return { format: PROOF_FORMAT, checkpoint: note, records: proven };
  });
}

/** Proves that the newest checkpoint of a log continues an older one. Throws `NoProof`, or what the file system says. */
export async function proveConsistency(path: string, oldNote: string, newNote?: string): Promise<ConsistencyBundle> {
  return withTree(path, async (tree, checkpoints) => {
    const older = checkpointIn(oldNote, 'the old checkpoint');
    const newer = newNote === undefined ? await signedTree(tree, checkpoints, older.size) : { note: newNote, checkpoint: checkpointIn(newNote, 'the new checkpoint') };
    for (const [what, checkpoint] of [['old', older], ['new', newer.checkpoint]] as const) {
      if (checkpoint.size > tree.leaves || checkpoint.size === 0) throw new NoProof(`the ${what} checkpoint is of ${checkpoint.size} records, and the log here has ${tree.leaves}`);
      if (rootAt(tree, checkpoint.size) !== checkpoint.hash) throw new NoProof(whyNot(what, tree, checkpoint));
    }
    if (older.size > newer.checkpoint.size) throw new NoProof('the old checkpoint has more records than the new one: name them the other way round');
    return { format: CONSISTENCY_FORMAT, old: oldNote, new: newer.note, path: consistencyProof(older.size, newer.checkpoint.size, tree.subtree).map((hash) => hash.toString('base64')) };
  });
}

/** The newest kept checkpoint of so many records, signed by whomever. Throws `NoProof` where there is none. */
export async function signedNoteOf(path: string, size: number): Promise<string> {
  const { checkpoints } = await logFilesAt(path);
  for await (const { note } of checkpointsNewestFirst(checkpoints)) {
    const checkpoint = checkpointIn(note, 'a kept checkpoint');
    if (checkpoint.size === size) return note;
    if (checkpoint.size < size) throw new NoProof(`no checkpoint of ${size} records is kept here; the next smaller one is of ${checkpoint.size}`);
  }
  throw new NoProof(`no checkpoint of ${size} records is kept here, and none of fewer`);
}

interface Tree {
  readonly leaves: number;
  readonly subtree: SubtreeHash;
}

const rootAt = (tree: Tree, size: number): string => frontierOf(size, tree.subtree).root.toString('hex');

const whyNot = (what: string, tree: Tree, { size, hash }: Checkpoint): string =>
  tree.subtree(0, size - 1).toString('hex') === hash
    ? `the ${what} checkpoint is of before this log had a tree: it names the last record's hash, and mayfly audit verify checks it`
    : `the ${what} checkpoint is not of this log as it is here: one of them was changed`;

/** The newest checkpoint, signed by whomever, that is of this tree. */
async function signedTree(tree: Tree, checkpointFile: string, atLeast: number): Promise<{ readonly note: string; readonly checkpoint: Checkpoint }> {
  for await (const { note } of checkpointsNewestFirst(checkpointFile)) {
    const checkpoint = checkpointIn(note, 'a kept checkpoint');
    // A crash can leave fewer records than were signed for no longer than until the next start.
    if (checkpoint.size > tree.leaves) continue;
    if (checkpoint.size < atLeast) break;
    if (rootAt(tree, checkpoint.size) !== checkpoint.hash) throw new NoProof(whyNot('newest', tree, checkpoint));
    return { note, checkpoint };
  }
  throw new NoProof(`no checkpoint vouches for record ${atLeast} yet: the next comes within audit.checkpoint_seconds, if keys.checkpoint_key_files are configured`);
}

function checkpointIn(note: string, what: string): Checkpoint {
  const text = noteText(note);
  const checkpoint = text === undefined ? undefined : parseCheckpoint(text);
  if (checkpoint === undefined) throw new NoProof(`${what} is no checkpoint`);
  return checkpoint;
}

/** With the tree beside the log, or one that is made of all its records where there is none. */
async function withTree<T>(path: string, use: (tree: Tree, checkpoints: string) => Promise<T>): Promise<T> {
  const { records, tree, checkpoints } = await logFilesAt(path);
  const kept = await access(tree).then(() => true, () => false);
  if (!kept) return use(await overSegments(records, treeOfRecords), checkpoints);
  const file = TreeFile.reading(tree);
  try {
    return await use(file, checkpoints);
  } finally {
    file.close();
  }
}

async function treeOfRecords(segments: readonly AuditSegment[]): Promise<Tree> {
  if ((segments[0]?.firstSeq ?? 1) > 1) throw new NoProof(`the log begins with record ${segments[0]?.firstSeq ?? 0}, and its tree is not here`);
  const levels: Buffer[][] = [[]];
  for await (const line of linesForward(segments, {})) {
    const record = statedRecord(line);
    if (record !== undefined) levels[0]?.push(Buffer.from(record.hash, 'hex'));
  }
  for (let below = levels[0] ?? []; below.length > 1; ) {
    const level = below.flatMap((left, index) => {
      const right = below[index + 1];
      return index % 2 === 0 && right !== undefined ? [nodeHash(left, right)] : [];
    });
    levels.push(level);
    below = level;
  }
  return {
    leaves: levels[0]?.length ?? 0,
    subtree: (level, index) => {
      const hash = levels[level]?.[index];
      if (hash === undefined) throw new RangeError(`the tree has no subtree ${index} of level ${level}`);
      return hash;
    },
  };
}
