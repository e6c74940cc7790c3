import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import fc from '../support/fast-check.ts';
import { canonicalJson, digestOf } from '../../src/core/canonical-json.ts';
import { Secret } from '../../src/core/secret.ts';

describe('canonical JSON', () => {
  it('agrees with an independent implementation of RFC 8785 on any JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(canonicalJson(value)).toBe(canonicalize(value));
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives the examples of RFC 8785 their bytes', () => {
    expect(canonicalJson({ numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001], literals: [null, true, false] })).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]}',
    );
    expect(canonicalJson({ '\u20ac': 1, '\r': 2, '1': 3, '\u0080': 4 })).toBe('{"\\r":2,"1":3,"\u0080":4,"\u20ac":1}');
  });

  it('does not depend on the order in which members were written', () => {
    expect(digestOf({ b: 1, a: { d: 2, c: 3 } })).toBe(digestOf({ a: { c: 3, d: 2 }, b: 1 }));
  });

  it('refuses what has no JSON form, and never opens a secret', () => {
    expect(() => canonicalJson({ a: Infinity })).toThrow(TypeError);
    expect(() => canonicalJson(undefined)).toThrow(TypeError);
    expect(canonicalJson({ s: new Secret('x') })).toBe('{"s":"[secret]"}');
  });
});
