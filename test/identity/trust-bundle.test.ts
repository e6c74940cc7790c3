import { mkdtemp, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet } from 'jose';
import { bundleFile } from '../../src/identity/bundle-file.ts';
import type { TrustBundle } from '../../src/identity/trust-bundle.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { jwkOf, PAIRS, STRANGER } from './published-issuer.ts';

const HOUR = 3_600_000;
const unavailable = expect.objectContaining({ code: 'identity_unavailable' });

let directory: string;
let file: string;
let clock: ManualClock;
let warned: string[];
let bundle: TrustBundle;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-bundle-'));
  file = join(directory, 'bundle.json');
  clock = new ManualClock();
  warned = [];
  bundle = bundleFile(file, clock, { warn: (_fields, message) => warned.push(message) });
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const authority = (kid: string, members: object = {}) => jwkOf(PAIRS.ES256, { kid, use: 'jwt-svid', ...members });
const write = (content: unknown): Promise<void> => writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
/** What the bundle says a second after it was written. */
const later = (kid: string | undefined) => {
  clock.advance(1_000);
  return bundle.keyFor(kid, 'ES256');
};

describe('a trust bundle', () => {
  it('gives its JWT authorities; jose alone would find none of them (control)', async () => {
    const jwks = { keys: [await authority('a')] };
    await write(jwks);
    expect(await bundle.keyFor('a', 'ES256')).toMatchObject({ type: 'public' });
    await expect(createLocalJWKSet(jwks)({ alg: 'ES256', kid: 'a' })).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
  });

  it.each([
    ['SP-30: without a use', { use: undefined }],
    ['SP-30: with an unknown use', { use: 'sig' }],
    ['SP-30: with the use in upper case', { use: 'JWT-SVID' }],
    ['SP-30: with a key type that is unknown', { kty: 'new' }],
    ['SP-31: for X.509-SVIDs', { use: 'x509-svid' }],
    ['SP-31: without a name', { kid: undefined }],
    ['SP-31: with an empty name', { kid: '' }],
  ])('passes over a key %s, and keeps the others', async (_name, members) => {
    await write({ keys: [await authority('odd', members), await jwkOf(PAIRS.RSA, { kid: 'good', use: 'jwt-svid' })] });
    expect(await bundle.keyFor('odd', 'ES256')).toBeUndefined();
    expect(await bundle.keyFor(undefined, 'ES256')).toBeUndefined();
    expect(await bundle.keyFor('good', 'RS256')).toBeDefined();
  });

  it('takes neither of two keys with one name', async () => {
    await write({ keys: [await authority('a'), await jwkOf(STRANGER, { kid: 'a', use: 'jwt-svid' })] });
    expect(await bundle.keyFor('a', 'ES256')).toBeUndefined();
  });

  it('never gives a key to a token that names none', async () => {
    await write({ keys: [await authority('a')] });
    expect(await bundle.keyFor(undefined, 'ES256')).toBeUndefined();
  });

  it('SP-32: without keys refuses everyone, at once', async () => {
    await write({ keys: [await authority('a')] });
    await bundle.keyFor('a', 'ES256');
    await write({ keys: [] });
    expect(await later('a')).toBeUndefined();
    expect(warned).toEqual([]);
  });

  it('SP-34: is never merged with the one before', async () => {
    await write({ keys: [await authority('a')] });
    await bundle.keyFor('a', 'ES256');
    await write({ keys: [await authority('b')] });
    expect(await later('b')).toBeDefined();
    expect(await bundle.keyFor('a', 'ES256')).toBeUndefined();
  });

  it('is looked at once in a second, and read only when the file changed', async () => {
    await write({ keys: [await authority('a')] });
    const key = await bundle.keyFor('a', 'ES256');
    await write({ keys: [await authority('b')] });
    clock.advance(999);
    expect(await bundle.keyFor('a', 'ES256')).toBe(key);
    clock.advance(1);
    expect(await bundle.keyFor('a', 'ES256')).toBeUndefined();
    const next = await bundle.keyFor('b', 'ES256');
    expect(await later('b')).toBe(next);
  });

  it('notices a file of the same size and time put in its place', async () => {
    const put = async (kid: string): Promise<number> => {
      await writeFile(`${file}.new`, JSON.stringify({ keys: [await authority(kid)] }));
      await utimes(`${file}.new`, 1_700_000_000, 1_700_000_000);
      await rename(`${file}.new`, file);
      const { mtimeMs, size } = await stat(file);
      return mtimeMs * size;
    };
    const before = await put('a');
    expect(await bundle.keyFor('a', 'ES256')).toBeDefined();
    expect(await put('b')).toBe(before);
    expect(await later('b')).toBeDefined();
  });
});

describe('a file that cannot be used', () => {
  it.each([
    ['is no JSON', '{'],
    ['has no keys', {}],
    ['has keys that are no list', { keys: {} }],
    ['SP-33: has a lower sequence', { keys: [], spiffe_sequence: 1 }],
    ['has a sequence beyond what a number holds', '{"keys":[],"spiffe_sequence":9007199254740993}'],
  ])('because it %s leaves the last good bundle for an hour; told once; then nobody is judged', async (_name, content) => {
    await write({ keys: [await authority('a')], spiffe_sequence: 2 });
    await bundle.keyFor('a', 'ES256');
    clock.advance(5 * HOUR);
    await write(content);
    for (let second = 0; second < 10; second += 1) expect(await later('a')).toBeDefined();
    expect(warned).toHaveLength(1);
    clock.advance(HOUR);
    await expect(bundle.keyFor('a', 'ES256')).rejects.toEqual(unavailable);
    await write({ keys: [await authority('a')], spiffe_sequence: 2 });
    expect(await later('a')).toBeDefined();
  });

  it('because it is gone is the same, and one that never was gives nothing', async () => {
    await expect(bundle.keyFor('a', 'ES256')).rejects.toEqual(unavailable);
    await write({ keys: [await authority('a')] });
    expect(await later('a')).toBeDefined();
    await rm(file);
    expect(await later('a')).toBeDefined();
    clock.advance(HOUR);
    await expect(bundle.keyFor('a', 'ES256')).rejects.toEqual(unavailable);
  });

  it('SP-33: with a lower sequence brings back none of its keys; with the same or a higher one it counts (control)', async () => {
    await write({ keys: [await authority('new')], spiffe_sequence: 2 });
    await bundle.keyFor('new', 'ES256');
    await write({ keys: [await authority('old')], spiffe_sequence: 1 });
    expect(await later('old')).toBeUndefined();
    await write({ keys: [await authority('same')], spiffe_sequence: 2 });
    expect(await later('same')).toBeDefined();
    await write({ keys: [await authority('newer')], spiffe_sequence: 3 });
    expect(await later('newer')).toBeDefined();
  });
});
