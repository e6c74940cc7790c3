import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';

const VECTORS = JSON.parse(readFileSync(join(import.meta.dirname, 'vectors/spiffe-ids.json'), 'utf8')) as {
  readonly valid: readonly (readonly [string, string, string, string])[];
  readonly invalid: readonly (readonly [string, string, string])[];
};

describe('SPIFFE IDs', () => {
  it.each(VECTORS.valid)('%s: %s is one', (_requirement, text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ trustDomain, path });
  });

  it.each(VECTORS.invalid)('%s: %j is none, with %s', (_requirement, text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it('SP-2: of all bytes, a trust domain takes exactly its own', () => {
    const taken = bytes().filter((char) => parseSpiffeId(`spiffe://td${char}/path`)?.trustDomain === `td${char}`);
    expect(taken.join('')).toBe('-.0123456789_abcdefghijklmnopqrstuvwxyz');
  });

  it('SP-3: of all bytes, a segment takes exactly its own', () => {
    const taken = bytes().filter((char) => parseSpiffeId(`spiffe://td/path${char}`)?.path === `/path${char}`);
    expect(taken.join('')).toBe('-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz');
  });

  it('SP-4: an id of 2,048 bytes is one, and of one more is none', () => {
    const id = (bytes: number): string => 'spiffe://td/'.padEnd(bytes, 'a');
    expect(parseSpiffeId(id(2_048))).toBeDefined();
    expect(parseSpiffeId(id(2_049))).toBeUndefined();
  });
});

const bytes = (): string[] => Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));

/** Requirements on whoever verifies; SP-44 is on whoever publishes a bundle, which Mayfly does not. */
const REQUIREMENTS = [1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 35, 40, 41, 42, 43].map((number) => `SP-${number}`);

describe('the requirements of SPIFFE', () => {
  it('each stand in the name of a test', () => {
    const texts = ['.', 'x509', '../config', '../journeys'].flatMap((folder) => {
      const path = join(import.meta.dirname, folder);
      return readdirSync(path).filter((name) => name.endsWith('.test.ts') && name !== 'spiffe-vectors.test.ts').map((name) => readFileSync(join(path, name), 'utf8'));
    });
    const named = new Set(texts.flatMap((text) => [...text.matchAll(/['`"][^'`"\n]*?\b(SP-\d+): /g)].map(([, id = '']) => id)));
    expect(REQUIREMENTS.filter((id) => !named.has(id))).toEqual([]);
  });
});
