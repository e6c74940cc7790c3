import { open, type FileHandle } from 'node:fs/promises';
import { linesOf } from './file-lines.ts';

/** Where a record stands in the log. */
export interface LinePosition {
  readonly seq: number;
  readonly sealedAtMs: number;
}

/** A record's members are sorted, so that these two end its line. */
const POSITION = /"sealed_at":"([^"]+)","seq":(\d{1,16})\}$/;
/** Longer than the end of a line that `POSITION` looks for. */
const POSITION_CHARS = 96;

/** Where a line stands; undefined when it is no record. Reads its end alone. */
export function positionOf(line: string): LinePosition | undefined {
  const [, sealedAt = '', seq] = POSITION.exec(line.slice(-POSITION_CHARS)) ?? [];
  // A time that is none does not keep the record from being found by its number.
  return seq === undefined ? undefined : { seq: Number(seq), sealedAtMs: Date.parse(sealedAt) || -Infinity };
}

/** So close to each other, two places are found faster by reading than by seeking. */
const NEAR_BYTES = 64 * 1024;

/**
 * The offset of the first wanted line of a plain audit file, its size where none is. `wanted` must be false of all lines up to
 * some place and true of all after it.
 */
export async function seekLine(path: string, wanted: (position: LinePosition) => boolean): Promise<number> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    let low = 0;
    let high = size;
    while (high - low > NEAR_BYTES) {
      const middle = Math.floor((low + high) / 2);
      const next = await recordFrom(file, middle, { midLine: true });
      if (next === undefined || next.offset >= high || wanted(next.position)) high = middle;
      else low = next.offset;
    }
    const found = await recordFrom(file, low, { midLine: false, wanted });
    return found?.offset ?? size;
  } finally {
    await file.close();
  }
}

/** Where the first line begins that begins after an offset into a plain file; `end` where none does before that. */
export async function nextLine(path: string, offset: number, end: number): Promise<number> {
  const file = await open(path);
  try {
    let at = offset;
    for await (const { bytes } of linesOf(chunksFrom(file, offset))) {
      // The first is what the offset fell into.
      at += bytes;
      break;
    }
    return Math.min(at, end);
  } finally {
    await file.close();
  }
}

interface Found {
  readonly offset: number;
  readonly position: LinePosition;
}

/** The first whole record from an offset on that is wanted. `midLine`: the offset may be within a line, which does not count. */
async function recordFrom(file: FileHandle, offset: number, { midLine, wanted = () => true }: { midLine: boolean; wanted?: (position: LinePosition) => boolean }): Promise<Found | undefined> {
  let at = offset;
  let skip = midLine;
  for await (const { text, bytes, ended } of linesOf(chunksFrom(file, offset))) {
    const position = skip || !ended ? undefined : positionOf(text);
    if (position !== undefined && wanted(position)) return { offset: at, position };
    skip = false;
    at += bytes;
  }
  return undefined;
}

async function* chunksFrom(file: FileHandle, offset: number): AsyncGenerator<Buffer> {
  for (let at = offset; ; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(NEAR_BYTES), 0, NEAR_BYTES, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
