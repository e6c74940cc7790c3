import { describe, expect, it } from '@jest/globals';
import { Problem } from '../../src/core/problem.ts';
import { parseCompletion, parseCredentialRequest, parseDeclaration } from '../../src/task/declaration.ts';
import { BAD_DECLARATIONS, GOOD_DECLARATION as GOOD } from '../support/bad-declarations.ts';

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
  it.each(BAD_DECLARATIONS)('with %s is refused with a pointer', (_name, body, pointer) => {
    expect(pointersOf(() => parseDeclaration(body))).toContain(pointer);
  });

  it('that is good is parsed, with its defaults (control)', () => {
    expect(parseDeclaration(GOOD)).toEqual({ ...GOOD, credentials: [{ name: 'orders-db', params: {} }], data_classes: [], context: {}, claim_ticket: false });
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
