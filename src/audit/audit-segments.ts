import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { linesOf, type FileLine } from './file-lines.ts';
import { positionOf } from './line-position.ts';

/** One file of an audit log: the one that is written, or one that was rotated away. */
export interface AuditSegment {
  readonly path: string;
  readonly gzip: boolean;
  readonly firstSeq: number;
  /** When its first record was sealed. */
  readonly firstSealedAtMs: number;
  /** Of the file, whatever it is called meanwhile. */
  readonly inode: number;
}

/** What stands beside an audit file and holds no records; some of it for a moment only, under a name of its own. */
const NO_SEGMENT = /\.(?:checkpoints|epoch(?:\.[0-9a-f]+)?|tree|state|next)$/;

/**
 * The files of an audit log, oldest first: `path` itself and what was rotated away beside it (`audit.jsonl.1`,
 * `audit.jsonl-20260105.gz`), or every file of a folder. They are ordered by what is in them, whatever they are called. Empty where
 * nothing was sealed yet. Throws what the file system says.
 */
export async function auditSegments(path: string): Promise<AuditSegment[]> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() === true;
  const folder = isFolder ? path : dirname(path);
  const name = basename(path);
  const belongs = (file: string): boolean => isFolder || file === name || file.startsWith(`${name}.`) || file.startsWith(`${name}-`);
  const files = (await readdir(folder)).filter((file) => belongs(file) && !NO_SEGMENT.test(file));
  const found = await Promise.all(files.map((file) => segmentAt(join(folder, file), files)));
  const segments = found.filter((segment) => segment !== undefined).sort((a, b) => a.firstSeq - b.firstSeq || Number(a.gzip) - Number(b.gzip));
  // Says ENOENT where there is nothing at all; a file without a record yet is a log all the same.
  if (segments.length === 0) await stat(path);
  // While a file is being compressed it is there twice.
  return segments.filter(({ firstSeq }, index) => segments[index - 1]?.firstSeq !== firstSeq);
}

async function segmentAt(path: string, siblings: readonly string[]): Promise<AuditSegment | undefined> {
  const gzip = path.endsWith('.gz');
  try {
    const found = await stat(path);
    if (!found.isFile()) return undefined;
    for await (const { text } of linesIn({ path, gzip })) {
      const position = positionOf(text);
      return position === undefined ? undefined : { path, gzip, firstSeq: position.seq, firstSealedAtMs: position.sealedAtMs, inode: found.ino };
    }
    return undefined;
  } catch (error) {
    // Half compressed: its plain form is still there.
    if (gzip && siblings.includes(basename(path, '.gz'))) return undefined;
    throw error;
  }
}

/**
 * Reads the files of a log, and reads them again where they were rotated meanwhile: under a name that was listed stands another
 * file by then.
 */
export async function overSegments<T>(path: string, read: (segments: readonly AuditSegment[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const segments = await auditSegments(path);
    const newest = segments.at(-1);
    const moved = async (): Promise<boolean> => newest !== undefined && attempt < MOVES && (await stat(newest.path).catch(() => undefined))?.ino !== newest.inode;
    try {
      const result = await read(segments);
      if (!(await moved())) return result;
    } catch (error) {
      if (!(await moved())) throw error;
    }
  }
}

/** Rotations that one reading puts up with: two in a row are rare. */
const MOVES = 3;

/** The bytes of a plain file to read: from the start of one line to the start of another. */
export interface ByteRange {
  readonly from: number;
  /** Exclusive; the end of the file when absent. */
  readonly to?: number | undefined;
}

const CHUNK_BYTES = 256 * 1024;

/** The lines of a segment. A compressed one is read as a whole. */
export function linesIn({ path, gzip }: Pick<AuditSegment, 'path' | 'gzip'>, { from, to }: ByteRange = { from: 0 }): AsyncIterable<FileLine> {
  if (gzip) {
    const gunzip = createGunzip();
    // What goes wrong on either side ends the lines with it.
    pipeline(createReadStream(path, { highWaterMark: CHUNK_BYTES }), gunzip, () => undefined);
    return linesOf(gunzip);
  }
  if (to !== undefined && to <= from) return linesOf(nothing());
  return linesOf(createReadStream(path, { start: from, highWaterMark: CHUNK_BYTES, ...(to === undefined ? {} : { end: to - 1 }) }));
}

async function* nothing(): AsyncGenerator<never> {
  // An end before the first byte cannot be said to a stream.
}
