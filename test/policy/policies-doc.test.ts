import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from '@jest/globals';
import { POLICY_ACTIONS } from '../../src/policy/compile-policies.ts';
import { createCedarEngine } from '../../src/policy/cedar-engine.ts';
import { compile, QUESTION, SCHEMA } from './policy-fixture.ts';

const DOC = readFileSync(join(import.meta.dirname, '../../docs/policies.md'), 'utf8');

/** The words in backticks in the first column of the table whose head starts so. */
function firstColumn(head: string): string[] {
  const rows = DOC.slice(DOC.indexOf(`| ${head} |`)).split('\n\n', 1)[0]?.split('\n').slice(2) ?? [];
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z_]+)`/g)].map((match) => match[1] ?? ''));
}

describe('docs/policies.md', () => {
  it('tells of every field of the context, and of no other', () => {
    const schema = cedar.schemaToJson(SCHEMA);
    const intent = schema.type === 'success' ? schema.json['Mayfly']?.commonTypes?.['Intent'] : undefined;
    const fields = intent !== undefined && 'attributes' in intent ? Object.keys(intent.attributes as object) : [];
    expect(fields.length).toBeGreaterThan(10);
    expect(firstColumn('`context.`').sort()).toEqual(fields.sort());
  });

  it('tells of every action, and of no other', () => {
    expect(firstColumn('action').sort()).toEqual([...POLICY_ACTIONS].sort());
  });

  it('shows only policies that compile, and that do as it says', () => {
    const examples = [...DOC.matchAll(/```cedar\n(.*?)```/gs)].map((match) => match[1] ?? '');
    expect(examples.length).toBeGreaterThan(3);
    const engine = createCedarEngine(compile(examples.join('\n')));
    const agent = { issuer: 'spiffe://example.org', subject: 'spiffe://example.org/agent/refunds' };
    expect(engine.decide({ ...QUESTION, principal: agent })).toMatchObject({ result: 'permit', policies: ['refunds-read'] });
    expect(engine.decide({ ...QUESTION, principal: { ...agent, issuer: 'https://token.actions.githubusercontent.com' } })).toMatchObject({ result: 'deny', policies: ['agents-by-spiffe-only'] });
    expect(engine.decide({ ...QUESTION, principal: { ...agent, issuer: 'https://evil.test' } }).policies).toContain('our-issuers-only');
  });
});
