import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { epochMsFrom } from '../../src/core/time.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies } from '../../src/policy/compile-policies.ts';
import type { PolicyQuestion } from '../../src/policy/decision.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';

const DIRECTORY = join(import.meta.dirname, '../../config/policies');
const engine = createCedarEngine(loadPolicies(DIRECTORY));

const KINDS: Readonly<Record<string, readonly [kind: string, revocability: PolicyQuestion['credential']['revocability']]>> = {
  'orders-db': ['vault.dynamic', 'exact'],
  'vault-token': ['vault.token', 'exact'],
  'reports-bucket': ['aws.sts', 'eventual'],
  'payments-api-key': ['vault.kv', 'none'],
  'task-token': ['jwt', 'none'],
  'task-reference': ['jwt', 'exact'],
};

interface Ask {
  readonly who?: string;
  readonly action?: PolicyQuestion['action'];
  readonly credential?: string;
  readonly purpose?: string;
  readonly does?: readonly string[];
  readonly data?: readonly string[];
  readonly ttl?: number;
  readonly approvals?: number;
}

function question({ who = 'agent:refunds', action = 'mint', credential = 'orders-db', purpose = 'refund-investigation', does = ['read'], data = [], ttl = 300, approvals = 0 }: Ask): PolicyQuestion {
  const [kind, revocability] = (Object.hasOwn(KINDS, credential) ? KINDS[credential] : undefined) ?? ['jwt', 'exact'];
  return {
    action,
    principal: { issuer: 'https://issuer.test', subject: who },
    credential: { name: credential, provider: 'p', kind, revocability, owner: 'o' },
    purpose,
    actions: does,
    dataClasses: data,
    evidence: 'self_declared',
    approvals,
    ticket: null,
    params: {},
    context: {},
    ttlSeconds: ttl,
    delegationDepth: 0,
    delegationChain: [],
    environment: 'development',
    senderBound: false,
    liveLeases: 0,
    grantsLastHour: 0,
    nowMs: epochMsFrom(1_800_000_000_000),
  };
}

const EXPORT = { purpose: 'data-export', does: ['export'] } as const;

const TABLE: readonly (readonly [string, Ask, string, readonly string[]])[] = [
  ...Object.keys(KINDS).flatMap((credential): [string, Ask, string, string[]][] => {
    const rule = credential === 'payments-api-key' ? 'refund-investigation-static-key' : 'refund-investigation-mint';
    return [
      [`the refunds agent reads with ${credential}`, { credential }, 'permit', [rule]],
      [`the refunds agent reads personal data with ${credential}`, { credential, data: ['pii'] }, 'permit', [rule]],
    ];
  }),
  ['a second agent reads orders', { who: 'agent:payouts' }, 'permit', ['refund-payout-mint']],
  ['a second agent takes a token', { who: 'agent:payouts', credential: 'task-token' }, 'permit', ['refund-payout-mint']],
  ['a second agent takes the static key', { who: 'agent:payouts', credential: 'payments-api-key' }, 'deny', []],
  ['a second agent takes the bucket', { who: 'agent:payouts', credential: 'reports-bucket' }, 'deny', []],
  ['an unknown agent', { who: 'agent:unknown' }, 'deny', []],
  ['an agent whose name begins alike', { who: 'agent:refunds-evil' }, 'deny', []],
  ['an agent with no name', { who: '' }, 'deny', []],
  ['the orchestrator mints for itself', { who: 'orchestrator:support-desk' }, 'deny', []],
  ['the orchestrator declares for an agent', { who: 'orchestrator:support-desk', action: 'declare_for' }, 'permit', ['refund-investigation-declare-for']],
  ['an agent declares for another', { action: 'declare_for' }, 'deny', []],
  ['the refunds agent delegates orders', { action: 'delegate' }, 'permit', ['refund-investigation-delegate']],
  ['the refunds agent delegates a token', { action: 'delegate', credential: 'vault-token' }, 'deny', []],
  ['the second agent delegates', { who: 'agent:payouts', action: 'delegate' }, 'deny', []],
  ['the refunds agent extends', { action: 'extend' }, 'permit', ['refund-investigation-extend']],
  ['an unknown agent extends', { who: 'agent:unknown', action: 'extend' }, 'deny', []],
  ['writing for a refund', { does: ['write'] }, 'deny', []],
  ['reading and writing for a refund', { does: ['read', 'write'] }, 'deny', []],
  ['doing nothing for a refund', { does: [] }, 'deny', []],
  ['financial data for a refund', { data: ['financial'] }, 'deny', []],
  ['personal and financial data for a refund', { data: ['pii', 'financial'] }, 'deny', []],
  ['an unconfigured credential', { credential: 'root' }, 'deny', []],
  ['personal data for exactly a quarter of an hour', { data: ['pii'], ttl: 900, credential: 'orders-db' }, 'permit', ['refund-investigation-mint']],
  ['personal data for a second more', { data: ['pii'], ttl: 901 }, 'deny', ['ttl-pii-quarter-hour']],
  ['no personal data for an hour', { ttl: 3_600 }, 'permit', ['refund-investigation-mint']],
  ['anything for more than an hour', { ttl: 3_601 }, 'deny', ['ttl-one-hour']],
  ['a JWT for ten minutes', { credential: 'task-token', ttl: 600 }, 'permit', ['refund-investigation-mint']],
  ['a JWT for longer', { credential: 'task-token', ttl: 601 }, 'deny', ['ttl-unrevocable-ten-minutes']],
  ['an export', EXPORT, 'approval_required', ['data-export-mint']],
  ['an export that a human approved', { ...EXPORT, approvals: 1 }, 'permit', ['data-export-mint']],
  ['an approved export by another agent', { ...EXPORT, who: 'agent:payouts', approvals: 1 }, 'deny', []],
  ['an export with another credential', { ...EXPORT, credential: 'vault-token' }, 'deny', []],
  ['an export for too long, though approved', { ...EXPORT, ttl: 901, approvals: 1 }, 'deny', ['data-export-quarter-hour']],
  ['reading under the purpose of exporting', { ...EXPORT, does: ['read'] }, 'deny', []],
  ['exporting under the purpose of a refund', { does: ['export'] }, 'deny', []],
  ['a purpose that does not exist', { purpose: 'because' }, 'deny', []],
  ['a purpose called __proto__', { purpose: '__proto__' }, 'deny', []],
];

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

  it('never throws, and permits only words of the closed lists', () => {
    fc.assert(
      fc.property(ask, (asked) => {
        const { result } = engine.decide(question(asked));
        if (result === 'permit') expect([asked.purpose, ...(asked.does ?? [])]).toEqual(['refund-investigation', 'read']);
      }),
      { numRuns: 300 },
    );
  });

  it('a shorter life is never denied where a longer one is permitted', () => {
    fc.assert(
      fc.property(ask, fc.integer({ min: 1, max: 10_000 }), (asked, less) => {
        const longer = engine.decide(question(asked)).result;
        if (longer !== 'permit') return;
        expect(engine.decide(question({ ...asked, ttl: Math.min(asked.ttl ?? 1, less) })).result).toBe('permit');
      }),
      { numRuns: 300 },
    );
  });

  it('one more forbid never turns a denial into a permit', () => {
    const sources = loadSources();
    const stricter = compilePolicies({
      schema: sources.schema,
      policies: [...sources.policies, { file: 'extra.cedar', text: '@id("extra") forbid (principal, action == Mayfly::Action::"mint", resource) when { context.ttl_seconds > 200 };' }],
    });
    const before = new Map<string, string>();
    const asked: Ask[] = TABLE.map(([, one]) => one);
    for (const one of asked) before.set(JSON.stringify(one), engine.decide(question(one)).result);
    const after = createCedarEngine(stricter);
    for (const one of asked) {
      if (before.get(JSON.stringify(one)) === 'deny') expect(after.decide(question(one)).result).toBe('deny');
    }
    createCedarEngine(loadPolicies(DIRECTORY));
  });

  it('the digest of the input tells two questions apart, and knows the same one again', () => {
    const digest = (asked: Ask): string => engine.decide(question(asked)).inputDigest;
    expect(digest({})).toBe(digest({}));
    expect(digest({ ttl: 300 })).not.toBe(digest({ ttl: 301 }));
  });
});

function loadSources() {
  const source = (file: string) => ({ file, text: readFileSync(join(DIRECTORY, file), 'utf8') });
  return { schema: source('schema.cedarschema'), policies: ['refund-investigation.cedar', 'data-export.cedar', 'ceilings.cedar'].map(source) };
}
