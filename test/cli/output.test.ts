import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import fc from '../support/fast-check.ts';
import { exitCodeFor } from '../../src/cli/exit-codes.ts';
import { countdown, printable, shellQuote, table } from '../../src/cli/output.ts';
import { problemError } from '../../src/cli/problem-error.ts';
import { grantAsEnv, type TaskAnswer } from '../../src/cli/task-output.ts';
import { completionFailure } from '../../src/cli/commands/task-commands.ts';
import { declarationOf } from '../../src/cli/declaration-flags.ts';

const ESCAPE = '\u001b';

const ANSWER: TaskAnswer = {
  task: { id: 'tsk_1', state: 'active', end_reason: null, agent: 'agent:a', purpose: 'p', parent: null, expires_at: '2026-01-01T00:05:00.000Z', ended_at: null },
  credentials: [
    {
      name: 'orders-db', lease_id: 'lse_1', kind: 'vault.dynamic', state: 'active', expires_at: '2026-01-01T00:02:00.000Z', target_expires_at: null, revocability: 'exact',
      secret: { username: 'v-1', password: "it's $(touch /tmp/x) `id`\nline two" },
    },
  ],
};

describe('a table', () => {
  it('aligns its columns', () => {
    expect(table(['A', 'BB'], [['long cell', 'x'], ['y', 'z']], 'none')).toBe('A          BB\nlong cell  x\ny          z');
  });

  it('says that it is empty', () => {
    expect(table(['A'], [], 'no tasks')).toBe('no tasks');
  });

  it('never lets words of others command the terminal', () => {
    const hostile = `agent${ESCAPE}[2J${ESCAPE}]0;title\u0007\u202egnp`;
    const text = table(['AGENT'], [[hostile], ['two\nlines']], 'none');
    // Control: the cell does hold escapes, and the table the rest of it.
    expect(hostile).toContain(ESCAPE);
    expect(text).toContain('agent');
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text.split('\n')).toHaveLength(3);
  });

  it('leaves every other character as it is', () => {
    expect(printable('spiffe://example.org/agent/réfunds ✓')).toBe('spiffe://example.org/agent/réfunds ✓');
  });
});

describe('a countdown', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each([
    ['2026-01-01T00:00:12Z', '12s'],
    ['2026-01-01T00:04:05Z', '4m 05s'],
    ['2026-01-01T02:03:00Z', '2h 03m'],
    ['2026-01-03T03:00:00Z', '2d 03h'],
    ['9999-12-31T00:00:00Z', 'never'],
    ['2025-12-31T23:59:30Z', '30s ago'],
    ['2026-01-01T00:00:00Z', '0s'],
    [null, '-'],
  ])('of %s is %s', (instant, text) => {
    expect(countdown(instant, now)).toBe(text);
  });
});

describe('a problem in words', () => {
  const lines = (body: Record<string, unknown>): readonly string[] => problemError(422, body).lines;

  it('says no thing twice', () => {
    const fault = { pointer: '/ttl_seconds', detail: 'must be at most 900' };
    expect(lines({ code: 'invalid_request', title: 'The request is not valid', detail: 'the request is not valid: /ttl_seconds must be at most 900', errors: [fault] })).toEqual(['The request is not valid', '  /ttl_seconds must be at most 900']);
    expect(lines({ code: 'evidence_refused', title: 'The evidence was not accepted', detail: 'it was used before', errors: [{ pointer: '/evidence/token', detail: 'it was used before' }] })).toEqual(['The evidence was not accepted', '  /evidence/token it was used before']);
    expect(lines({ code: 'locked', title: 'An operator has locked this', detail: 'an operator has locked this until noon' })).toEqual(['An operator has locked this until noon']);
    expect(lines({ code: 'not_found', title: 'There is no such thing here', detail: 'there is no such lock; it may have expired' })).toEqual(['There is no such lock; it may have expired']);
    expect(lines({ code: 'invalid_token', title: 'The bearer token was not accepted', detail: 'the token was not accepted: its issuer is not known here' })).toEqual(['The bearer token was not accepted: its issuer is not known here']);
    expect(lines({ code: 'already_claimed', title: 'The task was claimed already', detail: 'the task was claimed already' })).toEqual(['The task was claimed already']);
    expect(lines({ code: 'provider_refused', title: 'The provider refused to mint', detail: 'vault-main: no such role' })).toEqual(['The provider refused to mint: vault-main: no such role']);
  });

  it('tells how to learn why policy said no', () => {
    expect(lines({ code: 'policy_denied', title: 'Policy denied the request', detail: 'too long', decision: { id: 'dec_1', policies: ['ttl-one-hour'] }, request_id: 'r-1' })).toEqual([
      'Policy denied the request: too long',
      '  decision dec_1 by ttl-one-hour',
      '  an operator sees why: mayfly audit search --decision dec_1 --json',
      '  request r-1',
    ]);
  });
});

describe('secrets for a shell', () => {
  it('arrive as they were minted, whatever is in them, and run nothing', () => {
    const script = `${grantAsEnv(ANSWER)}\nprintf '%s|%s|%s|%s' "$MAYFLY_TASK_ID" "$MAYFLY_TASK_EXPIRES_AT" "$ORDERS_DB_USERNAME" "$ORDERS_DB_PASSWORD"`;
    const shown = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
    expect(shown).toBe(`tsk_1|2026-01-01T00:05:00.000Z|v-1|${ANSWER.credentials[0]?.secret?.['password'] ?? ''}`);
  });

  it('are one word each', () => {
    const texts = fc.sample(fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0') && text.isWellFormed()), 50);
    const shown = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${texts.map(shellQuote).join(' ')}`], { encoding: 'utf8' });
    expect(shown.split('\0').slice(0, -1)).toEqual(texts);
  });
});

describe('an exit code', () => {
  it.each([
    [403, 'policy_denied', 3],
    [404, 'not_found', 4],
    [409, 'task_not_active', 4],
    [401, 'invalid_token', 5],
    [403, 'forbidden', 5],
    [502, 'provider_refused', 6],
    [503, 'provider_unavailable', 6],
    [422, 'invalid_request', 2],
    [429, 'limit_exceeded', 1],
    [500, 'internal', 1],
  ])('for %i %s is %i', (status, code, expected) => {
    expect(exitCodeFor(status, code)).toBe(expected);
  });

  it('of a completion tells whether the task was still there to complete', () => {
    const ended = (reason: string): TaskAnswer => ({ ...ANSWER, task: { ...ANSWER.task, state: 'ended', end_reason: reason } });
    expect(completionFailure(ended('completed'), false)).toBeUndefined();
    expect(completionFailure(ended('expired'), false)?.exitCode).toBe(124);
    expect(completionFailure(ended('revoked'), false)?.exitCode).toBe(4);
    const ending: TaskAnswer = { ...ANSWER, task: { ...ANSWER.task, state: 'ending', end_reason: 'completed' } };
    expect(completionFailure(ending, false)).toBeUndefined();
    expect(completionFailure(ending, true)?.exitCode).toBe(7);
  });
});

describe('a declaration from flags', () => {
  const NONE = { action: ['read'], dataClass: [], credential: ['orders-db'], param: [], context: [] };

  it('says what the flags say', () => {
    const flags = { ...NONE, purpose: 'refund-investigation', dataClass: ['pii'], credential: ['orders-db:120', 'task-token'], param: ['orders-db.role=reader', 'orders-db.rows=5'], context: ['tool=sql.query', 'dry=true'], ttl: '300', ticket: 'OPS-1' };
    expect(declarationOf(flags)).toEqual({
      purpose: 'refund-investigation', actions: ['read'], data_classes: ['pii'], context: { tool: 'sql.query', dry: true }, ttl_seconds: 300, ticket: 'OPS-1',
      credentials: [{ name: 'orders-db', ttl_seconds: 120, params: { role: 'reader', rows: 5 } }, { name: 'task-token', params: {} }],
    });
  });

  it.each([
    ['no purpose', { ...NONE }],
    ['no action', { ...NONE, purpose: 'p', action: [] }],
    ['no credential', { ...NONE, purpose: 'p', credential: [] }],
    ['a lifetime in words', { ...NONE, purpose: 'p', ttl: '5m' }],
    ['a credential’s lifetime in words', { ...NONE, purpose: 'p', credential: ['orders-db:soon'] }],
    ['a parameter of nothing', { ...NONE, purpose: 'p', param: ['role=reader'] }],
    ['a parameter of a credential that is not asked for', { ...NONE, purpose: 'p', param: ['orders-bd.role=reader'] }],
    ['context without a value', { ...NONE, purpose: 'p', context: ['tool'] }],
  ])('is a usage error with %s', (_what, flags) => {
    expect(() => declarationOf(flags)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});
