import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createDraftEngine } from '../../src/policy/cedar-engine.ts';
import { explainDecision } from '../../src/policy/explain-decision.ts';
import { lintPolicies } from '../../src/policy/lint-policies.ts';
import { loadPolicies, readPolicies } from '../../src/policy/load-policies.ts';
import { testFilesOf, testPolicies } from '../../src/policy/test-policies.ts';
import { question } from './example-questions.ts';
import { DIRECTORY } from './policy-fixture.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(DIRECTORY, folder, { recursive: true });
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const add = (text: string): Promise<void> => writeFile(join(folder, 'more.cedar'), text);
const lint = () => lintPolicies(readPolicies(folder));

describe('linting policies', () => {
  it('finds no error in the example (control)', () => {
    expect(lint().filter(({ level }) => level === 'error')).toEqual([]);
  });

  it.each([
    ['what does not parse', '@id("a") permit (principal, action, resource) when {', /unexpected|missing|expected/i],
    ['a policy without an id', 'permit (principal, action, resource);', /needs an @id/],
    ['an id that is taken', '@id("ttl-one-hour") forbid (principal, action, resource);', /already used/],
    ['a word that the schema does not have', '@id("a") permit (principal, action, resource) when { context.purpose == Mayfly::Purpose::"whim" };', /whim/],
    ['a field that the schema does not have', '@id("a") permit (principal, action, resource) when { context.mood == "good" };', /mood/],
  ])('names the file of %s', async (_name, text, detail) => {
    await add(text);
    expect(lint()).toContainEqual(expect.objectContaining({ level: 'error', file: expect.stringContaining('more.cedar'), detail: expect.stringMatching(detail) }));
  });

  it('tells the faults of all files at once', async () => {
    await add('permit (principal, action, resource);');
    await writeFile(join(folder, 'other.cedar'), 'nonsense');
    expect(lint().filter(({ level }) => level === 'error')).toHaveLength(2);
  });

  it('has no doubt about an extension, or a declaration for another, of any credential: what is minted is permitted by name', async () => {
    const when = 'when { context has for_agent && context.for_agent == "a" && context.purpose == Mayfly::Purpose::"data-export" }';
    await add(`@id("a") permit (principal == Mayfly::Agent::"a", action in [Mayfly::Action::"extend", Mayfly::Action::"declare_for"], resource) ${when};`);
    expect(lint()).toEqual([]);
  });

  it.each([
    ['a forbid without a reason', '@id("a") forbid (principal, action, resource) when { context.ttl_seconds > 10000 };', /@deny_reason/],
    ['a permit for everybody', '@id("a") permit (principal, action == Mayfly::Action::"mint", resource == Mayfly::Credential::"orders-db") when { context.purpose == Mayfly::Purpose::"data-export" };', /every agent/],
    ['a permit for anything', '@id("a") permit (principal == Mayfly::Agent::"a", action == Mayfly::Action::"mint", resource) when { context.purpose == Mayfly::Purpose::"data-export" };', /every credential/],
    ['a permit for anything by any action', '@id("a") permit (principal == Mayfly::Agent::"a", action, resource) when { context.purpose == Mayfly::Purpose::"data-export" };', /every credential/],
    ['a permit for any purpose', '@id("a") permit (principal == Mayfly::Agent::"a", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"orders-db");', /every purpose/],
    ['`contains` in a permit', '@id("a") permit (principal == Mayfly::Agent::"a", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"orders-db") when { context.purpose == Mayfly::Purpose::"data-export" && context.operations.contains(Mayfly::Operation::"read") };', /compare with ==/],
    ['a delegation to anybody', '@id("a") permit (principal == Mayfly::Agent::"a", action == Mayfly::Action::"delegate", resource == Mayfly::Credential::"orders-db") when { context.purpose == Mayfly::Purpose::"data-export" };', /for any agent/],
  ])('doubts %s', async (_name, text, detail) => {
    await add(text);
    expect(lint()).toContainEqual(expect.objectContaining({ level: 'warning', policy: 'a', detail: expect.stringMatching(detail) }));
  });
});

describe('testing policies', () => {
  const run = () => testFilesOf(folder).flatMap((file) => testPolicies(createDraftEngine(loadPolicies(folder)), file));

  it("passes the example's own cases (control)", () => {
    const results = run();
    expect(results.length).toBeGreaterThanOrEqual(20);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('says what differs when a policy changes', async () => {
    await add('@id("no-reads") @deny_reason("not today") forbid (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"orders-db");');
    const failed = run().filter(({ ok }) => !ok);
    expect(failed).toContainEqual(expect.objectContaining({ name: 'the refunds agent reads orders', actual: 'deny', differences: expect.arrayContaining(['expected permit, got deny']) }));
  });

  it.each([
    ['no YAML', 'cases: [', /tests\/x\.yaml/],
    ['an unknown field', 'cases: [{name: a, ask: {agent: a, credential: c, purpose: p, actions: [read], why: x}, expect: deny}]', /cases\.0\.ask.*why/],
    ['an answer that does not exist', 'cases: [{name: a, ask: {agent: a, credential: c, purpose: p, actions: [read]}, expect: maybe}]', /cases\.0\.expect/],
    ['no cases', 'cases: []', /cases/],
  ])('refuses a file with %s, and says where', async (_name, text, message) => {
    await writeFile(join(folder, 'tests/x.yaml'), text);
    expect(run).toThrow(message);
  });
});

describe('explaining a decision', () => {
  const explain = (ask: Parameters<typeof question>[0]) => explainDecision(loadPolicies(DIRECTORY), question(ask));

  it('tells what is missing in the policy that came nearest', () => {
    const { decision, policies } = explain({ does: ['read', 'write'] });
    expect(decision.result).toBe('deny');
    const nearest = policies.find(({ effect }) => effect === 'permit');
    expect(nearest).toMatchObject({ id: 'refund-investigation-mint', stands: 'condition' });
    expect(nearest?.conditions.filter(({ holds }) => !holds).map(({ text }) => text)).toEqual(['when { context.operations == [Mayfly::Operation::"read"] }']);
  });

  it('names what decided, as the engine does', () => {
    const { decision, policies } = explain({ ttl: 901, data: ['pii'] });
    expect(policies.filter(({ stands, effect }) => stands === 'applies' && effect === 'forbid').map(({ id }) => id)).toEqual(decision.policies);
    expect(explain({}).policies.filter(({ stands }) => stands === 'applies').map(({ id }) => id)).toEqual(['refund-investigation-mint']);
  });
});
