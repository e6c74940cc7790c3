import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { consistencyProof, EMPTY_ROOT, inclusionProof, TreeFrontier, verifyConsistency, verifyInclusion, type SubtreeHash } from '../../src/audit/merkle/merkle-tree.ts';
import { storedCount, TreeFile } from '../../src/audit/merkle/tree-file.ts';
import { at } from '../support/at.ts';

const sha256 = (...parts: readonly Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const leafHash = (data: Buffer): Buffer => sha256(Buffer.of(0), data);

/** MTH of RFC 6962 section 2.1, word for word. */
function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return at(leaves, 0);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)));
}
const subtreeOf = (leaves: readonly Buffer[]): SubtreeHash => (level, index) => rootOf(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));
const leavesOf = (count: number): Buffer[] => Array.from({ length: count }, (_, index) => leafHash(Buffer.from(`leaf ${index}`)));

/** The eight leaves of Certificate Transparency's own tests, and the roots of their trees. */
const CLASSIC = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map((hex) => leafHash(Buffer.from(hex, 'hex')));
const CLASSIC_ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

describe('a Merkle tree', () => {
  it('has the roots of RFC 6962 as it grows', () => {
    const frontier = new TreeFrontier();
    expect(EMPTY_ROOT.toString('hex')).toBe(CLASSIC_ROOTS[0]);
    const roots = [frontier.root.toString('hex'), ...CLASSIC.map((leaf) => (frontier.append(leaf), frontier.root.toString('hex')))];
    expect(roots).toEqual(CLASSIC_ROOTS);
  });

  it('proves every leaf of every size, and nothing else', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.nat(), fc.nat(), (size, chosen, changed) => {
        const leaves = leavesOf(size);
        const index = chosen % size;
        const proof = inclusionProof(index, size, subtreeOf(leaves));
        const root = rootOf(leaves);
        const leaf = at(leaves, index);
        expect(verifyInclusion(leaf, index, size, proof, root)).toBe(true);
        expect(verifyInclusion(leafHash(Buffer.from('another')), index, size, proof, root)).toBe(false);
        expect(verifyInclusion(leaf, index + 1, size, proof, root)).toBe(false);
        expect(verifyInclusion(leaf, index, size, proof, rootOf(leavesOf(size + 1)))).toBe(false);
        expect(verifyInclusion(leaf, index, size, [...proof, leaf], root)).toBe(false);
        if (proof.length === 0) return;
        expect(verifyInclusion(leaf, index, size, proof.slice(1), root)).toBe(false);
        const bent = proof.map((hash, position) => (position === changed % proof.length ? flipped(hash) : hash));
        expect(verifyInclusion(leaf, index, size, bent, root)).toBe(false);
      }),
    );
  });

  it('proves that it begins with each that it once was, and with no other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.nat(), (size, chosen, changed) => {
        const leaves = leavesOf(size);
        const before = 1 + (chosen % size);
        const proof = consistencyProof(before, size, subtreeOf(leaves));
        const older = { size: before, root: rootOf(leaves.slice(0, before)) };
        const newer = { size, root: rootOf(leaves) };
        expect(verifyConsistency(older, newer, proof)).toBe(true);
        expect(verifyConsistency({ ...older, root: flipped(older.root) }, newer, proof)).toBe(false);
        expect(verifyConsistency(older, { ...newer, root: flipped(newer.root) }, proof)).toBe(false);
        expect(verifyConsistency(older, newer, [...proof, older.root])).toBe(false);
        const forked = { size, root: rootOf([...leaves.slice(0, before - 1), leafHash(Buffer.from('another')), ...leaves.slice(before)]) };
        expect(verifyConsistency(older, forked, proof)).toBe(false);
        if (proof.length > 0) expect(verifyConsistency(older, newer, proof.map((hash, position) => (position === changed % proof.length ? flipped(hash) : hash)))).toBe(false);
      }),
    );
  });
});

describe('the file of a tree', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-tree-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('gives the same roots and proofs, after any stop, and goes on from any earlier size', () => {
    let file = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), fc.nat(), (size, cut, chosen) => {
        file += 1;
        const path = join(directory, `${file}.tree`);
        const leaves = leavesOf(size);
        const first = TreeFile.open(path, 0);
        first?.append(leaves.slice(0, 1 + (cut % size)));
        first?.append(leaves.slice(1 + (cut % size)));
        first?.close();
        const kept = cut % (size + 1);
        const again = TreeFile.open(path, kept);
        expect(again?.root).toEqual(rootOf(leaves.slice(0, kept)));
        again?.append(leaves.slice(kept));
        expect(again?.root).toEqual(rootOf(leaves));
        expect(again?.rootAt(kept)).toEqual(rootOf(leaves.slice(0, kept)));
        again?.close();
        const reading = TreeFile.reading(path);
        const index = chosen % size;
        expect(reading.leaves).toBe(size);
        expect(verifyInclusion(at(leaves, index), index, size, inclusionProof(index, size, reading.subtree), rootOf(leaves))).toBe(true);
        reading.close();
        expect(TreeFile.open(path, size + 1)).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it('takes 64 bytes a record, about', () => {
    expect(storedCount(1_000_000) * 32).toBeLessThan(64_000_000);
  });
});

const flipped = (hash: Buffer): Buffer => Buffer.from(hash.map((byte, index) => (index === 0 ? byte ^ 1 : byte)));
