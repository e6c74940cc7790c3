import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { keyStatus, rotateKeys } from '../../src/keys/rotate-keys.ts';

let directory: string;
let files: readonly string[];
const NOW = Date.now() + 86_400_000;
const PATIENT = { nowMs: NOW, publishedMs: 3_600_000, retiredMs: 3_600_000 };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-keys-'));
  files = ['signs', 'next', 'old', 'older'].map((name) => join(directory, `${name}.pem`));
  for (const file of files) await writeFile(file, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const kids = async (): Promise<string[]> => (await keyStatus(files)).map(({ kid }) => kid);

describe('rotating keys', () => {
  it('moves each one place on, and publishes a new one of the same kind', async () => {
    const [signs, next, old] = await kids();
    const rotated = await rotateKeys(files, PATIENT);
    const [first, second, third, fourth] = await kids();
    expect([first, third, fourth]).toEqual([next, signs, old]);
    expect([signs, next, old]).not.toContain(second);
    expect(rotated.map(({ place }) => place)).toEqual(['signs', 'next', 'retired', 'retired']);
    expect(await readFile(files[1] ?? '', 'utf8')).toContain('PRIVATE KEY');
    for (const file of files) expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('is refused while the next key is not known everywhere, or what the oldest signed may live', async () => {
    const before = await kids();
    await expect(rotateKeys(files, { ...PATIENT, nowMs: Date.now() })).rejects.toThrow('not everyone has seen it yet');
    await expect(rotateKeys(files, { nowMs: Date.now(), publishedMs: 0, retiredMs: 3_600_000 })).rejects.toThrow('can live for 3600 s');
    expect(await kids()).toEqual(before);
  });

  it('needs a next key and a retired one', async () => {
    await expect(rotateKeys(files.slice(0, 2), PATIENT)).rejects.toThrow('at least 3');
  });

  it('names a file that holds no key, and changes nothing', async () => {
    await writeFile(files[2] ?? '', 'nothing');
    const signs = await readFile(files[0] ?? '', 'utf8');
    await expect(rotateKeys(files, PATIENT)).rejects.toThrow('old.pem does not hold a PEM private key');
    expect(await readFile(files[0] ?? '', 'utf8')).toBe(signs);
  });
});
