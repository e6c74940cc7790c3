import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { appendRecord, GENESIS } from '../../src/audit/hash-chain.ts';
import { verifyChainFile } from '../../src/audit/verify-chain.ts';
import { at } from '../support/at.ts';

let directory: string;
let file: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-audit-'));
  file = join(directory, 'audit.jsonl');
});

afterAll(() => rm(directory, { recursive: true, force: true }));

/** A genuine chain of so many records. */
function chain(length: number): string[] {
  const lines: string[] = [];
  let head = GENESIS;
  for (let i = 0; i < length; i += 1) {
    const next = appendRecord(head, {
      sealed_at: '2026-01-01T00:00:00.000Z',
      epoch: 1,
      origin: null,
      event: { type: 'audit.gap', shard: 'a', from: i, to: i },
    });
    lines.push(next.line);
    head = next.head;
  }
  return lines;
}

async function verify(text: string | Buffer) {
  await writeFile(file, text);
  return verifyChainFile(file);
}

const GOOD = chain(8);

describe('verifying an audit file', () => {
  it('accepts a genuine chain, and tells what its sealer noticed (control)', async () => {
    expect(await verify(GOOD.join(''))).toMatchObject({ ok: true, records: 8, notices: { gaps: 8, forged: 0, resets: 0 } });
    expect(await verify('')).toMatchObject({ ok: true, records: 0, head: null });
  });

  it('finds any single changed byte, in the right line', async () => {
    const bytes = Buffer.from(GOOD.join(''));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (position, change) => {
        const changed = Buffer.from(bytes);
        changed[position] = (changed[position] ?? 0) ^ change;
        const line = bytes.subarray(0, position).toString().split('\n').length;
        const verdict = await verify(changed);
        expect(verdict.ok).toBe(false);
        if (!verdict.ok) expect(verdict.line).toBe(line);
      }),
      { numRuns: 300 },
    );
  });

  it('finds any removed line, says it is missing, and where', async () => {
    for (let i = 0; i < GOOD.length - 1; i += 1) {
      const verdict = await verify(GOOD.toSpliced(i, 1).join(''));
      expect(verdict).toMatchObject({ ok: false, line: i + 1, problem: 'missing' });
    }
  });

  it('finds two lines that changed places, and says reordered', async () => {
    for (let i = 0; i < GOOD.length - 1; i += 1) {
      const swapped = GOOD.with(i, at(GOOD, i + 1)).with(i + 1, at(GOOD, i));
      expect(await verify(swapped.join(''))).toMatchObject({ ok: false, line: i + 1, problem: 'reordered' });
    }
  });

  it('finds a line that stands twice', async () => {
    expect(await verify(GOOD.toSpliced(3, 0, at(GOOD, 2)).join(''))).toMatchObject({ ok: false, line: 4, problem: 'reordered' });
  });

  it('finds a last line that was torn', async () => {
    expect(await verify(GOOD.join('').slice(0, -5))).toMatchObject({ ok: false, line: 8, problem: 'torn' });
  });

  it('cannot find a whole tail cut off: a chain alone does not show its end', async () => {
    expect(await verify(GOOD.slice(0, 5).join(''))).toMatchObject({ ok: true, records: 5 });
  });
});
