import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import type { ChainRecord } from './hash-chain.ts';
import { HASH_BYTES, verifyConsistency, verifyInclusion } from './merkle/merkle-tree.ts';
import { openNote, type NoteVerifier } from './signed-note.ts';

export const PROOF_FORMAT = 'mayfly-audit-proof/v1';
export const CONSISTENCY_FORMAT = 'mayfly-audit-consistency/v1';

const hashes = z.array(z.string().regex(/^[A-Za-z0-9+/]{43}=$/)).max(64);

/** Records with all it takes to see that they are in a signed log. Binary values are base64. */
export const proofBundle = z.strictObject({
  format: z.literal(PROOF_FORMAT),
  /** The signed note. */
  checkpoint: z.string(),
  records: z
    .array(
      z.strictObject({
        /** Of the leaf, from 0: `seq - 1`. */
        index: z.int().min(0),
        /** The record's canonical JSON without its `hash`, byte for byte. */
        leaf: z.string(),
        /** The audit path, from the leaf up. */
        path: hashes,
      }),
    )
    .min(1),
});

export const consistencyBundle = z.strictObject({ format: z.literal(CONSISTENCY_FORMAT), old: z.string(), new: z.string(), path: hashes });

export const anyBundle = z.discriminatedUnion('format', [proofBundle, consistencyBundle]);
export type ProofBundle = z.infer<typeof proofBundle>;
export type ConsistencyBundle = z.infer<typeof consistencyBundle>;

/** What a bundle proves. */
export type Proven =
  | { readonly kind: 'records'; readonly checkpoint: Checkpoint; readonly records: readonly ChainRecord[] }
  | { readonly kind: 'consistency'; readonly old: Checkpoint; readonly new: Checkpoint };

/** A bundle that proves nothing, and why. */
export class ProofRefused extends Error {
  override readonly name = 'ProofRefused';
}

/** Checks a bundle against keys that may sign for its log. Throws `ProofRefused` with what is wrong. */
export function verifyBundle(value: unknown, verifiers: readonly NoteVerifier[]): Proven {
  const parsed = anyBundle.safeParse(value);
  if (!parsed.success) throw new ProofRefused(`this is no proof that mayfly wrote: ${z.prettifyError(parsed.error)}`);
  const bundle = parsed.data;
  if (bundle.format === CONSISTENCY_FORMAT) {
    const [older, newer] = [opened(bundle.old, verifiers, 'the old checkpoint'), opened(bundle.new, verifiers, 'the new checkpoint')];
    if (older.origin !== newer.origin) throw new ProofRefused(`the checkpoints are of two logs, ${older.origin} and ${newer.origin}`);
    if (!verifyConsistency(treeOf(older), treeOf(newer), bundle.path.map(hashFrom))) throw new ProofRefused(`the log of ${newer.size} records does not begin with that of ${older.size}, by this proof`);
    return { kind: 'consistency', old: older, new: newer };
  }
  const checkpoint = opened(bundle.checkpoint, verifiers, 'the checkpoint');
  const { size, root } = treeOf(checkpoint);
  const records = bundle.records.map(({ index, leaf, path }) => {
    if (!verifyInclusion(leafHash(leaf), index, size, path.map(hashFrom), root)) throw new ProofRefused(`record ${index + 1} is not in the log of ${size} records, by this proof`);
    return recordOf(leaf, index);
  });
  return { kind: 'records', checkpoint, records };
}

/** The hash of a record's canonical JSON without its `hash`. */
export const leafHash = (leaf: string): Buffer => createHash('sha256').update('\0').update(leaf).digest();

function opened(note: string, verifiers: readonly NoteVerifier[], what: string): Checkpoint {
  const text = openNote(note, verifiers);
  if (text === undefined) throw new ProofRefused(`${what} is not signed by any of the given keys, or was changed`);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint === undefined) throw new ProofRefused(`${what} is signed, and is no checkpoint`);
  // A key signs for the log of its own name alone.
  if (!verifiers.some(({ name }) => name === checkpoint.origin)) throw new ProofRefused(`${what} is of the log ${checkpoint.origin}, for which none of the given keys signs`);
  return checkpoint;
}

const treeOf = ({ size, hash }: Checkpoint): { readonly size: number; readonly root: Buffer } => ({ size, root: Buffer.from(hash, 'hex') });

function hashFrom(text: string): Buffer {
  const hash = Buffer.from(text, 'base64');
  if (hash.length !== HASH_BYTES) throw new ProofRefused('a hash of the proof is not of 32 bytes');
  return hash;
}

function recordOf(leaf: string, index: number): ChainRecord {
  const record = JSON.parse(leaf) as ChainRecord;
  if (record.seq !== index + 1) throw new ProofRefused(`leaf ${index} is record ${record.seq}`);
  return record;
}
