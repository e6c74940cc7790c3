import { describe, expect, it } from '@jest/globals';
import fc from '../../support/fast-check.ts';
import { comparableUri } from '../../../src/identity/dpop/comparable-uri.ts';

describe('URIs that mean the same compare as equal, others do not', () => {
  it.each([
    ['https://a.test', 'https://a.test/'],
    ['https://a.test?x=1', 'https://a.test/'],
    ['https://a.test#x', 'https://a.test/'],
    ['HTTPS://A.test:443/B', 'https://a.test/B'],
    ['http://a.test:80/', 'http://a.test/'],
    ['https://a.test/%7Eme/%2d', 'https://a.test/~me/-'],
    ['https://a.test/%e2%82%ac', 'https://a.test/%E2%82%AC'],
    ['https://a.test/a/%2E%2e/b', 'https://a.test/b'],
    ['https://[::1]:8120/a', 'https://[::1]:8120/a'],
    ['https://a.test//b', 'https://a.test//b'],
    ['https://a.test/a%2Fb', 'https://a.test/a%2Fb'],
  ])('%s', (text, comparable) => {
    expect(comparableUri(text)).toBe(comparable);
    expect(comparableUri(comparable)).toBe(comparable);
  });

  it.each(['', 'a', '/a', '//a.test/b', 'ftp://a.test/', 'https://', 'https:///a', 'https:/a.test', 'https://a b/', 'https://a.test/ ', '\thttps://a.test/', 'https://a.test\\b', 'https://u@a.test/', 'https://u:p@a.test/', 'https://a.test/%', 'https://a.test/%zz', 'https://a.test/é', 'https://a.test:99999/', `https://a.test/${'a'.repeat(4_096)}`])(
    '%j is none',
    (text) => {
      expect(comparableUri(text)).toBeUndefined();
    },
  );

  it('never throws, and is stable', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'Z', '0', '/', '.', '..', ':', '@', '?', '#', '%2e', '%2F', '%', '[', '~', ' ', 'é', '\\') }), (tail) => {
        const text = `https://a.test/${tail}`;
        const once = comparableUri(text);
        if (once !== undefined) expect(comparableUri(once)).toBe(once);
      }),
    );
  });
});
