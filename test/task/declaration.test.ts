import { describe, expect, it } from '@jest/globals';
import { Problem } from '../../src/core/problem.ts';
import { parseCompletion, parseCredentialRequest, parseDeclaration } from '../../src/task/declaration.ts';

const GOOD = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'orders-db' }] };
const with_ = (fields: object): object => ({ ...GOOD, ...fields });
const credential = (fields: object): object => with_({ credentials: [{ name: 'orders-db', ...fields }] });
const many = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Bad input, and the pointer that must name it. */
const BAD: readonly (readonly [string, unknown, string])[] = [
  ['nothing', undefined, ''],
  ['null', null, ''],
  ['an array', [], ''],
  ['a string', 'x', ''],
  ['no purpose', { ...GOOD, purpose: undefined }, '/purpose'],
  ['a purpose that is a number', with_({ purpose: 1 }), '/purpose'],
  ['an empty purpose', with_({ purpose: '' }), '/purpose'],
  ['a purpose with upper case', with_({ purpose: 'Refund' }), '/purpose'],
  ['a purpose that breaks the line', with_({ purpose: 'refund\n' }), '/purpose'],
  ['a purpose of 65 characters', with_({ purpose: 'a'.repeat(65) }), '/purpose'],
  ['no actions', { ...GOOD, actions: undefined }, '/actions'],
  ['an empty list of actions', with_({ actions: [] }), '/actions'],
  ['actions as a string', with_({ actions: 'read' }), '/actions'],
  ['an action twice', with_({ actions: ['read', 'read'] }), '/actions'],
  ['17 actions', with_({ actions: many(17).map((i) => `a${i}`) }), '/actions'],
  ['an action that is null', with_({ actions: [null] }), '/actions/0'],
  ['data classes as an object', with_({ data_classes: {} }), '/data_classes'],
  ['a data class twice', with_({ data_classes: ['pii', 'pii'] }), '/data_classes'],
  ['no credentials', { ...GOOD, credentials: undefined }, '/credentials'],
  ['an empty list of credentials', with_({ credentials: [] }), '/credentials'],
  ['a credential as a string', with_({ credentials: ['orders-db'] }), '/credentials/0'],
  ['a credential without a name', with_({ credentials: [{}] }), '/credentials/0/name'],
  ['a credential twice', with_({ credentials: [{ name: 'a' }, { name: 'a' }] }), '/credentials'],
  ['a credential with a path for a name', with_({ credentials: [{ name: '../a' }] }), '/credentials/0/name'],
  ['an unknown field of a credential', credential({ ttl: 5 }), '/credentials/0/ttl'],
  ['a TTL of 0', with_({ ttl_seconds: 0 }), '/ttl_seconds'],
  ['a negative TTL', with_({ ttl_seconds: -5 }), '/ttl_seconds'],
  ['a TTL with a fraction', with_({ ttl_seconds: 1.5 }), '/ttl_seconds'],
  ['a TTL as a string', with_({ ttl_seconds: '300' }), '/ttl_seconds'],
  ['a TTL beyond a day', with_({ ttl_seconds: 86_401 }), '/ttl_seconds'],
  ['a TTL beyond all integers', with_({ ttl_seconds: 1e300 }), '/ttl_seconds'],
  ['a TTL of a credential of 0', credential({ ttl_seconds: 0 }), '/credentials/0/ttl_seconds'],
  ['a null TTL', with_({ ttl_seconds: null }), '/ttl_seconds'],
  ['an unknown field', with_({ urgent: true }), '/urgent'],
  ['a field with a slash in its name', with_({ 'a/b~c': 1 }), '/a~1b~0c'],
  ['an own __proto__', JSON.parse('{"purpose":"p","actions":["read"],"credentials":[{"name":"a"}],"__proto__":{"x":1}}'), '/__proto__'],
  ['an own constructor', with_({ constructor: {} }), '/constructor'],
  ['a prototype key in the context', with_({ context: JSON.parse('{"__proto__":{"x":1}}') as object }), '/context/__proto__'],
  ['context as a list', with_({ context: [] }), '/context'],
  ['context with an object inside', with_({ context: { a: {} } }), '/context/a'],
  ['context with null inside', with_({ context: { a: null } }), '/context/a'],
  ['context of more than 4 KiB', with_({ context: Object.fromEntries(many(9).map((i) => [`k${i}`, 'x'.repeat(500)])) }), '/context'],
  ['params as a list', credential({ params: [] }), '/credentials/0/params'],
  ['params with an object inside', credential({ params: { a: {} } }), '/credentials/0/params/a'],
  ['a justification of 501 characters', with_({ justification: 'x'.repeat(501) }), '/justification'],
  ['a justification that forges a log line', with_({ justification: 'fine\n{"level":50}' }), '/justification'],
  ['a justification with an escape', with_({ justification: '\u001b[31m' }), '/justification'],
  ['a justification that is a number', with_({ justification: 5 }), '/justification'],
  ['a ticket with a space', with_({ ticket: 'OPS 12' }), '/ticket'],
  ['a start that does not exist', with_({ start: 'later' }), '/start'],
  ['a heartbeat of 4 seconds', with_({ heartbeat_seconds: 4 }), '/heartbeat_seconds'],
  ['an empty agent', with_({ agent: '' }), '/agent'],
  ['an agent of 2,049 characters', with_({ agent: 'a'.repeat(2_049) }), '/agent'],
];

function pointersOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem && error.code === 'invalid_request') return error.errors.map((fault) => fault.pointer);
    throw error;
  }
  return [];
}

describe('a declaration', () => {
  it.each(BAD)('with %s is refused with a pointer', (_name, body, pointer) => {
    expect(pointersOf(() => parseDeclaration(body))).toContain(pointer);
  });

  it('that is good is parsed, with its defaults (control)', () => {
    expect(parseDeclaration(GOOD)).toEqual({ ...GOOD, credentials: [{ name: 'orders-db', params: {} }], data_classes: [], context: {}, start: 'now' });
  });

  it('tells every fault at once, in words that say what was expected', () => {
    const bad = { purpose: 'p', actions: [], ttl_seconds: 0, credentials: [{ name: 'a' }], extra: 1 };
    expect(pointersOf(() => parseDeclaration(bad)).sort()).toEqual(['/actions', '/extra', '/ttl_seconds']);
    expect(() => parseDeclaration({ ...GOOD, ttl_seconds: 0 })).toThrow('the request is not valid: /ttl_seconds must be at least 1');
  });

  it('takes a heartbeat, a ticket and a context of plain values', () => {
    const body = { ...GOOD, heartbeat_seconds: 60, ticket: 'OPS-12', context: { tool: 'sql.query', dry: true, rows: 5 } };
    expect(parseDeclaration(body)).toMatchObject({ heartbeat_seconds: 60, ticket: 'OPS-12', context: { tool: 'sql.query', dry: true, rows: 5 } });
  });
});

describe('an extra credential', () => {
  it('names the tool call it is for', () => {
    expect(parseCredentialRequest({ name: 'orders-db', tool_call: { id: 'call_1', tool: 'sql.query' } })).toMatchObject({ tool_call: { id: 'call_1' } });
  });

  it.each([
    ['an unknown field', { name: 'a', x: 1 }, '/x'],
    ['a tool call without a tool', { name: 'a', tool_call: { id: 'x' } }, '/tool_call/tool'],
    ['a tool call with a line break', { name: 'a', tool_call: { id: 'x\n', tool: 't' } }, '/tool_call/id'],
  ])('with %s is refused with a pointer', (_name, body, pointer) => {
    expect(pointersOf(() => parseCredentialRequest(body))).toContain(pointer);
  });
});

describe('a completion', () => {
  it('succeeds unless it says otherwise', () => {
    expect(parseCompletion({})).toEqual({ outcome: 'succeeded' });
  });

  it('with an outcome that does not exist is refused with what is allowed', () => {
    expect(() => parseCompletion({ outcome: 'done' })).toThrow('/outcome must be one of succeeded, failed, cancelled');
  });
});
