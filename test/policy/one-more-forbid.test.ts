import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compilePolicies, type CompiledPolicies } from '../../src/policy/compile-policies.ts';
import { question, TABLE } from './example-questions.ts';
import { DIRECTORY } from './policy-fixture.ts';

const source = (file: string): { file: string; text: string } => ({ file, text: readFileSync(join(DIRECTORY, file), 'utf8') });

/** The example with one more policy. */
const withMore = (text: string): CompiledPolicies =>
  compilePolicies({
    schema: source('schema.cedarschema'),
    policies: [...readdirSync(DIRECTORY).filter((name) => name.endsWith('.cedar')).map(source), { file: 'more.cedar', text }],
  });

const answers = (more: string): readonly string[] => {
  const engine = createCedarEngine(withMore(more));
  return TABLE.map(([, ask]) => engine.decide(question(ask)).result);
};

const OPENNESS = ['deny', 'approval_required', 'permit'];
const opened = (before: readonly string[], after: readonly string[]): string[] =>
  TABLE.filter((_, index) => OPENNESS.indexOf(after[index] ?? '') > OPENNESS.indexOf(before[index] ?? '')).map(([name]) => name);

describe('one more policy', () => {
  const before = answers('@id("nothing") forbid (principal, action, resource) when { context.environment == "nowhere" };');

  it('PO-9: that forbids opens nothing, even where it errs', () => {
    const condition = fc.oneof(
      fc.integer({ min: 0, max: 4_000 }).map((ttl) => `context.ttl_seconds > ${ttl}`),
      fc.constantFrom('read', 'write', 'export').map((word) => `context.operations.contains(Mayfly::Operation::"${word}")`),
      fc.constantFrom('pii', 'financial').map((word) => `context.data_classes.contains(Mayfly::DataClass::"${word}")`),
      fc.integer({ min: 0, max: 3 }).map((count) => `context.approvals < ${count}`),
      fc.constant('context.ttl_seconds * 9223372036854775807 > 0'),
    );
    const action = fc.constantFrom('action', 'action == Mayfly::Action::"mint"', 'action in [Mayfly::Action::"delegate", Mayfly::Action::"extend"]');
    const word = fc.constantFrom('when', 'unless');
    fc.assert(
      fc.property(action, word, condition, (scope, when, what) => {
        expect(opened(before, answers(`@id("more") forbid (principal, ${scope}, resource) ${when} { ${what} };`))).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('that permits does open what was closed (control)', () => {
    expect(opened(before, answers('@id("more") permit (principal, action, resource);')).length).toBeGreaterThan(10);
  });
});
