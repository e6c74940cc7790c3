import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { afterAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { epochMsFrom } from '../../src/core/time.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies, type CompiledPolicies } from '../../src/policy/compile-policies.ts';
import type { PolicyQuestion } from '../../src/policy/decision.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { PolicyError } from '../../src/policy/policy-error.ts';

const DIRECTORY = join(import.meta.dirname, '../../config/policies');
const { schemaText } = loadPolicies(DIRECTORY);
const compile = (text: string): CompiledPolicies => compilePolicies({ schema: { file: 'schema.cedarschema', text: schemaText }, policies: [{ file: 'test.cedar', text }] });

const QUESTION: PolicyQuestion = {
  action: 'mint',
  principal: { issuer: 'https://issuer.test', subject: 'agent:a' },
  credential: { name: 'c', provider: 'p', kind: 'jwt', revocability: 'exact', owner: 'o' },
  purpose: 'refund-investigation',
  actions: ['read'],
  dataClasses: [],
  evidence: 'self_declared',
  approvals: 0,
  ticket: null,
  params: {},
  context: {},
  ttlSeconds: 60,
  delegationDepth: 0,
  delegationChain: [],
  environment: 'test',
  senderBound: false,
  liveLeases: 0,
  grantsLastHour: 0,
  nowMs: epochMsFrom(1_800_000_000_000),
};
const PERMIT = '@id("all") permit (principal, action, resource);';

describe('the engine', () => {
  it('denies when a forbid errs, although Cedar skips it and says allow (control)', () => {
    // The overflow is one that no schema can rule out.
    const compiled = compile(`${PERMIT} @id("errs") forbid (principal, action, resource) when { context.ttl_seconds * 9223372036854775807 > 0 };`);
    const decision = createCedarEngine(compiled).decide(QUESTION);
    expect(decision).toMatchObject({ result: 'deny', policies: [], fault: 'policy errs failed' });

    const raw = cedar.isAuthorized({
      principal: { type: 'Mayfly::Agent', id: 'a' },
      action: { type: 'Mayfly::Action', id: 'mint' },
      resource: { type: 'Mayfly::Credential', id: 'c' },
      context: { ttl_seconds: 60 },
      policies: { staticPolicies: { all: 'permit (principal, action, resource);', errs: 'forbid (principal, action, resource) when { context.ttl_seconds * 9223372036854775807 > 0 };' } },
      entities: [],
    });
    expect(raw).toMatchObject({ type: 'success', response: { decision: 'allow' } });
    if (raw.type === 'success') expect(raw.response.diagnostics.errors).toHaveLength(1);
  });

  it('denies by default: no policy that fits is no permission', () => {
    const engine = createCedarEngine(compile('@id("other") permit (principal == Mayfly::Agent::"agent:b", action, resource);'));
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', policies: [], fault: null });
  });

  it.each([
    ['a lifetime with a fraction', { ttlSeconds: 1.5 }],
    ['a lifetime that is no number', { ttlSeconds: Number.NaN }],
    ['a counter beyond all integers', { liveLeases: 2 ** 60 }],
  ])('denies, and says that something is wrong, for %s', (_name, fields) => {
    const engine = createCedarEngine(compile(PERMIT));
    const decided = (() => {
      try {
        return engine.decide({ ...QUESTION, ...fields });
      } catch {
        return { result: 'threw' };
      }
    })();
    expect(decided).toMatchObject({ result: 'deny' });
  });

  it('names the policies that decided by their own ids', () => {
    expect(createCedarEngine(compile(PERMIT)).decide(QUESTION)).toMatchObject({ result: 'permit', policies: ['all'] });
    // Control: Cedar by itself numbers the policies of a text.
    const parts = cedar.policySetTextToParts(PERMIT);
    expect(parts).toMatchObject({ type: 'success' });
  });

  it('asks for approval only where approval is what is missing', () => {
    const engine = createCedarEngine(compile('@id("human") permit (principal, action, resource) when { context.approvals >= 1 };'));
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'approval_required', policies: ['human'] });
    expect(engine.decide({ ...QUESTION, approvals: 1 })).toMatchObject({ result: 'permit' });
    const forbidden = createCedarEngine(compile('@id("human") permit (principal, action, resource) when { context.approvals >= 1 }; @id("never") forbid (principal, action, resource);'));
    expect(forbidden.decide(QUESTION)).toMatchObject({ result: 'deny', policies: ['never'] });
  });

  it('publishes the reason of a forbid, and of nothing else', () => {
    const engine = createCedarEngine(compile(`@id("permit") @deny_reason("not shown") permit (principal, action, resource); @id("no") @deny_reason("because") forbid (principal, action, resource) when { context.ttl_seconds > 30 };`));
    expect(engine.decide(QUESTION).reasons).toEqual(['because']);
    expect(engine.decide({ ...QUESTION, ttlSeconds: 30 })).toMatchObject({ result: 'permit', reasons: [] });
  });

  it('shows a policy the whole question: time, counters, claims, parameters', () => {
    const engine = createCedarEngine(
      compile(`@id("detail") permit (principal, action, resource) when {
        principal.issuer == "https://issuer.test" && resource.owner == "o" && context.now < datetime("2100-01-01") && context.live_leases < 5 &&
        context.claims.contains("tool=sql") && context.params.contains("customer=42") && context has ticket && context.ticket == "OPS-1" };`),
    );
    const full = { ...QUESTION, ticket: 'OPS-1', context: { tool: 'sql' }, params: { customer: 42 } };
    expect(engine.decide(full).result).toBe('permit');
    expect(engine.decide({ ...full, liveLeases: 5 }).result).toBe('deny');
  });

  afterAll(() => {
    createCedarEngine(loadPolicies(DIRECTORY));
  });
});

describe('compiling', () => {
  it.each([
    ['a policy without an id', 'permit (principal, action, resource);', 'test.cedar: policy 1 needs an @id'],
    ['an id that stands twice', `${PERMIT} ${PERMIT}`, 'test.cedar, policy all: has an @id that is already used in test.cedar'],
    ['an id with spaces', '@id("a b") permit (principal, action, resource);', 'needs an @id'],
    ['a purpose that does not exist', '@id("a") permit (principal, action, resource) when { context.purpose == Mayfly::Purpose::"x" };', 'test.cedar, policy a:'],
    ['an attribute that does not exist', '@id("a") permit (principal, action, resource) when { context.mfa };', 'test.cedar, policy a:'],
    ['an optional attribute read without a look', '@id("a") permit (principal, action, resource) when { context.ticket == "x" };', 'test.cedar, policy a:'],
    ['an action that does not exist', '@id("a") permit (principal, action == Mayfly::Action::"fly", resource);', 'test.cedar, policy a:'],
    ['a policy that can never apply', '@id("a") permit (principal is Mayfly::Credential, action, resource);', 'test.cedar, policy a:'],
    ['broken syntax', '\n\n@id("a") permit (principal, action, resource) when { ;', 'test.cedar: line 3:'],
    ['no policy at all', '', 'there is no policy'],
    ['a template', '@id("a") permit (principal == ?principal, action, resource);', 'templates are not supported'],
  ])('refuses %s, naming file and policy', (_name, text, message) => {
    expect(() => compile(text)).toThrow(PolicyError);
    expect(() => compile(text)).toThrow(message);
  });

  it('gives a set the same version wherever its policies stand, and another one after any change', () => {
    const two = `${PERMIT} @id("b") forbid (principal, action, resource) when { context.ttl_seconds > 5 };`;
    const turned = `@id("b") forbid (principal, action, resource) when { context.ttl_seconds > 5 }; ${PERMIT}`;
    expect(compile(two).version).toBe(compile(turned).version);
    expect(compile(two).version).not.toBe(compile(two.replace('5', '6')).version);
  });

  it('names the folder that cannot be read', () => {
    expect(() => loadPolicies('/nonexistent')).toThrow('/nonexistent/schema.cedarschema: cannot be read');
  });

  it('looks only at policies that can apply to an action', () => {
    const compiled = compile('@id("m") permit (principal, action == Mayfly::Action::"mint", resource); @id("e") permit (principal, action in [Mayfly::Action::"extend"], resource);');
    expect(Object.keys(compiled.byAction.get('mint') ?? {})).toEqual(['m']);
    expect(Object.keys(compiled.byAction.get('extend') ?? {})).toEqual(['e']);
  });
});
