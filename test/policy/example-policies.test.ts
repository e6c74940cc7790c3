import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { DIRECTORY } from './policy-fixture.ts';
import { KINDS, question, TABLE, type Ask } from './example-questions.ts';

const engine = createCedarEngine(loadPolicies(DIRECTORY));

describe("the example's policies", () => {
  it.each(TABLE)('%s', (_name, ask, result, policies) => {
    expect(engine.decide(question(ask))).toMatchObject({ result, policies, fault: null });
  });

  it('publish a reason for each ceiling', () => {
    expect(engine.decide(question({ ttl: 3_601, data: ['pii'] })).reasons).toEqual([
      'a credential may live one hour at most',
      'with personal data a credential may live 15 minutes at most',
    ]);
  });
});

describe('a refund investigation', () => {
  it('gets every credential of the example for any life up to five minutes, with personal data or none', () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(KINDS)), fc.integer({ min: 1, max: 300 }), fc.subarray(['pii']), (credential, ttl, data) => {
        expect(engine.decide(question({ credential, ttl, data })).result).toBe('permit');
      }),
      { numRuns: 150 },
    );
  });
});

describe('whatever is asked', () => {
  const word = fc.oneof(fc.constantFrom('read', 'write', 'export', 'pii', 'refund-investigation', 'data-export', '__proto__', 'constructor', 'toString'), fc.string());
  const ask: fc.Arbitrary<Ask> = fc.record({
    who: fc.oneof(fc.constantFrom('agent:refunds', 'agent:payouts'), fc.string()),
    credential: fc.oneof(fc.constantFrom(...Object.keys(KINDS)), fc.string()),
    purpose: word,
    does: fc.array(word, { maxLength: 3 }),
    data: fc.array(word, { maxLength: 3 }),
    ttl: fc.integer({ min: 1, max: 10_000 }),
  });

  it('PO-8: never throws, and permits only words of the closed lists', () => {
    fc.assert(
      fc.property(ask, (asked) => {
        const { result } = engine.decide(question(asked));
        if (result === 'permit') expect([asked.purpose, ...(asked.does ?? [])]).toEqual(['refund-investigation', 'read']);
      }),
      { numRuns: 300 },
    );
  });

  it('PO-9: a shorter life is never answered more strictly than a longer one', () => {
    const strictness = (ask: Ask, ttl: number): number => ['permit', 'approval_required', 'deny'].indexOf(engine.decide(question({ ...ask, ttl })).result);
    const life = fc.oneof(fc.constantFrom(1, 600, 601, 900, 901, 3_600, 3_601), fc.integer({ min: 1, max: 10_000 }));
    fc.assert(
      fc.property(fc.constantFrom(...TABLE.map(([, asked]) => asked)), life, life, (asked, one, other) => {
        expect(strictness(asked, Math.min(one, other))).toBeLessThanOrEqual(strictness(asked, Math.max(one, other)));
      }),
      { numRuns: 300 },
    );
  });
});
