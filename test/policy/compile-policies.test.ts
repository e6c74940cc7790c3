import cedar from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { POLICY_ACTIONS } from '../../src/policy/compile-policies.ts';
import { PolicyError } from '../../src/policy/policy-error.ts';
import { compile, engineFor, PERMIT_ALL, QUESTION, SCHEMA } from './policy-fixture.ts';

/** What was thrown, as a `PolicyError`; anything else fails the test. */
function faultOf(run: () => unknown): PolicyError {
  try {
    run();
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('compiling refuses', () => {
  const permit = 'permit (principal, action, resource)';
  it.each([
    ['a policy without an id', `${PERMIT_ALL}\n\n// why\n${permit};`, 4, null, 'needs an @id'],
    ['an id without a value', `@id ${permit};`, 1, null, 'needs an @id'],
    ['an id with spaces', `@id("a b") ${permit};`, 1, null, 'needs an @id'],
    ['an id like __proto__', `@id("__proto__") ${permit};`, 1, null, 'needs an @id'],
    ['an id that stands twice', `${PERMIT_ALL}\n@id("all") forbid (principal, action, resource);`, 2, 'all', 'already used in test.cedar, line 1'],
    ['a purpose that does not exist', `@id("a") ${permit}\nwhen { context.purpose == Mayfly::Purpose::"x" };`, 2, 'a', 'Purpose'],
    ['an attribute that does not exist', `// why\n@id("a") ${permit}\n// ${'é🎉'.repeat(9)}\nwhen { context.mfa\n\n\n\n\n || false };`, 4, 'a', 'did you mean'],
    ['an optional attribute read without a look', `@id("a") ${permit} when { context.ticket == "x" };`, 1, 'a', 'ticket'],
    ['an action that does not exist', '@id("a") permit (principal, action == Mayfly::Action::"fly", resource);', 1, 'a', 'fly'],
    ['a policy that can never apply', '@id("a") permit (principal is Mayfly::Credential, action, resource);', 1, 'a', 'unable to find an applicable action'],
    ['a mere warning: a condition that is never true', `\n@id("a") ${permit} when { false };`, 2, 'a', 'impossible'],
    ['a mere warning: a letter that only looks like another', `@id("a") ${permit} when { context.evidence == "\u0430pproved" };`, 1, 'a', 'mixed scripts'],
    ['the eleventh policy of a file', `${Array.from({ length: 10 }, (_, n) => `@id("p${n}") ${permit};`).join('\n')}\n${permit};`, 11, null, 'needs an @id'],
    ['a policy that stands twice, word for word', `${PERMIT_ALL}\n${PERMIT_ALL}`, 2, 'all', 'already used in test.cedar, line 1'],
    ['broken syntax', `// ${'é🎉'.repeat(9)}\n\n@id("a") ${permit} when { ;\n\n\n\n`, 3, null, 'unexpected token'],
    ['half of a surrogate pair, as a draft in JSON can hold', `${PERMIT_ALL}\n// \ud83c`, 2, null, 'expected Unicode text'],
    ['a template', '@id("a") permit (principal == ?principal, action, resource);', null, null, 'templates are not supported'],
  ])('PO-2: %s, and says where', (_name, text, line, policy, message) => {
    const fault = faultOf(() => compile(text));
    expect(fault).toMatchObject({ file: 'test.cedar', line, policy });
    expect(fault.message).toContain(message);
  });

  it('a folder with a schema and no policy', () => {
    expect(faultOf(() => compile('')).message).toBe('schema.cedarschema: there is no policy beside the schema');
  });

  it.each([
    ['holds half of a surrogate pair', `\ud83c${SCHEMA}`, 'expected Unicode text'],
    ['does not parse', SCHEMA.replace('entity Purpose enum', 'entity Purpose enumm'), 'unexpected token'],
    ['has no closed list of purposes', SCHEMA.replace(/entity Purpose enum .*;/, 'entity Purpose;'), 'needs an enumerated entity Mayfly::Purpose'],
    ['lacks an action', SCHEMA.replace(/action extend .*;/, ''), 'for extend'],
    ['lacks a field that every question has', SCHEMA.replace('sender_bound: Bool,', ''), 'sender_bound'],
    ['lacks a field that a question may have', SCHEMA.replace('ticket?: String,', ''), 'ticket'],
    ['requires a field that a question may lack', SCHEMA.replace('ticket?: String,', 'ticket: String,'), 'ticket'],
    ['requires a field that no question has', SCHEMA.replace('ticket?: String,', 'ticket?: String, mfa: Bool,'), 'mfa'],
    ['gives a field another type', SCHEMA.replace('approvals: Long', 'approvals: String'), 'approvals'],
  ])('a schema that %s', (_name, schema, message) => {
    const fault = faultOf(() => compile(PERMIT_ALL, schema));
    expect(fault.file).toBe('schema.cedarschema');
    expect(fault.message).toContain(message);
  });

  it('nothing where the schema has more words and more optional fields', () => {
    const wider = SCHEMA.replace('"support-triage"]', '"support-triage", "audit"]').replace('ticket?: String,', 'ticket?: String, region?: String,');
    expect([...compile(PERMIT_ALL, wider).vocabulary.purposes]).toContain('audit');
  });
});

describe('the version', () => {
  const forbid = '@id("b") forbid (principal, action, resource) when { context.ttl_seconds > 5 };';
  const version = (text: string, schema = SCHEMA): string => compile(text, schema).version;

  it('is the same wherever the policies stand', () => {
    expect(version(`${PERMIT_ALL} ${forbid}`)).toBe(version(`${forbid}\n\n${PERMIT_ALL}`));
    expect(version(PERMIT_ALL)).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('changes with any policy, id, annotation or schema', () => {
    const variants = [
      version(`${PERMIT_ALL} ${forbid}`),
      version(`${PERMIT_ALL} ${forbid.replace('5', '6')}`),
      version(`${PERMIT_ALL} ${forbid.replace('"b"', '"c"')}`),
      version(`${PERMIT_ALL} @deny_reason("because") ${forbid}`),
      version(`${PERMIT_ALL} ${forbid}`, `${SCHEMA}\n`),
      version(PERMIT_ALL),
    ];
    expect(new Set(variants).size).toBe(variants.length);
  });
});

describe('the part of an action', () => {
  /** `mint` is in a group of a group, and is itself a group of `extend`. */
  const GROUPED = SCHEMA.replace('action mint appliesTo', 'action grants; action issue in [grants]; action mint in [issue] appliesTo').replace(
    'action extend appliesTo',
    'action extend in [mint] appliesTo',
  );
  const partsOf = (id: string, text: string): string[] => {
    const { byAction } = compile(text, GROUPED);
    return POLICY_ACTIONS.filter((action) => Object.hasOwn(byAction.get(action) ?? {}, id));
  };

  it('PO-4: holds only policies that can apply to it', () => {
    expect(partsOf('m', '@id("m") permit (principal, action == Mayfly::Action::"delegate", resource);')).toEqual(['delegate']);
    expect(partsOf('m', '@id("m") permit (principal, action in [Mayfly::Action::"extend", Mayfly::Action::"delegate"], resource);')).toEqual(['delegate', 'extend']);
  });

  it('holds a forbid on a group that the action is in: left out, what it forbids would be permitted (control)', () => {
    const forbid = '@id("group") forbid (principal, action in Mayfly::Action::"grants", resource);';
    expect(partsOf('group', forbid)).toEqual(['mint', 'extend']);
    expect(engineFor(`${PERMIT_ALL} ${forbid}`, GROUPED).decide(QUESTION)).toMatchObject({ result: 'deny', policies: ['group'], fault: null });
    expect(engineFor(PERMIT_ALL, GROUPED).decide(QUESTION)).toMatchObject({ result: 'permit' });
  });

  it('PO-4: never lacks a policy that Cedar itself finds applicable', () => {
    const name = fc.constantFrom('mint', 'extend', 'delegate', 'declare_for', 'issue', 'grants').map((id) => `Mayfly::Action::"${id}"`);
    const clause = fc.oneof(
      fc.constant('action'),
      name.map((one) => `action == ${one}`),
      name.map((one) => `action in ${one}`),
      fc.uniqueArray(name, { minLength: 1, maxLength: 3 }).map((some) => `action in [${some.join(', ')}]`),
    );
    fc.assert(
      fc.property(clause, (scope) => {
        const policy = `@id("p") forbid (principal, ${scope}, resource);`;
        const envs = cedar.getValidRequestEnvsPolicy(policy, GROUPED);
        const actions = envs.type === 'success' ? envs.actions : [];
        fc.pre(actions.length > 0);
        const held = partsOf('p', policy).map((action) => `Mayfly::Action::"${action}"`);
        expect(held).toEqual(expect.arrayContaining(actions));
      }),
      { numRuns: 25 },
    );
  });

  it('is never missing: a policy for an action that Mayfly does not ask about is refused', () => {
    const wider = SCHEMA.replace('action extend', 'action fly appliesTo { principal: [Agent], resource: [Credential], context: Intent };\n  action extend');
    const fault = faultOf(() => compile(`${PERMIT_ALL}\n@id("f") forbid (principal, action == Mayfly::Action::"fly", resource);`, wider));
    expect(fault).toMatchObject({ line: 2, policy: 'f' });
    expect(fault.message).toContain('applies to no action that Mayfly asks about');
  });
});

describe('a large number in a policy', () => {
  it('keeps its digits, which through JSON it would lose (control)', () => {
    const text = '@id("n") permit (principal, action, resource) when { context.ttl_seconds < 9007199254740993 && 9007199254740993 - 9007199254740992 == 1 };';
    expect(engineFor(text).decide(QUESTION)).toMatchObject({ result: 'permit' });
    const parsed = cedar.policyToJson(text);
    expect(JSON.stringify(parsed)).not.toContain('9007199254740993');
  });
});
