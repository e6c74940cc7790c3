import { createHash } from 'node:crypto';

/**
 * Merkle trees as RFC 6962 section 2.1 and RFC 9162 section 2.1 define them. A leaf's hash is that of its audit record, which has the
 * leaf prefix already (`hash-chain.ts`); nodes have their own, so that no node can pass for a leaf.
 */

/** Bytes of a hash: SHA-256. */
export const HASH_BYTES = 32;
/** The root of the tree without leaves. */
export const EMPTY_ROOT: Buffer = createHash('sha256').digest();
const NODE_PREFIX = Buffer.of(1);

/** The hash of a node. */
export const nodeHash = (left: Buffer, right: Buffer): Buffer => createHash('sha256').update(NODE_PREFIX).update(left).update(right).digest();

/** Reads the hash of a whole subtree: the `index`th of 2^`level` leaves. */
export type SubtreeHash = (level: number, index: number) => Buffer;

/**
 * A tree while it grows: the roots of its whole subtrees, the largest first. Everything that is to be known to go on, and no
 * more: one hash for each bit of its size.
 */
export class TreeFrontier {
  readonly #roots: Buffer[];
  #size: number;

  constructor(size = 0, roots: readonly Buffer[] = []) {
    this.#size = size;
    this.#roots = [...roots];
  }

  get size(): number {
    return this.#size;
  }

  get root(): Buffer {
    return this.#roots.reduceRight<Buffer | undefined>((right, left) => (right === undefined ? left : nodeHash(left, right)), undefined) ?? EMPTY_ROOT;
  }

  /** Takes one more leaf; answers its hash and those of the subtrees that it makes whole, the smallest first. */
  append(leaf: Buffer): Buffer[] {
    const made = [leaf];
    let hash = leaf;
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      const left = this.#roots.pop();
      if (left === undefined) throw new Error('the frontier has fewer hashes than its size says');
      hash = nodeHash(left, hash);
      made.push(hash);
    }
    this.#roots.push(hash);
    this.#size += 1;
    return made;
  }
}

/** The frontier of a tree of so many leaves. */
export function frontierOf(size: number, subtree: SubtreeHash): TreeFrontier {
  const roots: Buffer[] = [];
  let from = 0;
  while (from < size) {
    const level = Math.floor(Math.log2(size - from));
    roots.push(subtree(level, from / 2 ** level));
    from += 2 ** level;
  }
  return new TreeFrontier(size, roots);
}

/** The hashes that prove that leaf `index` is in the tree of `size` leaves, from the leaf up (RFC 6962 section 2.1.1). */
export function inclusionProof(index: number, size: number, subtree: SubtreeHash): Buffer[] {
  if (index < 0 || index >= size) throw new RangeError(`leaf ${index} is not in a tree of ${size}`);
  const path = (from: number, to: number): Buffer[] => {
    if (to - from === 1) return [];
    const middle = from + splitOf(to - from);
    return index < middle ? [...path(from, middle), rangeRoot(middle, to, subtree)] : [...path(middle, to), rangeRoot(from, middle, subtree)];
  };
  return path(0, size);
}

/** The hashes that prove that the tree of `size` leaves begins with that of `before` (RFC 6962 section 2.1.2). */
export function consistencyProof(before: number, size: number, subtree: SubtreeHash): Buffer[] {
  if (before < 1 || before > size) throw new RangeError(`a tree of ${size} does not begin with one of ${before}`);
  const proof = (from: number, to: number, known: boolean): Buffer[] => {
    if (before === to) return known ? [] : [rangeRoot(from, to, subtree)];
    const middle = from + splitOf(to - from);
    return before <= middle ? [...proof(from, middle, known), rangeRoot(middle, to, subtree)] : [...proof(middle, to, false), rangeRoot(from, middle, subtree)];
  };
  return proof(0, size, true);
}

/** The largest power of two below `count`. */
const splitOf = (count: number): number => 2 ** (Math.ceil(Math.log2(count)) - 1);

function rangeRoot(from: number, to: number, subtree: SubtreeHash): Buffer {
  const level = Math.log2(to - from);
  if (Number.isInteger(level)) return subtree(level, from / 2 ** level);
  const middle = from + splitOf(to - from);
  return nodeHash(rangeRoot(from, middle, subtree), rangeRoot(middle, to, subtree));
}

/** Whether the proof shows a leaf to be number `index` (from 0) in the tree with that size and root (RFC 9162 section 2.1.3.2). */
export function verifyInclusion(leaf: Buffer, index: number, size: number, proof: readonly Buffer[], root: Buffer): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else hash = nodeHash(hash, sibling);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && hash.equals(root);
}

/** Whether the proof shows one tree to begin with the other (RFC 9162 section 2.1.4.2). */
export function verifyConsistency(before: { readonly size: number; readonly root: Buffer }, after: { readonly size: number; readonly root: Buffer }, proof: readonly Buffer[]): boolean {
  if (!isCount(before.size) || !isCount(after.size) || before.size < 1 || before.size > after.size) return false;
  if (before.size === after.size) return proof.length === 0 && before.root.equals(after.root);
  const hashes = Number.isInteger(Math.log2(before.size)) ? [before.root, ...proof] : [...proof];
  const first = hashes.shift();
  if (first === undefined) return false;
  let fn = before.size - 1;
  let sn = after.size - 1;
  while (fn % 2 === 1) [fn, sn] = [half(fn), half(sn)];
  let older = first;
  let newer = first;
  for (const hash of hashes) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      older = nodeHash(hash, older);
      newer = nodeHash(hash, newer);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else newer = nodeHash(newer, hash);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && older.equals(before.root) && newer.equals(after.root);
}

const half = (value: number): number => Math.floor(value / 2);
const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
