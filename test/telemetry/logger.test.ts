import { describe, expect, it } from '@jest/globals';
import { Secret } from '../../src/core/secret.ts';
import { createLogger } from '../../src/telemetry/logger.ts';

const PLANTED = 'correct-horse-battery-staple';

/** What a logger wrote, as text. */
function written(log: (logger: ReturnType<typeof createLogger>) => void, level = 'info'): string {
  const lines: string[] = [];
  log(createLogger({ level, base: { role: 'api' } }, { write: (line) => void lines.push(line) }));
  return lines.join('');
}

describe('the logger', () => {
  it('writes one JSON object a line, with time, level, base and fields', () => {
    const line = JSON.parse(written((log) => log.info({ request_id: 'req_1', task: 'tsk_1', lease: 'lse_1' }, 'granted'))) as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'info', role: 'api', request_id: 'req_1', task: 'tsk_1', lease: 'lse_1', msg: 'granted' });
    expect(Date.parse(String(line['time']))).toBeGreaterThan(0);
  });

  it('is silent below its level', () => {
    expect(written((log) => log.info({}, 'quiet'), 'warn')).toBe('');
    expect(written((log) => log.warn({}, 'loud'), 'warn')).toContain('loud');
  });

  it.each<[string, (log: ReturnType<typeof createLogger>) => void]>([
    ['headers', (log) => log.info({ request: { headers: { authorization: PLANTED } } }, 'x')],
    ['a deep body', (log) => log.info({ a: { b: { c: { body: PLANTED } } } }, 'x')],
    ['an answer under another name', (log) => log.info({ answer: [{ responseBody: { x: PLANTED } }] }, 'x')],
    ['a wrapping token', (log) => log.info({ wrapping_token: PLANTED }, 'x')],
    ['a secret id', (log) => log.info({ login: { secret_id: PLANTED } }, 'x')],
    ['a declaration’s free text', (log) => log.info({ task: { justification: PLANTED } }, 'x')],
    ['a Secret', (log) => log.info({ value: new Secret(PLANTED) }, 'x')],
    ['bytes', (log) => log.info({ value: { data: Buffer.from(PLANTED) } }, 'x')],
    ['what a client hangs on its error', (log) => log.error({ err: Object.assign(new Error('failed'), { request: { data: PLANTED }, options: PLANTED }) }, 'x')],
    ['what hangs on the cause of an error', (log) => log.error({ err: new Error('outer', { cause: Object.assign(new Error('inner'), { config: PLANTED }) }) }, 'x')],
    ['what hangs on an error under another name', (log) => log.error({ reason: Object.assign(new Error('failed'), { config: PLANTED }) }, 'x')],
    ['an error given alone', (log) => log.error(Object.assign(new Error('failed'), { config: PLANTED }))],
    ['a child’s password', (log) => log.child({ password: PLANTED }).info({}, 'x')],
    ['an object of a class', (log) => log.info({ socket: new (class Socket { readonly data = PLANTED; })() }, 'x')],
  ])('never prints %s', (_name, log) => {
    const text = written(log);
    expect(text).not.toBe('');
    expect(text).not.toContain(PLANTED);
    expect(text).not.toContain(Buffer.from(PLANTED).toString('base64'));
  });

  it('prints what is under a harmless name (control)', () => {
    expect(written((log) => log.info({ purpose: PLANTED, a: { b: { c: PLANTED } } }, 'x'))).toContain(PLANTED);
  });

  it('strips a token from a message, where no name gives it away', () => {
    const token = `hvs.${'A1b2'.repeat(10)}`;
    expect(written((log) => log.info({}, `got ${token}`))).not.toContain(token);
    expect(written((log) => log.error({ err: new Error(`refused: ${token}`) }, 'x'))).not.toContain(token);
  });

  it('keeps what helps of an error: type, message, code and causes', () => {
    const cause = Object.assign(new TypeError('no route'), { code: 'ECONNREFUSED' });
    const line = JSON.parse(written((log) => log.error({ err: new Error('mint failed', { cause }) }, 'x'))) as Record<string, unknown>;
    expect(line['err']).toMatchObject({ type: 'Error', message: 'mint failed', cause: { type: 'TypeError', message: 'no route', code: 'ECONNREFUSED' } });
  });

  it.each([
    ['a short text', 'hunter2000'],
    ['one line', 'pw\n"hunter2000" x'],
    ['the beginning of a long text', `hunter2000${'x'.repeat(100)}`],
    ['the middle of a long text', `{"a":"${'x'.repeat(100)}","b":hunter2000}${' '.repeat(100)}`],
    ['its end', `[${'1,'.repeat(100)} hunter]`],
  ])('does not repeat what could not be read as JSON, %s, of which V8 does (control)', (_what, text) => {
    let cause: unknown;
    try {
      JSON.parse(text);
    } catch (error) {
      cause = error;
    }
    expect((cause as Error).message).toContain('hunter');
    const line = written((log) => log.warn({ err: new Error('the body is not JSON', { cause }) }, 'refused'));
    expect(line).not.toContain('hunter');
    expect(JSON.parse(line)).toMatchObject({ err: { cause: { type: 'SyntaxError', message: expect.stringContaining('is not valid JSON'), stack: expect.stringContaining('at ') } } });
  });

  it('ends at a cycle', () => {
    const cyclic: Record<string, unknown> = { name: 'loop' };
    cyclic['self'] = cyclic;
    expect(written((log) => log.info({ cyclic }, 'x'))).toContain('[deep]');
  });
});
