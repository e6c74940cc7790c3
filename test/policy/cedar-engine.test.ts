import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { requestFor } from '../../src/policy/cedar-request.ts';
import { createCedarEngine, createDraftEngine } from '../../src/policy/cedar-engine.ts';
import { CedarHost, startCedar, type Cedar } from '../../src/policy/cedar-wasm.ts';
import type { PolicyQuestion } from '../../src/policy/decision.ts';
import { PolicyError } from '../../src/policy/policy-error.ts';
import { compile, engineFor, PERMIT_ALL, QUESTION, SCHEMA } from './policy-fixture.ts';

/** A question as a caller with a bug, or an attacker with a gap in our parsing, would put it. */
const malformed = (fields: Partial<Record<keyof PolicyQuestion, unknown>>): PolicyQuestion => ({ ...QUESTION, ...fields }) as PolicyQuestion;

/** Cedar by itself, for the controls. */
const raw = (policies: string | Record<string, string>, context = requestFor(QUESTION).context, schema?: string) =>
  cedar.isAuthorized({ ...requestFor(QUESTION), context, policies: { staticPolicies: policies }, ...(schema === undefined ? {} : { schema, validateRequest: true }) });

/** It can be known only when it runs: no schema rules an overflow out. */
const OVERFLOWS = 'context.ttl_seconds * 9223372036854775807 > 0';

describe('a permit', () => {
  it('PO-5: needs every forbid to have been judged: Cedar skips one that errs, and says allow (control)', () => {
    const forbid = `forbid (principal, action, resource) when { ${OVERFLOWS} };`;
    expect(engineFor(`${PERMIT_ALL} @id("errs") ${forbid}`).decide(QUESTION)).toMatchObject({ result: 'deny', policies: [], reasons: [], fault: 'policy errs failed' });

    const answer = raw({ all: PERMIT_ALL, errs: forbid });
    expect(answer).toMatchObject({ type: 'success', response: { decision: 'allow', diagnostics: { errors: [{ policyId: 'errs' }] } } });
  });

  it('PO-5: needs a policy that says so: none that fits is a plain denial', () => {
    const engine = engineFor('@id("other") permit (principal == Mayfly::Agent::"agent:b", action, resource);');
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', policies: [], reasons: [], fault: null });
  });

  it('PO-6: needs a question that fits the schema: unchecked, Cedar permits on nonsense (control)', () => {
    const question = malformed({ senderBound: 'yes' });
    expect(engineFor(PERMIT_ALL).decide(question)).toMatchObject({ result: 'deny', policies: [], fault: expect.stringContaining('is not valid for') });

    expect(raw({ all: PERMIT_ALL }, requestFor(question).context)).toMatchObject({ response: { decision: 'allow' } });
    expect(raw({ all: PERMIT_ALL }, requestFor(question).context, SCHEMA)).toMatchObject({ type: 'failure' });
  });

  it('PO-2: names its policies by their own ids: numbered by Cedar, a name moves to another policy with the next edit (control)', () => {
    const forbid = '@id("late") forbid (principal, action, resource) when { context.ttl_seconds > 900 };';
    expect(engineFor(`${PERMIT_ALL} ${forbid}`).decide(QUESTION).policies).toEqual(['all']);
    expect(engineFor(`${forbid} ${PERMIT_ALL}`).decide(QUESTION).policies).toEqual(['all']);

    expect(raw(`${PERMIT_ALL} ${forbid}`)).toMatchObject({ response: { diagnostics: { reason: ['policy0'] } } });
    expect(raw(`${forbid} ${PERMIT_ALL}`)).toMatchObject({ response: { diagnostics: { reason: ['policy1'] } } });
  });

  it('PO-2: needs policies that were validated: Cedar takes in a set with an attribute that does not exist (control)', () => {
    const unsafe = '@id("unsafe") forbid (principal, action, resource) when { context.mfa == false };';
    expect(() => compile(`${PERMIT_ALL} ${unsafe}`)).toThrow(PolicyError);

    expect(cedar.preparsePolicySet('control', { staticPolicies: { all: PERMIT_ALL, unsafe } })).toMatchObject({ type: 'success' });
    expect(raw({ all: PERMIT_ALL, unsafe })).toMatchObject({ response: { decision: 'allow' } });
  });
});

describe('a question', () => {
  it.each([
    ['a purpose', { purpose: 'because' }],
    ['a purpose called __proto__', { purpose: '__proto__' }],
    ['an operation', { actions: ['read', 'constructor'] }],
    ['a data class', { dataClasses: ['toString'] }],
  ])('PO-8: with %s that nobody defined is denied, quietly; Cedar calls it a failure (control)', (_name, fields) => {
    const question = { ...QUESTION, ...fields };
    expect(engineFor(PERMIT_ALL).decide(question)).toMatchObject({ result: 'deny', policies: [], reasons: [], fault: null });
    expect(raw({ all: PERMIT_ALL }, requestFor(question).context, SCHEMA)).toMatchObject({ type: 'failure' });
  });

  it('about an agent that is registered for a purpose which left the vocabulary is answered without it; with it, Cedar calls it a failure (control)', () => {
    const question = { ...QUESTION, agentFacts: { registered: true, owner: 'o', purposes: [QUESTION.purpose, 'gone'], environments: [], reviewOverdue: false } };
    expect(engineFor(PERMIT_ALL).decide(question)).toMatchObject({ result: 'permit', fault: null });
    expect(engineFor(`${PERMIT_ALL}\n@id("narrow") forbid (principal, action, resource) when { !principal.purposes.contains(context.purpose) };`).decide({ ...question, agentFacts: { ...question.agentFacts, purposes: ['gone'] } })).toMatchObject({ result: 'deny', policies: ['narrow'], fault: null });
    const { entities, ...request } = requestFor(question);
    expect(cedar.isAuthorized({ ...request, entities, schema: SCHEMA, validateRequest: true, policies: { staticPolicies: { all: PERMIT_ALL } } })).toMatchObject({ type: 'failure' });
  });

  it.each([
    ['a lifetime with a fraction', { ttlSeconds: 1.5 }],
    ['a lifetime that is no number', { ttlSeconds: Number.NaN }],
    ['a lifetime written as text', { ttlSeconds: '60' }],
    ['a counter beyond all whole numbers', { liveLeases: 2 ** 60 }],
    ['an instant that no calendar has', { nowMs: Number.MAX_SAFE_INTEGER }],
    ['an instant that Cedar cannot write', { nowMs: Date.UTC(10_000, 0) }],
    ['an action that is none', { action: '__proto__' }],
    ['half a character', { ticket: '\ud800' }],
    ['no operations at all', { actions: null }],
    ['a credential without an owner', { credential: { ...QUESTION.credential, owner: undefined } }],
    ['a value that JSON does not have', { environment: 1n }],
  ])('PO-6: with %s is denied with a fault, and never throws', (_name, fields) => {
    const decision = engineFor(PERMIT_ALL).decide(malformed(fields));
    expect(decision).toMatchObject({ result: 'deny', policies: [], reasons: [], fault: expect.any(String) });
    expect(decision.inputDigest).toMatch(/^sha256:/);
  });

  it('PO-5: that lacks a field makes Cedar throw (control)', () => {
    const call = { ...requestFor(QUESTION), policies: { staticPolicies: {} } };
    expect(cedar.isAuthorized(call)).toMatchObject({ type: 'success' });
    Reflect.deleteProperty(call, 'resource');
    expect(() => cedar.isAuthorized(call)).toThrow();
  });

  it('of any strings is answered, and the answer is the same the second time', () => {
    const engine = engineFor('@id("one") permit (principal == Mayfly::Agent::"agent:refunds", action, resource == Mayfly::Credential::"orders-db") when { context.claims.contains("tool=sql") };');
    const text = fc.oneof(fc.constantFrom('__proto__', 'constructor', 'tool', 'sql', '"', '\\', '\0'), fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 }).map((units) => String.fromCharCode(...units)));
    const answer = ({ result, policies, inputDigest }: ReturnType<typeof engine.decide>): unknown => ({ result, policies, inputDigest });
    fc.assert(
      fc.property(text, text, text, fc.dictionary(text, text, { maxKeys: 3 }), (subject, name, ticket, context) => {
        const question = { ...QUESTION, principal: { issuer: subject, subject }, credential: { ...QUESTION.credential, name }, ticket, context };
        const first = engine.decide(question);
        expect(first.result).not.toBe('permit');
        expect(answer(engine.decide(question))).toEqual(answer(first));
      }),
      { numRuns: 150 },
    );
  });

  it('is seen whole by policy: who, which credential, time, counters, claims, parameters', () => {
    const engine = engineFor(`@id("detail") permit (principal, action, resource) when {
      principal.issuer == "https://issuer.test" && principal.subject == "agent:refunds" &&
      resource.provider == "vault-main" && resource.kind == "vault.dynamic" && resource.revocability == "exact" && resource.owner == "team-orders" &&
      context.evidence == "self_declared" && context.approvals == 0 && context has ticket && context.ticket == "OPS-1" &&
      context has for_agent && context.for_agent == "agent:payouts" &&
      context.params.contains("customer=42") && context.claims.contains("tool=sql") && context.ttl_seconds == 60 &&
      context.delegation_depth == 1 && context.delegation_chain.contains("agent:parent") && context.environment == "test" && context.sender_bound &&
      context.live_leases == 4 && context.grants_last_hour == 9 &&
      context.now.toDate() == datetime("2027-01-15") && context.now.toTime() == duration("8h")
    };`);
    const full: PolicyQuestion = {
      ...QUESTION,
      ticket: 'OPS-1',
      forAgent: 'agent:payouts',
      context: { tool: 'sql' },
      params: { customer: 42 },
      delegationDepth: 1,
      delegationChain: ['agent:parent'],
      senderBound: true,
      liveLeases: 4,
      grantsLastHour: 9,
    };
    expect(engine.decide(full)).toMatchObject({ result: 'permit', fault: null });
    expect(engine.decide({ ...full, liveLeases: 5 })).toMatchObject({ result: 'deny', fault: null });
  });

  it('has another input digest when any part of it differs, and the same one when none does', () => {
    const engine = engineFor(PERMIT_ALL);
    const variants: Partial<PolicyQuestion>[] = [
      {},
      { action: 'extend' },
      { principal: { ...QUESTION.principal, issuer: 'x' } },
      { principal: { ...QUESTION.principal, subject: 'x' } },
      { forAgent: 'x' },
      ...(['name', 'provider', 'kind', 'owner'] as const).map((key) => ({ credential: { ...QUESTION.credential, [key]: 'x' } })),
      { credential: { ...QUESTION.credential, revocability: 'none' } },
      { purpose: 'data-export' },
      { actions: ['write'] },
      { dataClasses: ['pii'] },
      { evidence: 'user_consented' },
      { approvals: 1 },
      { ticket: 'x' },
      { params: { a: 'b' } },
      { context: { a: 'b' } },
      { ttlSeconds: 61 },
      { delegationDepth: 1 },
      { delegationChain: ['x'] },
      { environment: 'x' },
      { senderBound: true },
      { liveLeases: 1 },
      { grantsLastHour: 1 },
    ];
    const digest = (fields: Partial<PolicyQuestion>): string => engine.decide({ ...QUESTION, ...fields }).inputDigest;
    expect(new Set(variants.map(digest)).size).toBe(variants.length);
    expect(variants.map(digest)).toEqual(variants.map(digest));
  });
});

describe('approval', () => {
  const HUMAN = '@id("human") permit (principal, action, resource) when { context.approvals >= 1 };';

  it('is asked for where it is all that is missing', () => {
    const engine = engineFor(HUMAN);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'approval_required', policies: ['human'], reasons: [], fault: null });
    expect(engine.decide({ ...QUESTION, approvals: 1 })).toMatchObject({ result: 'permit', policies: ['human'] });
  });

  it('is not asked for where a forbid would stand all the same', () => {
    const engine = engineFor(`${HUMAN} @id("never") @deny_reason("never") forbid (principal, action, resource);`);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', policies: ['never'], reasons: ['never'] });
  });

  it('is asked for where a forbid gives way to it', () => {
    const engine = engineFor(`${PERMIT_ALL} @id("gate") @deny_reason("a human must agree") forbid (principal, action, resource) unless { context.approvals >= 1 };`);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'approval_required', policies: ['all'], reasons: [] });
  });

  it.each([2, 3, 5])('is asked of as many as it takes: %i', (needed) => {
    const engine = engineFor(`@id("many") permit (principal, action, resource) when { context.approvals >= ${needed} };`);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'approval_required', approvalsNeeded: needed, policies: ['many'], fault: null });
    expect(engine.decide({ ...QUESTION, approvals: needed - 1 })).toMatchObject({ result: 'approval_required', approvalsNeeded: needed });
    expect(engine.decide({ ...QUESTION, approvals: needed })).toMatchObject({ result: 'permit', approvalsNeeded: 0 });
  });

  it('is not asked for where more would be needed than ever are asked', () => {
    const engine = engineFor('@id("six") permit (principal, action, resource) when { context.approvals >= 6 };');
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', approvalsNeeded: 0, fault: null });
  });

  it('is asked about with the evidence that it would be', () => {
    const engine = engineFor('@id("word") permit (principal, action, resource) when { context.evidence == "approved" };');
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'approval_required', approvalsNeeded: 1 });
    expect(engine.decide({ ...QUESTION, evidence: 'orchestrator_signed' })).toMatchObject({ result: 'deny' });
    const own = engineFor('@id("own") permit (principal, action, resource) when { context.evidence == "self_declared" && context.approvals >= 1 };');
    expect(own.decide(QUESTION)).toMatchObject({ result: 'deny' });
  });

  it('is not asked for where policy fails with it, and the fault is told', () => {
    const engine = engineFor(`${HUMAN} @id("errs") forbid (principal, action, resource) when { context.approvals * 9223372036854775807 + 1 > 0 && false || context.approvals > 5 };`);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', fault: 'policy errs failed' });
  });

  it('does not change what the digest is of: the question as it was put', () => {
    expect(engineFor(HUMAN).decide(QUESTION).inputDigest).toBe(engineFor(PERMIT_ALL).decide(QUESTION).inputDigest);
  });
});

describe('a published reason', () => {
  it('PO-7: is that of the forbids that decided, in a fixed order, and of nothing else', () => {
    const engine = engineFor(`@id("permit") @deny_reason("not shown") permit (principal, action, resource);
      @id("b") @deny_reason("second") forbid (principal, action, resource) when { context.ttl_seconds > 30 };
      @id("a") @deny_reason("first") forbid (principal, action, resource) when { context.ttl_seconds > 20 };
      @id("mute") forbid (principal, action, resource) when { context.ttl_seconds > 40 };
      @id("bare") @deny_reason forbid (principal, action, resource) when { context.ttl_seconds > 40 };`);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'deny', policies: ['a', 'b', 'bare', 'mute'], reasons: ['first', 'second'] });
    expect(engine.decide({ ...QUESTION, ttlSeconds: 25 }).reasons).toEqual(['first']);
    expect(engine.decide({ ...QUESTION, ttlSeconds: 20 })).toMatchObject({ result: 'permit', reasons: [] });
  });
});

describe('a newer engine', () => {
  const FORBID_ALL = '@id("none") forbid (principal, action, resource);';

  it('leaves the one before it as it was: under one name, the older would answer by the newer policies (control)', () => {
    const older = engineFor(FORBID_ALL);
    const newer = engineFor(PERMIT_ALL);
    expect(older.decide(QUESTION)).toMatchObject({ result: 'deny', policies: ['none'], policyVersion: older.version });
    expect(newer.decide(QUESTION)).toMatchObject({ result: 'permit', policyVersion: newer.version });

    cedar.preparseSchema('control', SCHEMA);
    const ask = () => cedar.statefulIsAuthorized({ ...requestFor(QUESTION), preparsedPolicySetId: 'control', preparsedSchemaName: 'control' });
    cedar.preparsePolicySet('control', { staticPolicies: { none: FORBID_ALL } });
    expect(ask()).toMatchObject({ response: { decision: 'deny' } });
    cedar.preparsePolicySet('control', { staticPolicies: { all: PERMIT_ALL } });
    expect(ask()).toMatchObject({ response: { decision: 'allow' } });
  });

  it('puts the one before the last out of force, which then denies and says so', () => {
    const oldest = engineFor(PERMIT_ALL);
    engineFor(PERMIT_ALL);
    engineFor(PERMIT_ALL);
    expect(oldest.decide(QUESTION)).toMatchObject({ result: 'deny', fault: 'these policies are no longer in force' });
  });

  it('that does not load leaves the one in use as it was, however often it is tried', () => {
    const before = engineFor(PERMIT_ALL);
    const inUse = engineFor(PERMIT_ALL);
    const good = compile(FORBID_ALL);
    const broken = { ...good, byAction: new Map([...good.byAction, ['delegate' as const, { x: 'forbid (principal' }]]) };
    for (let attempt = 0; attempt < 3; attempt += 1) expect(() => createCedarEngine(broken)).toThrow(PolicyError);
    expect(inUse.decide(QUESTION)).toMatchObject({ result: 'permit', policies: ['all'], fault: null });
    // Half of its policies have been replaced.
    expect(before.decide(QUESTION)).toMatchObject({ result: 'deny', fault: 'these policies are no longer in force' });
  });
});

describe('what breaks Cedar', () => {
  const HALF = '\ud800';
  const MANY = 3_000;
  /** Too deep for its stack. */
  const DEEP = `${PERMIT_ALL} @id("deep") forbid (principal, action, resource) when { ${'('.repeat(2_000)}true${')'.repeat(2_000)} };`;
  const answers = (one: Cedar): boolean => {
    try {
      return one.isAuthorized({ ...requestFor(QUESTION), policies: { staticPolicies: { all: PERMIT_ALL } } }).type === 'success';
    } catch {
      return false;
    }
  };
  const provoke = (work: () => unknown, times = 1): void => {
    for (let n = 0; n < times; n += 1) expect(work).toThrow();
  };

  it.each<readonly [string, Partial<PolicyQuestion>]>([
    ['context', { context: { tool: HALF } }],
    ['params', { params: { table: `orders${HALF}` } }],
    ['agent', { principal: { issuer: 'https://issuer.test', subject: HALF } }],
    ['justifying person', { subject: HALF, vouchedBy: HALF }],
    ['name of a claim', { context: { [HALF]: 1 } }],
  ])('never reaches it in the %s of a question, though thousands were asked', (_where, fields) => {
    const engine = engineFor(PERMIT_ALL);
    for (let n = 0; n < MANY; n += 1) expect(engine.decide({ ...QUESTION, ...fields }).result).toBe('deny');
    expect(engine.decide({ ...QUESTION, ...fields }).fault).toContain('half of a surrogate pair');
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'permit', fault: null });
  });

  it('would end every decision of the process by a few thousand questions of anybody (control)', () => {
    const cedar = startCedar();
    provoke(() => cedar.isAuthorized({ ...requestFor({ ...QUESTION, context: { tool: HALF } }), policies: { staticPolicies: {} } }), MANY);
    expect(answers(cedar)).toBe(false);
  });

  it('is a draft that is refused with a PolicyError, and the set in force goes on (control: what read it answers nobody any more)', () => {
    const engine = engineFor(PERMIT_ALL);
    for (let n = 0; n < 3; n += 1) expect(() => compile(DEEP)).toThrow(PolicyError);
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'permit', fault: null });
    expect(() => compile(PERMIT_ALL)).not.toThrow();

    const cedar = startCedar();
    provoke(() => cedar.policySetTextToParts(DEEP));
    expect(answers(cedar)).toBe(false);
  });

  it('is an expression that only its evaluation finds too long: it denies, and the set in force goes on', () => {
    const long = compile(`${PERMIT_ALL} @id("long") forbid (principal, action, resource) when { ${'1 + '.repeat(800)}1 == 0 };`);
    const engine = engineFor(PERMIT_ALL);
    expect(createDraftEngine(long).decide(QUESTION)).toMatchObject({ result: 'deny', fault: expect.any(String) });
    expect(createCedarEngine(long, 'replay').decide(QUESTION)).toMatchObject({ result: 'deny', fault: expect.any(String) });
    expect(createCedarEngine(long, 'shadow').decide(QUESTION)).toMatchObject({ result: 'deny', fault: expect.any(String) });
    expect(engine.decide(QUESTION)).toMatchObject({ result: 'permit', fault: null });
  });

  it('is replaced with its policies where it happens all the same: the next question is answered', () => {
    const long = createCedarEngine(compile(`${PERMIT_ALL} @id("long") forbid (principal, action, resource) when { context has ticket && ${'1 + '.repeat(800)}1 == 0 };`));
    expect(long.decide({ ...QUESTION, ticket: 'OPS-1' })).toMatchObject({ result: 'deny', fault: expect.any(String) });
    expect(long.decide(QUESTION)).toMatchObject({ result: 'permit', policies: ['all'], fault: null });
  });

  it('is told by what it throws: a refusal of ours keeps the Cedar, anything else has the next one take its place', () => {
    const host = new CedarHost();
    const first = host.run((cedar) => cedar);
    provoke(() => host.run(() => { throw new PolicyError({ file: 'a.cedar' }, 'is refused'); }));
    expect(host.run((cedar) => cedar)).toBe(first);
    provoke(() => host.run((cedar) => cedar.policySetTextToParts(DEEP)));
    expect(answers(host.run((cedar) => cedar))).toBe(true);
  });
});
