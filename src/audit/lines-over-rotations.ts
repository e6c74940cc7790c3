import { stat } from 'node:fs/promises';
import { auditSegments, type AuditSegment } from './audit-segments.ts';
import { positionOf } from './line-position.ts';
import { linesForward, type AuditRange } from './read-range.ts';

/** Readings in a row that may fail because files moved. */
const MOVES = 3;

/**
 * The lines of a log that can hold what happened in a range, oldest first, each once, however its files are rotated meanwhile: a
 * reader that takes its time must not miss records that moved to another file. Ends at what was the last record when it got there.
 * Throws what the file system says.
 */
export async function* linesOverRotations(path: string, range: Pick<AuditRange, 'sinceMs' | 'untilMs'>): AsyncGenerator<string> {
  let lastSeq = 0;
  for (let failed = 0; ; ) {
    const segments = await auditSegments(path);
    try {
      const wasWhole = yield* linesAfter(segments);
      if (wasWhole && !(await hasMoved(segments))) return;
      failed = 0;
    } catch (error) {
      failed += 1;
      if (failed === MOVES || !(await hasMoved(segments))) throw error;
    }
  }

  /** False where it stopped before a record that does not follow, in a file that took the place of another. */
  async function* linesAfter(segments: readonly AuditSegment[]): AsyncGenerator<string, boolean> {
    for await (const line of linesForward(segments, { ...range, ...(lastSeq === 0 ? {} : { afterSeq: lastSeq }) })) {
      const seq = positionOf(line)?.seq ?? lastSeq;
      if (lastSeq > 0 && seq > lastSeq + 1 && (await hasMoved(segments))) return false;
      if (seq <= lastSeq) continue;
      lastSeq = seq;
      yield line;
    }
    return true;
  }
}

/** Whether under the name of the newest file stands another one by now. */
async function hasMoved(segments: readonly AuditSegment[]): Promise<boolean> {
  const newest = segments.at(-1);
  return newest !== undefined && (await stat(newest.path).catch(() => undefined))?.ino !== newest.inode;
}
