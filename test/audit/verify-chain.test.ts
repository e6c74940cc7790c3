import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { checkpointFileOf, readCheckpoints } from '../../src/audit/checkpoint-file.ts';
import { appendRecord, GENESIS } from '../../src/audit/hash-chain.ts';
import { loadNoteSigner, openNote, parseVerifierKey, signNote, type NoteSigner } from '../../src/audit/signed-note.ts';
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

  it('tells how far it is: at the start of each file, and about each MiB', async () => {
    const lines = chain(9_000);
    await writeFile(file, lines.join(''));
    const size = Buffer.byteLength(lines.join(''));
    const told: { bytes: number; totalBytes: number; records: number }[] = [];
    expect(await verifyChainFile(file, [], (progress) => told.push(progress))).toMatchObject({ ok: true, records: 9_000 });
    expect(told[0]).toEqual({ bytes: 0, totalBytes: size, records: 0 });
    expect(told).toHaveLength(1 + Math.floor(size / (1024 * 1024)));
    expect(told.every(({ bytes, totalBytes }) => bytes <= totalBytes)).toBe(true);
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

describe('verifying with signed checkpoints', () => {
  const ORIGIN = 'test/mayfly-audit';
  let ours: NoteSigner;
  let strangers: NoteSigner;

  beforeAll(async () => {
    const signer = async (name: string): Promise<NoteSigner> => {
      const path = join(directory, `${name}.pem`);
      await writeFile(path, generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
      return loadNoteSigner(path, ORIGIN);
    };
    ours = await signer('ours');
    strangers = await signer('strangers');
  });

  const hashOf = (line: string): string => (JSON.parse(line) as { hash: string }).hash;
  const checkpointOf = (lines: readonly string[], seq: number, signer = ours): string =>
    `${JSON.stringify({ at: '2026-01-01T00:00:00Z', note: signNote(checkpointText({ origin: ORIGIN, size: seq, hash: hashOf(at(lines, seq - 1)) }), signer) })}\n`;

  async function verifySigned(text: string, checkpoints: string, keys = [ours.verifierKey]) {
    await writeFile(file, text);
    await writeFile(checkpointFileOf(file), checkpoints);
    return verifyChainFile(file, await readCheckpoints(checkpointFileOf(file), keys.map(parseVerifierKey)));
  }

  it('accepts a chain that goes on after its last checkpoint (control)', async () => {
    expect(await verifySigned(GOOD.join(''), checkpointOf(GOOD, 3) + checkpointOf(GOOD, 6))).toMatchObject({ ok: true, records: 8, checkpoint: { seq: 6 } });
  });

  it('finds a tail that was cut off, which the chain alone cannot tell', async () => {
    const cut = GOOD.slice(0, 5).join('');
    expect(await verify(cut)).toMatchObject({ ok: true });
    expect(await verifySigned(cut, checkpointOf(GOOD, 6))).toMatchObject({ ok: false, problem: 'cut', line: 6 });
    expect(await verifySigned('', checkpointOf(GOOD, 6))).toMatchObject({ ok: false, problem: 'cut' });
  });

  it('finds a chain that was written anew as a whole', async () => {
    const other = rewritten();
    expect(await verify(other.join(''))).toMatchObject({ ok: true });
    expect(await verifySigned(other.join(''), checkpointOf(GOOD, 6))).toMatchObject({ ok: false, problem: 'rewritten', line: 6 });
  });

  it('refuses a checkpoint that another key signed, and one that was changed', async () => {
    expect(await verifySigned(GOOD.join(''), checkpointOf(GOOD, 3) + checkpointOf(GOOD, 6, strangers))).toMatchObject({ ok: false, problem: 'unknown_key', line: 2 });
    expect(await verifySigned(GOOD.join(''), checkpointOf(GOOD, 3).replace('\\n3\\n', '\\n4\\n'))).toMatchObject({ ok: false, problem: 'unknown_key', line: 1 });
    expect(await verifySigned(GOOD.join(''), checkpointOf(GOOD, 6, strangers), [ours.verifierKey, strangers.verifierKey])).toMatchObject({ ok: true });
    expect(await verifySigned(GOOD.join(''), 'nothing\n')).toMatchObject({ ok: false, problem: 'torn' });
  });

  it('opens a note made elsewhere, by a published test vector', () => {
    // From the documentation of golang.org/x/mod/sumdb/note.
    const key = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const note = `${text}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
    expect(openNote(note, [parseVerifierKey(key)])).toBe(text);
    expect(openNote(note.replace('answer', 'Answer'), [parseVerifierKey(key)])).toBeUndefined();
  });

  /** A genuine chain of the same length with other content. */
  function rewritten(): string[] {
    const lines: string[] = [];
    let head = GENESIS;
    for (let i = 0; i < 8; i += 1) {
      const next = appendRecord(head, { sealed_at: '2026-01-02T00:00:00.000Z', epoch: 1, origin: null, event: { type: 'audit.reset', shard: 'a' } });
      lines.push(next.line);
      head = next.head;
    }
    return lines;
  }
});
