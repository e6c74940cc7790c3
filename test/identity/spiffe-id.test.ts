import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { parseSpiffeId } from '../../src/identity/spiffe-id.ts';

describe('a SPIFFE ID', () => {
  it.each([
    ['spiffe://example.org', 'example.org', ''],
    ['spiffe://example.org/a', 'example.org', '/a'],
    ['spiffe://example.org/a/b-c_d.e', 'example.org', '/a/b-c_d.e'],
    ['spiffe://10.0.0.1/a', '10.0.0.1', '/a'],
    ['spiffe://a_b.c-d/...', 'a_b.c-d', '/...'],
    ['spiffe://td/.x', 'td', '/.x'],
    [`spiffe://td/${'a'.repeat(2_036)}`, 'td', `/${'a'.repeat(2_036)}`],
  ])('%s is one', (text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ trustDomain, path });
  });

  it.each([
    '', 'spiffe://', 'spiffe:///a', 'spiffe:/td/a', '//td/a', 'http://td/a', 'spiffe://td/', 'spiffe://td//a', 'spiffe://td/a/', 'spiffe://td/.',
    'spiffe://td/..', 'spiffe://td/a/../b', 'spiffe://td/a/./b', 'spiffe://TD/a', 'SPIFFE://td/a', 'spiffe://td:80/a', 'spiffe://u@td/a', 'spiffe://td/a?b',
    'spiffe://td/a#b', 'spiffe://td/%61', 'spiffe://td/ä', ' spiffe://td/a', 'spiffe://td/a ', 'spiffe://td/a\n', 'spiffe://t d/a', `spiffe://${'a'.repeat(256)}/a`,
    `spiffe://td/${'a'.repeat(2_040)}`,
  ])('%j is none', (text) => {
    expect(parseSpiffeId(text)).toBeUndefined();
  });

  it('is exactly what its parts spell: nothing is repaired on the way', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'spife:/.-_aZ0 %@?#'.split('')) }), (rest) => {
        const id = parseSpiffeId(`spiffe://${rest}`);
        if (id !== undefined) expect(`spiffe://${id.trustDomain}${id.path}`).toBe(`spiffe://${rest}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it('would be repaired by URL (control)', () => {
    expect(new URL('spiffe://td/a/../b').href).toBe('spiffe://td/b');
  });
});
