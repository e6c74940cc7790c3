import { copyFile, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { ChainFile, ChainFileMoved, type ChainFileOptions } from '../../src/audit/chain-file.ts';
import { ChainFileCut } from '../../src/audit/recover-chain.ts';
import { GENESIS, type ChainHead } from '../../src/audit/hash-chain.ts';
import { TreeFrontier } from '../../src/audit/merkle/merkle-tree.ts';
import { verifyChainFile } from '../../src/audit/verify-chain.ts';
import { at } from '../support/at.ts';
import { chainOf, type StatedEvent } from '../support/audit-log.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-chain-'));
  file = join(directory, 'audit.jsonl');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const event = (index: number): StatedEvent => ({ at: '10:00', type: 'task.declared', task: `tsk_${index}`, facts: {} });
const batchOf = (count: number, from: ChainHead) => {
  const { lines, head } = chainOf(Array.from({ length: count }, (_, index) => event(from.seq + index)), from);
  const hashes = lines.map((line) => (JSON.parse(line) as { hash: string }).hash);
  return { lines: lines.join(''), hashes, head, last: new Map([['a', { streamId: `${head.seq}-0`, n: head.seq }]]) };
};

/** Opens the log, writes so many records, closes it. */
async function write(count: number, options: ChainFileOptions = {}): Promise<{ head: ChainHead; root: string }> {
  const chain = await ChainFile.open(file, options);
  try {
    let { head } = chain.recovered;
    for (let left = count; left > 0; left -= 1) {
      const batch = batchOf(1, head);
      await chain.append(batch);
      head = batch.head;
    }
    return { head, root: chain.tree.root.toString('hex') };
  } finally {
    await chain.close();
  }
}

/** The root over all records of the log, from the records alone. */
async function rootOfRecords(): Promise<string> {
  const verdict = await verifyChainFile(file);
  if (!verdict.ok) throw new Error(JSON.stringify(verdict));
  return verdict.root;
}

const names = async (): Promise<string[]> => (await readdir(directory)).sort();

describe('the tree of the log', () => {
  it('is that of RFC 6962 over the hashes of its records', async () => {
    const { root, head } = await write(5);
    const frontier = new TreeFrontier();
    for (const line of (await readFile(file, 'utf8')).trim().split('\n')) frontier.append(Buffer.from((JSON.parse(line) as { hash: string }).hash, 'hex'));
    expect([root, head.seq]).toEqual([frontier.root.toString('hex'), 5]);
    expect(await rootOfRecords()).toBe(root);
  });

  it('is the same after a crash at any moment: before the tree was written, before the mark, in the middle of a line', async () => {
    const chain = await ChainFile.open(file);
    const snapshots: { state: string | null; tree: Buffer }[] = [];
    let head: ChainHead = GENESIS;
    const read = async () => ({ state: await readFile(`${file}.state`, 'utf8').catch(() => null), tree: await readFile(`${file}.tree`) });
    for (let i = 0; i < 12; i += 1) {
      snapshots.push(await read());
      const batch = batchOf(1 + (i % 3), head);
      await chain.append(batch);
      head = batch.head;
    }
    await chain.close();
    snapshots.push(await read());
    const whole = await readFile(file, 'utf8');
    const lines = whole.split(/(?<=\n)/);
    await fc.assert(
      fc.asyncProperty(fc.nat(snapshots.length - 1), fc.nat(snapshots.length - 1), fc.nat(400), async (state, tree, torn) => {
        const kept = lines.slice(0, Math.max(0, lines.length - Math.floor(torn / 40)));
        await writeFile(file, kept.join('') + (torn % 2 === 0 ? '' : at(lines, 0).slice(0, 1 + torn)));
        await rm(`${file}.state`, { force: true });
        const { state: text } = at(snapshots, state);
        if (text !== null) await writeFile(`${file}.state`, text);
        await writeFile(`${file}.tree`, at(snapshots, tree).tree);
        const again = await ChainFile.open(file);
        const { root, size } = again.tree;
        const { recovered } = again;
        await again.close();
        expect([size, recovered.head.seq]).toEqual([kept.length, kept.length]);
        expect(root.toString('hex')).toBe(await rootOfRecords());
        if (kept.length > 0) expect(recovered.last.get('a')?.n).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });

  it('is made anew from the records where its file is lost or was changed', async () => {
    const { root, head } = await write(9);
    const signed = { size: 9, hash: root };
    await rm(`${file}.tree`);
    expect((await write(0, { signed })).root).toBe(root);
    const bent = await readFile(`${file}.tree`);
    bent[0] = (bent[0] ?? 0) ^ 1;
    await writeFile(`${file}.tree`, bent);
    expect((await write(0, { signed })).root).toBe(root);
    await truncate(`${file}.tree`, 40);
    expect(await write(0, { signed })).toEqual({ root, head });
  });

  it('is compared with what was signed: another log, a shorter one, or a changed record is not continued', async () => {
    const { root, head } = await write(9);
    expect((await write(1, { signed: { size: 9, hash: root } })).head.seq).toBe(10);
    // A checkpoint of before there was a tree names the last record's hash.
    expect((await write(1, { signed: { size: 9, hash: head.hash } })).head.seq).toBe(11);
    await expect(write(1, { signed: { size: 9, hash: root.replace(/^../, 'ff') } })).rejects.toThrow(ChainFileCut);
    await expect(write(1, { signed: { size: 8, hash: root } })).rejects.toThrow(ChainFileCut);
    await expect(write(1, { signed: { size: 12, hash: root } })).rejects.toThrow(/does not hold record 12/);
    const [first = ''] = (await readFile(file, 'utf8')).split(/(?<=\n)/);
    await writeFile(file, first);
    await expect(write(1, { signed: { size: 9, hash: root } })).rejects.toThrow(ChainFileCut);
    // The harm without it: the log goes on over the gap as if nothing had happened.
    expect((await write(1)).head.seq).toBe(2);
  });
});

describe('a log over several files', () => {
  it('goes on in a new file when this one has grown: one chain, one tree', async () => {
    const { root } = await write(10, { rotateBytes: 1_200 });
    expect((await names()).filter((name) => /^audit\.jsonl(\.\d+)?$/.test(name)).length).toBeGreaterThan(2);
    expect(await names()).toContain('audit.jsonl.000000000001');
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 10, root, begins_at: 1 });
    expect((await write(1, { signed: { size: 10, hash: root } })).head.seq).toBe(11);
    expect(await verifyChainFile(directory)).toMatchObject({ ok: true, records: 11 });
  });

  it('goes on in a new file when somebody moved this one aside, as logrotate does', async () => {
    const chain = await ChainFile.open(file);
    const first = batchOf(3, GENESIS);
    await chain.append(first);
    await rename(file, `${file}.1`);
    const second = batchOf(3, first.head);
    await chain.append(second);
    await chain.close();
    expect((await readFile(`${file}.1`, 'utf8')).split('\n')).toHaveLength(4);
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 6, files: 2 });
    await writeFile(`${file}.1.gz`, gzipSync(await readFile(`${file}.1`)));
    await rm(`${file}.1`);
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 6, files: 2 });
    expect((await write(1)).head.seq).toBe(7);
  });

  it('does not go on where a file was cut off under it, or another was put in its place', async () => {
    const chain = await ChainFile.open(file);
    const first = batchOf(3, GENESIS);
    await chain.append(first);
    // logrotate's copytruncate.
    await copyFile(file, `${file}.1`);
    await truncate(file);
    await expect(chain.append(batchOf(1, first.head))).rejects.toThrow(ChainFileMoved);
    await rename(file, `${file}.2`);
    await writeFile(file, 'x\n');
    await expect(chain.append(batchOf(1, first.head))).rejects.toThrow(ChainFileMoved);
    await chain.close();
  });

  it('finds where it stands when it was killed between moving one file aside and making the next', async () => {
    const { head, root } = await write(4);
    await rename(file, `${file}.000000000001`);
    const again = await ChainFile.open(file, { signed: { size: 4, hash: root } });
    expect(again.recovered).toMatchObject({ head, recentIds: expect.arrayContaining([expect.stringMatching(/^evt_/)]) });
    await again.append(batchOf(1, head));
    await again.close();
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 5 });
  });

  it('starts, verifies and proves without its archived files, and not without both them and the tree', async () => {
    await write(6);
    await rename(file, `${file}.1`);
    const { root } = await write(6);
    await rm(`${file}.1`);
    const signed = { size: 12, hash: root };
    const vouching = [{ line: 1, at: '2026-01-06T00:00:00Z', checkpoint: { origin: 'o', ...signed } }];
    expect((await write(1, { signed })).head.seq).toBe(13);
    expect(await verifyChainFile(file, vouching)).toMatchObject({ ok: true, records: 7, begins_at: 7 });
    // Nothing vouches for the tree without a checkpoint, and a tree that was changed is found by one.
    expect(await verifyChainFile(file)).toMatchObject({ ok: false, problem: 'missing' });
    const bent = await readFile(`${file}.tree`);
    // The root over the first four records, of which the missing ones are.
    bent[6 * 32] = (bent[6 * 32] ?? 0) ^ 1;
    await writeFile(`${file}.tree`, bent);
    expect((await verifyChainFile(file, vouching)).ok).toBe(false);
    await rm(`${file}.tree`);
    await expect(write(1, { signed })).rejects.toThrow(/begins with record 7/);
    await expect(write(1)).rejects.toThrow(ChainFileCut);
  });

  it('is not taken for the past of another log that lies beside it', async () => {
    await write(5);
    await rename(file, `${file}.bad`);
    await rm(`${file}.state`);
    await rm(`${file}.tree`);
    expect((await write(1)).head.seq).toBe(1);
    expect((await write(1)).head.seq).toBe(2);
  });
});
