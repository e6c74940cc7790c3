import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Secret } from '../../src/core/secret.ts';

const SECRET = 'hvs.very-secret';

describe('a secret', () => {
  const secret = new Secret(SECRET);
  const ways: Readonly<Record<string, () => string>> = {
    String: () => String(secret),
    'a template': () => `<${secret as unknown as string}>`,
    'JSON.stringify': () => JSON.stringify({ secret, list: [secret] }),
    'util.inspect': () => inspect({ secret }, { depth: 9, showHidden: true }),
    concatenation: () => 'x' + (secret as unknown as string),
    'Object.entries': () => JSON.stringify(Object.entries(secret)),
    'Object.assign': () => JSON.stringify(Object.assign({}, secret)),
    'structured cloning': () => inspect(structuredClone(Object.assign({}, secret))),
  };

  it.each(Object.entries(ways))('does not come out by %s', (_name, print) => {
    expect(print()).not.toContain(SECRET);
  });

  it('comes out by expose (control)', () => {
    expect(secret.expose()).toBe(SECRET);
  });
});
