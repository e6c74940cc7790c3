import { describe, expect, it } from '@jest/globals';
import { claimAt } from '../../src/identity/claim-at.ts';

describe('the claim at a path', () => {
  it.each([
    [{ roles: ['a'] }, 'roles', ['a']],
    [{ realm_access: { roles: ['a'] } }, 'realm_access.roles', ['a']],
    [{ 'https://example.org/roles': ['a'] }, 'https://example.org/roles', ['a']],
    [{ 'kubernetes.io': { pod: { uid: 'u' } } }, 'kubernetes.io.pod.uid', 'u'],
    [{ a: { b: { c: 1 } }, 'a.b': { c: 2 }, 'a.b.c': 3 }, 'a.b.c', 3],
    [{ a: {}, 'a.b': { c: 2 } }, 'a.b.c', 2],
  ])('of %j at %s is %j', (claims, path, value) => {
    expect(claimAt(claims, path)).toEqual(value);
  });

  it.each([
    [{}, 'roles'],
    [{ roles: 'x' }, 'roles.length'],
    [{ roles: {} }, 'roles.constructor.name'],
    [{}, '__proto__'],
    [{}, 'toString'],
    [null, 'roles'],
    [{ '': { x: 1 } }, 'x'],
  ])('of %j at %s is nothing: neither what strings have, nor what objects inherit', (claims, path) => {
    expect(claimAt(claims, path)).toBeUndefined();
  });
});
