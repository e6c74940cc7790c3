import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { configRows } from '../../dev/generate/config-reference.ts';
import { GENERATED_FILES } from '../../dev/generate/generated-files.ts';
import { environmentOverrides } from '../../src/config/environment.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('generated files', () => {
  it.each(GENERATED_FILES.map((file) => [file.path, file] as const))('%s is in step with its source', (path, { content }) => {
    if (read(path) !== content()) throw new Error(`${path} is not what the sources say: run \`npm run generate\` and commit what it writes`);
    expect(read(path)).toBe(content());
  });
});

describe('the reference of the configuration', () => {
  it('says of every key what it means', () => {
    expect(configRows().filter(({ schema }) => (schema.description ?? '').length < 4).map(({ key }) => key)).toEqual([]);
  });

  it('names variables that set their keys', () => {
    const loginBy = (method: string) => ({ api: { method }, worker: { method }, reconciler: { method } });
    const data = {
      providers: {
        tokens: { type: 'jwt' },
        ...Object.fromEntries(['approle', 'jwt', 'jwt_svid', 'kubernetes', 'token_file'].map((method) => [`vault-${method.replace('_', '-')}`, { type: 'vault', login: loginBy(method) }])),
        ...Object.fromEntries(['web_identity', 'credentials_file', 'environment'].map((method) => [`aws-${method.replace('_', '-')}`, { type: 'aws-sts', login: loginBy(method) }])),
      },
      credentials: { orders: { kind: 'vault.dynamic', params: { tier: { type: 'string' } } } },
    };
    const wrong = configRows().flatMap(({ key, variable }) => {
      if (variable === null) return [];
      // A name of each section, so that the variable of any form can be resolved.
      const names = [...variable.matchAll(/<NAME>/g)];
      const first = key.startsWith('providers') ? Object.keys(data.providers).map((name) => name.replaceAll('-', '_').toUpperCase()) : ['ORDERS', 'OTHER'];
      const filled = names.length === 0 ? [variable] : first.map((name) => variable.replace('<NAME>', name).replace('<NAME>', 'TIER'));
      const set = filled.some((text) => environmentOverrides({ [text]: '1' }, data).overrides.length + environmentOverrides({ [text]: '{}' }, data).overrides.length > 0);
      return set ? [] : [variable];
    });
    expect(wrong).toEqual([]);
  });

  it('finds a variable that sets nothing (control)', () => {
    expect(environmentOverrides({ MAYFLY_HTTP__PROT: '1' }, {}).overrides).toEqual([]);
  });

  it('is what the example points its editor to', () => {
    expect(read('config/mayfly.yaml').split('\n')[0]).toBe('# yaml-language-server: $schema=mayfly.schema.json');
  });
});
