import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ChainFile } from '../../src/audit/chain-file.ts';
import { appendCheckpoint } from '../../src/audit/checkpoint-file.ts';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import type { ConsistencyBundle, ProofBundle } from '../../src/audit/proof-bundle.ts';
import { loadNoteSigner, signNote, type NoteSigner } from '../../src/audit/signed-note.ts';
import { at } from '../support/at.ts';
import { chainOf, taskEvents } from '../support/audit-log.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const VERIFIER = join(import.meta.dirname, '../../examples/verify-proof/verify_proof.py');
const ORIGIN = 'test/mayfly-audit';
const RECORDS = 25;

let directory: string;
let file: string;
let signer: NoteSigner;
let stranger: NoteSigner;
let oldNote: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-proof-'));
  file = join(directory, 'audit.jsonl');
  const signerOf = async (name: string): Promise<NoteSigner> => {
    const path = join(directory, `${name}.pem`);
    await writeFile(path, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
    return loadNoteSigner(path, ORIGIN);
  };
  [signer, stranger] = [await signerOf('signer'), await signerOf('stranger')];
  const chain = await ChainFile.open(file);
  let { head } = chain.recovered;
  for (let i = 0; i < RECORDS / 5; i += 1) {
    // Names that JSON writes in ways of its own, so that the bytes of a leaf are seen to be what is hashed.
    const { lines, head: next } = chainOf(taskEvents(`tsk_${i}`, 'agent:é\u2028"😀', { from: '10:00', to: '10:05' }), head);
    await chain.append({ lines: lines.join(''), hashes: lines.map((line) => (JSON.parse(line) as { hash: string }).hash), head: next, last: new Map() });
    head = next;
    if (i === 1 || i === 4) await appendCheckpoint(file, { origin: ORIGIN, size: chain.tree.size, hash: chain.tree.root.toString('hex') }, signer, '2026-01-06T10:00:00Z');
  }
  await chain.close();
  const [first = ''] = (await readFile(`${file}.checkpoints`, 'utf8')).split('\n');
  oldNote = (JSON.parse(first) as { note: string }).note;
  await writeFile(join(directory, 'old.note'), oldNote);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

type Verdict = { readonly code: number; readonly text: string };
const verdictOf = (work: Promise<{ stdout: string; stderr: string }>): Promise<Verdict> =>
  work.then(({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }), (error: unknown) => {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  });
const mayfly = (...args: string[]): Promise<{ stdout: string; stderr: string }> => run(process.execPath, [LAUNCHER, 'audit', ...args], { env: { PATH: process.env['PATH'] ?? '' } });

/** What both verifiers say of a bundle: ours, and the one that shares no code with it. */
async function both(bundle: unknown, key = signer.verifierKey): Promise<Verdict[]> {
  const path = join(directory, 'bundle.json');
  await writeFile(path, JSON.stringify(bundle));
  return Promise.all([verdictOf(mayfly('verify-proof', path, '--key', key)), verdictOf(run('python3', [VERIFIER, path, key]))]);
}

const proof = async (...records: string[]): Promise<ProofBundle> => JSON.parse((await mayfly('prove', ...records, '--audit', file)).stdout) as ProofBundle;
const consistency = async (...notes: string[]): Promise<ConsistencyBundle> => JSON.parse((await mayfly('consistency', ...notes, '--audit', file)).stdout) as ConsistencyBundle;
const flip = (text: string): string => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;

describe('a proof that a record is in the log', () => {
  it('is verified by both, without the log, by number or by event id', async () => {
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    const { event } = JSON.parse(at(lines, 7)) as { event: { id: string } };
    const bundle = await proof('1', event.id, String(RECORDS));
    expect(bundle.records.map(({ index }) => index)).toEqual([0, 7, RECORDS - 1]);
    for (const { code, text } of await both(bundle)) {
      expect([code, text]).toEqual([0, expect.stringContaining('record 8: task.ending at 2026-01-06T10:05:00.000Z')]);
      expect(text).toContain(`in the signed log ${ORIGIN} of ${RECORDS} records`);
    }
  }, 30_000);

  it('is refused by both when anything in it was changed', async () => {
    const bundle = await proof('8', '9');
    const first = at(bundle.records, 0);
    const withFirst = (change: Partial<typeof first>): ProofBundle => ({ ...bundle, records: [{ ...first, ...change }, at(bundle.records, 1)] });
    const [, size = '', root = ''] = bundle.checkpoint.split('\n');
    const changed: Readonly<Record<string, unknown>> = {
      'another word in the record': withFirst({ leaf: first.leaf.replace('completed', 'revoked') }),
      'a space in the record': withFirst({ leaf: first.leaf.replace(',', ', ') }),
      'another place': withFirst({ index: first.index + 1 }),
      'the place of another, with its path': withFirst({ index: 8, path: at(bundle.records, 1).path }),
      'another hash': withFirst({ path: first.path.with(1, flip(at(first.path, 1))) }),
      'a hash less': withFirst({ path: first.path.slice(1) }),
      'a hash more': withFirst({ path: [...first.path, at(first.path, 0)] }),
      'hashes in another order': withFirst({ path: first.path.toReversed() }),
      'no record': { ...bundle, records: [] },
      'another size': { ...bundle, checkpoint: bundle.checkpoint.replace(`\n${size}\n`, '\n24\n') },
      'another root': { ...bundle, checkpoint: bundle.checkpoint.replace(root, flip(root)) },
      'another log': { ...bundle, checkpoint: bundle.checkpoint.replace('test/', 'prod/') },
      'another signature': { ...bundle, checkpoint: bundle.checkpoint.replace(/ (\S{8})(\S)/, (_, id: string, next: string) => ` ${id}${flip(next)}`) },
      'no signature': { ...bundle, checkpoint: bundle.checkpoint.slice(0, bundle.checkpoint.indexOf('\u2014')) },
      'the older checkpoint': { ...bundle, checkpoint: oldNote },
      'a checkpoint that somebody else signed': { ...bundle, checkpoint: signNote(`${bundle.checkpoint.split('\n\n')[0] ?? ''}\n`, stranger) },
      'another format': { ...bundle, format: 'mayfly-audit-proof/v0' },
      'no proof at all': 'proof',
    };
    for (const [what, one] of Object.entries(changed)) {
      const verdicts = await both(one);
      expect([what, ...verdicts.map(({ code }) => code)]).toEqual([what, 1, 1]);
      expect([what, ...verdicts.map(({ text }) => /in the signed log/.test(text))]).toEqual([what, false, false]);
    }
    expect((await both(bundle, stranger.verifierKey)).map(({ code }) => code)).toEqual([1, 1]);
    expect((await both(bundle)).map(({ code }) => code)).toEqual([0, 0]);
  }, 60_000);

  it('is not of a log that the key does not sign for, although the key is the same', async () => {
    const bundle = await proof('8');
    const [, size = '', root = ''] = bundle.checkpoint.split('\n');
    const foreign = signNote(checkpointText({ origin: 'prod/mayfly-audit', size: Number(size), hash: Buffer.from(root, 'base64').toString('hex') }), signer);
    expect((await both({ ...bundle, checkpoint: foreign })).map(({ code }) => code)).toEqual([1, 1]);
  });

  it('is not made of a record that was changed, nor before a checkpoint vouches for it', async () => {
    const whole = await readFile(file, 'utf8');
    await writeFile(file, whole.replace('"reason":"completed"', '"reason":"complete!"'));
    try {
      expect(await verdictOf(mayfly('prove', '3', '--audit', file))).toMatchObject({ code: 1, text: expect.stringContaining('record 3 is not the one that was signed') });
    } finally {
      await writeFile(file, whole);
    }
    await rename(`${file}.checkpoints`, `${file}.away`);
    await writeFile(`${file}.checkpoints`, `${JSON.stringify({ at: '2026-01-06T10:00:00Z', note: oldNote })}\n`);
    try {
      expect(await verdictOf(mayfly('prove', '11', '--audit', file))).toMatchObject({ code: 1, text: expect.stringContaining('vouches for record 11 yet') });
      expect((await both(await proof('10'))).map(({ code }) => code)).toEqual([0, 0]);
    } finally {
      await rename(`${file}.away`, `${file}.checkpoints`);
    }
    expect(await verdictOf(mayfly('prove', '26', '--audit', file))).toMatchObject({ code: 4, text: expect.stringContaining('record 26 is not in') });
  }, 30_000);

  it('is the same where the tree was lost and is made of the records, and from the folder', async () => {
    const bundle = await proof('8');
    await rename(`${file}.tree`, `${file}.away`);
    try {
      expect(await proof('8')).toEqual(bundle);
    } finally {
      await rename(`${file}.away`, `${file}.tree`);
    }
    expect(JSON.parse((await mayfly('prove', '8', '--audit', directory)).stdout)).toEqual(bundle);
  }, 30_000);
});

describe('a proof of an export', () => {
  it('holds the very records that were exported, and is verified by both', async () => {
    const [out, bundleFile] = [join(directory, 'out.jsonl'), join(directory, 'export-proof.json')];
    await mayfly('export', '--task', 'tsk_2', '--out', out, '--proof', bundleFile, '--audit', file);
    const exported = (await readFile(out, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as { seq: number });
    const bundle = JSON.parse(await readFile(bundleFile, 'utf8')) as ProofBundle;
    expect(bundle.records.map(({ leaf }) => JSON.parse(leaf) as unknown)).toEqual(exported.map((record) => ({ ...record, hash: undefined })));
    expect(exported).toHaveLength(5);
    expect((await both(bundle)).map(({ code }) => code)).toEqual([0, 0]);
  }, 30_000);
});

describe('a proof that one checkpoint continues another', () => {
  it('is verified by both', async () => {
    const bundle = await consistency(join(directory, 'old.note'));
    for (const { code, text } of await both(bundle)) expect([code, text]).toEqual([0, `${ORIGIN}: the log of ${RECORDS} records continues that of 10, both signed\n`]);
    expect(await consistency(join(directory, 'old.note'), `${file}.checkpoints`)).toEqual(bundle);
  }, 30_000);

  it('is refused by both when anything in it was changed, and for a log that was forked', async () => {
    const bundle = await consistency(join(directory, 'old.note'));
    const forked = signNote(checkpointText({ origin: ORIGIN, size: RECORDS, hash: 'ab'.repeat(32) }), signer);
    for (const one of [
      { ...bundle, old: bundle.new, new: bundle.old },
      { ...bundle, new: forked },
      { ...bundle, path: bundle.path.slice(1) },
      { ...bundle, path: bundle.path.with(0, flip(at(bundle.path, 0))) },
      { ...bundle, path: [...bundle.path, at(bundle.path, 0)] },
      { ...bundle, old: bundle.old.replace('\n10\n', '\n9\n') },
    ]) {
      expect((await both(one)).map(({ code }) => code)).toEqual([1, 1]);
    }
  }, 30_000);

  it('is not made with a checkpoint of before there was a tree, and says so', async () => {
    const line = at((await readFile(file, 'utf8')).trim().split('\n'), 9);
    const before = join(directory, 'before.note');
    await writeFile(before, signNote(checkpointText({ origin: ORIGIN, size: 10, hash: (JSON.parse(line) as { hash: string }).hash }), signer));
    expect(await verdictOf(mayfly('consistency', before, '--audit', file))).toMatchObject({ code: 1, text: expect.stringContaining('of before this log had a tree') });
  });
});
