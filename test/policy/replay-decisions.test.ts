import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendRecord, GENESIS, type ChainHead } from '../../src/audit/hash-chain.ts';
import type { AuditEvent } from '../../src/audit/audit-event.ts';
import { newDecisionId, newEventId, newTaskId } from '../../src/core/ids.ts';
import { toRfc3339 } from '../../src/core/time.ts';
import { decisionFacts } from '../../src/grant/deny.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies } from '../../src/policy/compile-policies.ts';
import { UNREGISTERED, type PolicyEngine, type PolicyQuestion } from '../../src/policy/decision.ts';
import { jointAnswer } from '../../src/policy/joint-answer.ts';
import { loadPolicies, readPolicies } from '../../src/policy/load-policies.ts';
import { replayDecisions, type ReplayReport } from '../../src/policy/replay-decisions.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { question, TABLE } from './example-questions.ts';
import { DIRECTORY, QUESTION } from './policy-fixture.ts';

const engine = createCedarEngine(loadPolicies(DIRECTORY));
const withMore = (text: string): PolicyEngine => {
  const { schema, policies } = readPolicies(DIRECTORY);
  return createCedarEngine(compilePolicies({ schema, policies: [...policies, { file: 'more.cedar', text }] }), 'replay');
};

let folder: string;
let file: string;
let head: ChainHead;
let clock: ManualClock;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-replay-'));
  file = join(folder, 'audit.jsonl');
  await writeFile(file, '');
  head = GENESIS;
  clock = new ManualClock();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Puts an event into the chain, as the sealer does. */
async function record(type: AuditEvent['type'], agent: string, facts: Record<string, unknown>): Promise<void> {
  clock.advance(60_000);
  const by = { issuer: 'https://issuer.test', subject: agent };
  const event: AuditEvent = { id: newEventId(), at: toRfc3339(clock.now()), type, task: newTaskId(), leases: [], agent: by, by, facts };
  const next = appendRecord(head, { sealed_at: event.at, epoch: 1, origin: null, event: JSON.parse(JSON.stringify(event)) as AuditEvent });
  head = next.head;
  await appendFile(file, next.line);
}

/** What the broker records of a decision, by the code that records it. */
function factsOf(...questions: readonly PolicyQuestion[]): Record<string, unknown> {
  const parts = questions.map((one) => ({ credential: one.credential.name, action: one.action, question: one, decision: engine.decide(one) }));
  const { reasons, ...answer } = jointAnswer(parts.map(({ decision }) => decision));
  return { purpose: questions[0]?.purpose, ...decisionFacts({ summary: { id: newDecisionId(), ...answer, policyVersion: engine.version, inputDigest: 'sha256:joint' }, reasons, agentFacts: UNREGISTERED, parts }) };
}
const decided = (...questions: readonly PolicyQuestion[]): Promise<void> => record('task.declared', questions[0]?.principal.subject ?? '', factsOf(...questions));
const replay = (asked: PolicyEngine, filter: Parameters<typeof replayDecisions>[2]['filter'] = {}, maxDecisions = 1_000): Promise<ReplayReport> =>
  replayDecisions(asked, file, { filter, examples: 2, maxGroups: 100, maxDecisions });

describe('PO-10: a replay', () => {
  it('takes what another decision point refused for the permit that it was of policy', async () => {
    const facts = factsOf(QUESTION);
    const refused = { ...facts, decision: { ...(facts['decision'] as object), result: 'deny', policies: [] } };
    await record('task.denied', 'agent:refunds', { ...refused, external: { kind: 'opa', verdict: 'deny' } });
    expect(await replay(engine)).toMatchObject({ replayed: 1, unchanged: 1, groups: [] });
    // Read as an answer of policy it would be a difference that there is not (control).
    await record('task.denied', 'agent:refunds', refused);
    expect(await replay(engine)).toMatchObject({ replayed: 2, unchanged: 1, changed: { would_permit: 1 } });
  });

  it('of the set that was in force finds no difference in any decision', async () => {
    for (const [, ask] of TABLE) await decided(question(ask));
    expect(await replay(engine)).toMatchObject({
      replayed: TABLE.length,
      unchanged: TABLE.length,
      cannot_be_replayed: { total: 0 },
      groups: [],
      chain: { ok: true, records: TABLE.length },
      policy_version: engine.version,
    });
  });

  it('tells what would be denied, permitted, wait, or be decided by others, for whom, how often, with examples', async () => {
    const pii = question({ data: ['pii'] });
    for (let n = 0; n < 3; n += 1) await decided(pii);
    await decided(question({ who: 'agent:payouts' }));
    await decided(question({ does: ['write'] }));
    await decided(question({ purpose: 'data-export', does: ['export'] }), pii);
    const draft = withMore(`
      @id("no-pii") @deny_reason("no personal data for now") forbid (principal == Mayfly::Agent::"agent:refunds", action, resource) when { context.data_classes.contains(Mayfly::DataClass::"pii") };
      @id("writes") permit (principal, action, resource) when { context.operations == [Mayfly::Operation::"write"] };
      @id("payouts-too") permit (principal == Mayfly::Agent::"agent:payouts", action, resource);`);
    const report = await replay(draft);
    expect(report.changed).toEqual({ would_deny: 4, would_need_approval: 0, would_permit: 1, other_policies: 1 });
    expect(report.groups[0]).toMatchObject({
      change: 'would_deny',
      count: 3,
      agent: 'agent:refunds',
      purpose: 'refund-investigation',
      recorded: { result: 'permit', policies: ['refund-investigation-mint'] },
      replayed: { result: 'deny', policies: ['no-pii'], reasons: ['no personal data for now'], fault: null },
    });
    expect(report.groups[0]?.examples).toEqual([
      { decision: expect.stringMatching(/^dec_/), task: expect.stringMatching(/^tsk_/), at: expect.any(String), seq: 1 },
      { decision: expect.stringMatching(/^dec_/), task: expect.stringMatching(/^tsk_/), at: expect.any(String), seq: 2 },
    ]);
    expect(report.groups).toContainEqual(expect.objectContaining({ change: 'other_policies', agent: 'agent:payouts', replayed: expect.objectContaining({ policies: ['payouts-too', 'refund-payout-mint'] }) }));
    expect(report.groups).toContainEqual(expect.objectContaining({ change: 'would_deny', recorded: { result: 'approval_required', policies: ['data-export-mint'] } }));

    const human = withMore('@id("human") forbid (principal, action, resource) unless { context.approvals >= 1 };');
    expect((await replay(human)).changed).toMatchObject({ would_need_approval: 4, would_deny: 0 });
  });

  it('takes only what was asked for', async () => {
    await decided(question({}));
    await decided(question({ who: 'agent:payouts' }));
    await decided(question({ purpose: 'data-export', does: ['export'] }));
    const startMs = clock.now();
    expect((await replay(engine, { agent: 'agent:payouts' })).replayed).toBe(1);
    expect((await replay(engine, { purpose: 'data-export' })).replayed).toBe(1);
    expect((await replay(engine, { sinceMs: startMs })).replayed).toBe(1);
    expect((await replay(engine, { untilMs: startMs })).replayed).toBe(2);
    expect(await replay(engine, {}, 2)).toMatchObject({ replayed: 2, stopped_at: toRfc3339(clock.now()) });
  });

  it('counts what it cannot ask again, with the reason, and drops none silently', async () => {
    const good = factsOf(question({}));
    const parts = good['parts'] as Record<string, unknown>[];
    const spoiled = (change: object): Record<string, unknown> => ({ ...good, parts: parts.map((part) => ({ ...part, ...change })) });
    const own = (parts[0]?.['question'] ?? {}) as Record<string, unknown>;
    await record('task.declared', 'a', spoiled({ question: undefined }));
    await record('task.declared', 'a', spoiled({ question: null }));
    await record('lease.intended', 'a', { credential: 'orders-db', decision: 'dec_0' });
    await record('task.declared', 'a', spoiled({ question: { ...own, mood: 'good' } }));
    await record('task.declared', 'a', { ...good, parts: [] });
    await record('task.denied', 'a', { ...good, decision: { result: 'maybe' } });
    await record('task.denied', 'a', spoiled({ question: { ...own, ttl_seconds: 61 } }));
    await record('task.ended', 'a', { reason: 'completed' });
    const report = await replay(engine);
    expect(report).toMatchObject({ replayed: 0, cannot_be_replayed: { total: 7, reasons: { not_recorded: 3, unreadable: 3, other_digest: 1 } } });
    expect(report.cannot_be_replayed.examples[0]).toMatchObject({ reason: 'not_recorded', seq: 1, decision: expect.stringMatching(/^dec_/) });
  });

  it('says where the chain is broken, and goes on', async () => {
    for (let n = 0; n < 3; n += 1) await decided(question({}));
    expect((await replay(engine)).chain).toEqual({ ok: true, records: 3 });
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [lines[0], lines[1]?.replace('"permit"', '"deny"'), ...lines.slice(2)].join('\n'));
    expect(await replay(engine)).toMatchObject({ chain: { ok: false, line: 2, problem: 'changed' }, replayed: 3, changed: { would_permit: 1 } });
    await writeFile(file, [lines[0], ...lines.slice(2)].join('\n'));
    expect((await replay(engine)).chain).toMatchObject({ ok: false, line: 2, problem: 'missing' });
  });

  it('leaves a line out that is still being written', async () => {
    await decided(question({}));
    await appendFile(file, '{"epoch":1,"ev');
    expect(await replay(engine)).toMatchObject({ replayed: 1, chain: { ok: true, records: 1 } });
  });
});
