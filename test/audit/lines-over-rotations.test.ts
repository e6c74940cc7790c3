import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { auditSegments } from '../../src/audit/audit-segments.ts';
import { linesOverRotations } from '../../src/audit/lines-over-rotations.ts';
import { linesForward } from '../../src/audit/read-range.ts';
import { recordsOf } from '../../src/audit/search-audit.ts';
import { chainOf, taskEvents } from '../support/audit-log.ts';

const lines = chainOf(Array.from({ length: 12 }, (_, n) => taskEvents(`tsk_${n}`, 'agent:refunds', { from: '10:00', to: '10:05' })).flat()).lines;
const third = Math.floor(lines.length / 3);
const all = lines.map((_, index) => index + 1);

let folder: string;
let live: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-rotations-'));
  live = join(folder, 'audit.jsonl');
  await writeFile(`${live}.1`, lines.slice(0, third).join(''));
  await writeFile(live, lines.slice(third, 2 * third).join(''));
});
afterEach(() => rm(folder, { recursive: true }));

/** Reads to the end, and rotates the live file away when so many lines were read. */
async function readWhileRotating(from: AsyncIterable<string>, after: number): Promise<number[]> {
  const seen: number[] = [];
  for await (const line of from) {
    seen.push((JSON.parse(line) as { seq: number }).seq);
    if (seen.length !== after) continue;
    await rename(live, `${live}.${third + 1}`);
    await writeFile(live, lines.slice(2 * third).join(''));
  }
  return seen;
}

describe('a log that is rotated while it is read', () => {
  it.each([1, third - 1, third, third + 1, 2 * third - 1])('is read whole, each record once (rotated after %i)', async (after) => {
    expect(await readWhileRotating(linesOverRotations(live, {}), after)).toEqual(all);
  });

  it('would be read with a hole by its files as they were listed (control)', async () => {
    const seen = await readWhileRotating(linesForward(await auditSegments(live), {}), 1);
    expect(seen).not.toContain(third + 1);
    expect(seen).toContain(lines.length);
  });

  it('is read to the end where records are missing for good', async () => {
    await writeFile(live, lines.slice(third + 2).join(''));
    const seen: number[] = [];
    for await (const line of linesOverRotations(live, {})) seen.push((JSON.parse(line) as { seq: number }).seq);
    expect(seen).toEqual(all.filter((seq) => seq <= third || seq > third + 2));
  });

  it('is read no further when nobody wants it any more, although nothing in it fits', async () => {
    const gone = new AbortController();
    const reading = recordsOf(live, { type: 'nothing' }, () => { gone.signal.throwIfAborted(); }).next();
    gone.abort();
    await expect(reading).rejects.toThrow(/abort/);
    // Else it is (control).
    expect(await recordsOf(live, { type: 'nothing' }).next()).toEqual({ done: true, value: undefined });
  });
});
