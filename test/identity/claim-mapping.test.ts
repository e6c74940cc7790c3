import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { claimMapping } from '../../src/identity/claim-mapping.ts';
import { fillTemplate, parseTemplate, type ClaimTemplate } from '../../src/identity/claim-template.ts';

const parsed = (text: string): ClaimTemplate => {
  const template = parseTemplate(text);
  if (typeof template === 'string') throw new Error(template);
  return template;
};
const fill = (text: string, claims: object): string | undefined => fillTemplate(parsed(text), claims);

describe('a template', () => {
  it.each([
    ['agent:{id}', { id: '7' }, 'agent:7'],
    ['agent:{id}', { id: 7 }, 'agent:7'],
    ['{sub}', { sub: 'system:serviceaccount:a:b' }, 'system:serviceaccount:a:b'],
    ['k8s:{kubernetes.io.namespace}/{kubernetes.io.serviceaccount.name}', { 'kubernetes.io': { namespace: 'a', serviceaccount: { name: 'b' } } }, 'k8s:a/b'],
    ['agent:{id}', { id: 'a:b/c d%é' }, 'agent:a%3Ab%2Fc%20d%25%C3%A9'],
    ['agent:{id}', { id: "!~*'()" }, 'agent:%21%7E%2A%27%28%29'],
    ['fixed', {}, 'fixed'],
  ])('%s of %j is %s', (text, claims, name) => {
    expect(fill(text, claims)).toBe(name);
  });

  it.each([[undefined], [null], [''], [{}], [['a']], [1.5], ['a\nb'], ['\ud800'], ['a'.repeat(513)]])('makes no name of %j', (id) => {
    expect(fill('agent:{id}', { id })).toBeUndefined();
    expect(fill('{id}', { id })).toBeUndefined();
  });

  it.each(['{a}{b}', '{a}-{b}', '{a}.x_{b}', 'a:{b}{c}', '{a', 'a}', '{}', 'x{ }', '{{a}}', 'a\n{b}'])('%j is none', (text) => {
    expect(typeof parseTemplate(text)).toBe('string');
  });

  it('never makes one name of different claims: no value breaks out', () => {
    const value = fc.oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ unit: fc.constantFrom('a', ':', '/', '%', '3A', '-', '.', '@'), minLength: 1, maxLength: 8 }));
    for (const text of ['agent:{a}:{b}', '{a}/x/{b}', 'x-{a}@{b}:y']) {
      fc.assert(
        fc.property(value, value, value, value, (a, b, c, d) => {
          const [one, other] = [fill(text, { a, b }), fill(text, { a: c, b: d })];
          fc.pre(one !== undefined && other !== undefined);
          expect(one === other).toBe(a === c && b === d);
        }),
      );
    }
  });

  it('while without encoding two could be one (control)', () => {
    const plain = (a: string, b: string): string => `agent:${a}:${b}`;
    expect(plain('x:y', 'z')).toBe(plain('x', 'y:z'));
    expect(fill('agent:{a}:{b}', { a: 'x:y', b: 'z' })).not.toBe(fill('agent:{a}:{b}', { a: 'x', b: 'y:z' }));
  });
});

describe('a mapping', () => {
  it('leaves the subject where it names no agent, and has no attributes where it names none', () => {
    const mapping = claimMapping({});
    expect(mapping.agentOf('agent:a', {})).toBe('agent:a');
    expect(mapping.attributesOf({})).toBeUndefined();
  });

  it('names owner and environment, or null where the token says nothing of them', () => {
    const mapping = claimMapping({ owner: '{team}', environment: 'ci:{environment}' });
    expect(mapping.attributesOf({ team: 'pay@example.org', environment: 'prod' })).toEqual({ owner: 'pay@example.org', environment: 'ci:prod' });
    expect(mapping.attributesOf({ team: ['x'] })).toEqual({ owner: null, environment: null });
  });

  it('refuses whoever would pose as a member of a trust domain, or has no name', () => {
    const mapping = claimMapping({ agent: '{id}' });
    for (const id of ['spiffe://example.org/a', 'SPIFFE://example.org/a', ' spiffe:x', undefined]) expect(() => mapping.agentOf('s', { id })).toThrow(expect.objectContaining({ code: 'invalid_token' }));
    const split = claimMapping({ agent: '{scheme}://{id}' });
    expect(() => split.agentOf('s', { scheme: 'spiffe', id: 'example.org' })).toThrow(expect.objectContaining({ code: 'invalid_token' }));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string().map((rest) => `spiffe:${rest}`)), (id) => {
        let name = '';
        try {
          name = mapping.agentOf('s', { id });
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_token' });
        }
        expect(name.trimStart().toLowerCase().startsWith('spiffe:')).toBe(false);
      }),
    );
  });
});
