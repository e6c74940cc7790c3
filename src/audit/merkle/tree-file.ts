import { closeSync, fdatasync, ftruncateSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { frontierOf, HASH_BYTES, type SubtreeHash, type TreeFrontier } from './merkle-tree.ts';

/** The tree stands beside its audit file: keep and move them together. */
export const treeFileOf = (auditFile: string): string => `${auditFile}.tree`;

/**
 * Where the hash of a whole subtree stands: hashes follow each other as the leaves that complete them came, as in Go's
 * `golang.org/x/mod/sumdb/tlog`, so that the file only ever grows, and any proof takes a few reads.
 */
export function storedAt(level: number, index: number): number {
  let leaf = index;
  for (let at = level; at > 0; at -= 1) leaf = 2 * leaf + 1;
  let position = 0;
  for (let rest = leaf; rest > 0; rest = Math.floor(rest / 2)) position += rest;
  return position + level;
}

/** How many hashes a tree of so many leaves has stored. */
export function storedCount(leaves: number): number {
  if (leaves === 0) return 0;
  let count = storedAt(0, leaves - 1) + 1;
  for (let rest = leaves - 1; rest % 2 === 1; rest = Math.floor(rest / 2)) count += 1;
  return count;
}

/**
 * The hashes of every whole subtree of the log. All of it follows from the records, so that it is written without waiting for the
 * disk, and what is past the last mark is made again at start.
 */
export class TreeFile {
  readonly #fd: number;
  readonly #frontier: TreeFrontier;

  private constructor(fd: number, frontier: TreeFrontier) {
    this.#fd = fd;
    this.#frontier = frontier;
  }

  /** Opens it for reading alone. Throws what the file system says. */
  static reading(path: string): { readonly leaves: number; readonly subtree: SubtreeHash; close(): void } {
    const fd = openSync(path, 'r');
    return { leaves: leavesIn(fstatSync(fd).size), subtree: subtreeIn(fd), close: () => { closeSync(fd); } };
  }

  /** Opens or creates it, to go on after so many leaves; what it holds beyond is dropped. Undefined when it holds fewer. */
  static open(path: string, leaves: number): TreeFile | undefined {
    const fd = openSync(path, 'a+', 0o600);
    const bytes = storedCount(leaves) * HASH_BYTES;
    if (fstatSync(fd).size < bytes) {
      closeSync(fd);
      return undefined;
    }
    ftruncateSync(fd, bytes);
    return new TreeFile(fd, frontierOf(leaves, subtreeIn(fd)));
  }

  get size(): number {
    return this.#frontier.size;
  }

  get root(): Buffer {
    return this.#frontier.root;
  }

  get subtree(): SubtreeHash {
    return subtreeIn(this.#fd);
  }

  rootAt(size: number): Buffer {
    return frontierOf(size, this.subtree).root;
  }

  append(leaves: readonly Buffer[]): void {
    const made = leaves.flatMap((leaf) => this.#frontier.append(leaf));
    if (made.length > 0) writeSync(this.#fd, Buffer.concat(made));
  }

  /** Returns when all of it is on the disk. */
  sync(): Promise<void> {
    return promisify(fdatasync)(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** The most leaves whose hashes fit in so many bytes. */
function leavesIn(bytes: number): number {
  const hashes = Math.floor(bytes / HASH_BYTES);
  let low = 0;
  let high = hashes;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (storedCount(middle) <= hashes) low = middle;
    else high = middle - 1;
  }
  return low;
}

const subtreeIn =
  (fd: number): SubtreeHash =>
  (level, index) => {
    const hash = Buffer.alloc(HASH_BYTES);
    if (readSync(fd, hash, 0, HASH_BYTES, storedAt(level, index) * HASH_BYTES) < HASH_BYTES) throw new RangeError(`the tree has no subtree ${index} of level ${level}`);
    return hash;
  };
