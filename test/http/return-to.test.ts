import { describe, expect, it } from '@jest/globals';
import { parseReturnTo } from '../../src/http/sign-in/return-to.ts';

const HOME = 'https://mayfly.test/broker';

describe('where a person goes after signing in', () => {
  it.each([
    ['/', '/'],
    ['/leases?state=stuck&owner=a%20b#row-3', '/leases?state=stuck&owner=a%20b#row-3'],
    ['/a/../b', '/b'],
    ['/auth/methods', '/auth/methods'],
    [undefined, '/broker'],
  ])('is a path of the broker: %s', (asked, to) => {
    expect(parseReturnTo(asked, HOME)).toBe(to);
  });

  it.each([
    '//evil.test', '///evil.test', '/\\evil.test', '\\\\evil.test', '/\t/evil.test', '/\n/evil.test', 'https://evil.test', 'https:evil.test', 'javascript:alert(1)', 'evil.test', '',
    '/.//evil.test', '/..//evil.test', '/x/..//evil.test', '/a\\..\\..\\b', ' /', '/ä', '/\u0000', `/${'a'.repeat(1_024)}`, 'data:text/html,x', '@evil.test', '.', '?x',
  ])('is never elsewhere: %j', (asked) => {
    expect(() => parseReturnTo(asked, HOME)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
