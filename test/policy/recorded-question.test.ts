import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { canonicalJson, digestOf } from '../../src/core/canonical-json.ts';
import { newDecisionId } from '../../src/core/ids.ts';
import { epochMsFrom } from '../../src/core/time.ts';
import { decisionFacts } from '../../src/grant/deny.ts';
import { jointAnswer } from '../../src/policy/joint-answer.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { requestFor } from '../../src/policy/cedar-request.ts';
import { POLICY_ACTIONS } from '../../src/policy/compile-policies.ts';
import { UNREGISTERED, type PolicyQuestion } from '../../src/policy/decision.ts';
import { loadPolicies } from '../../src/policy/load-policies.ts';
import { parseRecordedQuestion, recordQuestions } from '../../src/policy/recorded-question.ts';
import { question as ask, TABLE } from './example-questions.ts';
import { DIRECTORY, QUESTION } from './policy-fixture.ts';

const compiled = loadPolicies(DIRECTORY);
const engine = createCedarEngine(compiled);

const text = fc.oneof(fc.constantFrom('constructor', 'read', 'pii', 'refund-investigation', 'agent:refunds', '"', '\\', '\u2028', '=', ''), fc.string({ unit: 'binary', maxLength: 12 }));
const words = fc.array(text, { maxLength: 3 });
/** Names as declarations and configurations may have them: V8 24 parses a key that is one escaped character wrongly, now and then. */
const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,8}$/);
const scalars = fc.dictionary(name, fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.integer()), { maxKeys: 4 });
const count = fc.nat();
const anyQuestion: fc.Arbitrary<PolicyQuestion> = fc.record({
  action: fc.constantFrom(...POLICY_ACTIONS),
  principal: fc.record({ issuer: text, subject: text }),
  agentFacts: fc.record({ registered: fc.boolean(), owner: text, purposes: words, environments: words, reviewOverdue: fc.boolean() }),
  forAgent: fc.oneof(text),
  credential: fc.record({ name: text, provider: text, kind: text, revocability: fc.constantFrom('exact', 'eventual', 'none'), owner: text }),
  purpose: text,
  actions: words,
  dataClasses: words,
  evidence: fc.constantFrom('self_declared', 'orchestrator_signed', 'user_consented', 'approved'),
  vouchedBy: fc.option(text),
  subject: fc.option(text),
  approvals: count,
  risk: count,
  ticket: fc.option(text),
  params: scalars,
  context: scalars,
  ttlSeconds: count,
  delegationDepth: count,
  delegationChain: words,
  tool: fc.option(text),
  touched: words,
  environment: text,
  senderBound: fc.boolean(),
  liveLeases: count,
  grantsLastHour: count,
  purposeGrantsLastHour: count,
  denialsInARow: count,
  nowMs: fc.integer({ min: 0, max: 253_402_300_799_999 }).map(epochMsFrom),
}, { requiredKeys: Object.keys(QUESTION) as (keyof PolicyQuestion)[] });

/** What the audit file holds of a decision: its canonical JSON, read again. */
const throughTheRecord = (questions: readonly PolicyQuestion[]): (PolicyQuestion | undefined)[] => {
  const recorded = recordQuestions(questions);
  const read = JSON.parse(canonicalJson(JSON.parse(JSON.stringify(recorded)) as unknown)) as typeof recorded;
  return (read?.own ?? []).map((own) => parseRecordedQuestion(read?.shared, own));
};

describe('a recorded question', () => {
  it('gives the same Cedar request, digest and answer as the one that was asked, whatever it was', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(anyQuestion, fc.constantFrom(...TABLE.map(([, one]) => ask(one)))), { minLength: 1, maxLength: 4 }), (questions) => {
        const again = throughTheRecord(questions);
        expect(again).toHaveLength(questions.length);
        for (const [index, question] of questions.entries()) {
          const read = again[index];
          if (read === undefined) throw new Error('it cannot be read');
          expect(digestOf(requestFor(read))).toBe(digestOf(requestFor(question)));
          const before = engine.decide(question);
          expect(engine.decide(read)).toEqual({ ...before, id: expect.any(String) });
        }
      }),
      { numRuns: 120 },
    );
  });

  it('would have another digest if names kept the order that JSON does not keep (control)', () => {
    const params = { zone: 'eu', account: '7' };
    const asWritten = Object.entries(params).map(([name, value]) => `${name}=${value}`);
    const asRead = Object.entries(JSON.parse(canonicalJson(params)) as object).map(([name, value]) => `${name}=${String(value)}`);
    expect(digestOf(asRead)).not.toBe(digestOf(asWritten));
    const [read] = throughTheRecord([{ ...QUESTION, params }]);
    expect(read && engine.decide(read).inputDigest).toBe(engine.decide({ ...QUESTION, params }).inputDigest);
  });

  it('tells any two questions apart: one without a member is none', () => {
    const recorded = recordQuestions([QUESTION]);
    const own = recorded?.own[0] ?? {};
    expect(parseRecordedQuestion(recorded?.shared, own)).toEqual(QUESTION);
    for (const name of Object.keys(own)) {
      const rest = Object.fromEntries(Object.entries(own).filter(([other]) => other !== name));
      expect(parseRecordedQuestion(recorded?.shared, rest)).toBeUndefined();
    }
    expect(parseRecordedQuestion(recorded?.shared, { ...own, mood: 'good' })).toBeUndefined();
    expect(parseRecordedQuestion(undefined, null)).toBeUndefined();
  });

  it('keeps once what the credentials of a declaration share', () => {
    const context = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`claim${n}`, 'x'.repeat(80)]));
    const many = Array.from({ length: 16 }, (_, n): PolicyQuestion => ({ ...QUESTION, context, credential: { ...QUESTION.credential, name: `c${n}` } }));
    const one = JSON.stringify(recordQuestions(many.slice(0, 1))).length;
    expect(JSON.stringify(recordQuestions(many)).length).toBeLessThan(one + 16 * 200);
  });

  it('is left out where it is too large to be kept, or cannot be written, and never throws', () => {
    const params = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`p${n}`, 'x'.repeat(1_024)]));
    expect(recordQuestions([QUESTION, { ...QUESTION, params }, { ...QUESTION, params: { ...params, p0: '' } }])).toBeNull();
    expect(recordQuestions([{ ...QUESTION, nowMs: Number.NaN as PolicyQuestion['nowMs'] }])).toBeNull();
  });
});

describe('what the audit log keeps of a decision', () => {
  it('is everything that it rested on, and what the shadow said', () => {
    const questions: PolicyQuestion[] = [QUESTION, { ...QUESTION, action: 'declare_for', forAgent: 'agent:refunds' }];
    const parts = questions.map((question) => ({ credential: question.credential.name, action: question.action, question, decision: engine.decide(question) }));
    const { reasons, ...answer } = jointAnswer(parts.map(({ decision }) => decision));
    const summary = { id: newDecisionId(), ...answer, policyVersion: engine.version, inputDigest: 'sha256:0' };
    const shadow = { result: 'permit', policies: ['draft'], policyVersion: 'sha256:1', fault: null } as const;
    const facts = decisionFacts({ summary, reasons, agentFacts: UNREGISTERED, parts, shadow }) as { decision: { question: unknown; shadow: unknown }; parts: { question: unknown; input_digest: string }[] };
    expect(facts.decision.shadow).toEqual({ result: 'permit', policies: ['draft'], policy_version: 'sha256:1' });
    expect(facts.parts.map(({ question }) => parseRecordedQuestion(facts.decision.question, question))).toEqual(questions);
    expect(decisionFacts({ summary, reasons, agentFacts: UNREGISTERED, parts }).decision).not.toHaveProperty('shadow');
  });
});
