import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { LeaseAnswer } from '../../src/cli/lease-output.ts';
import type { OverviewAnswer } from '../../src/cli/top/overview-answer.ts';
import { sparkline, topFrame } from '../../src/cli/top/top-frame.ts';
import { INITIAL, press, shownLeases, withLeases, type TopState } from '../../src/cli/top/top-state.ts';
import { at } from '../support/at.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

const lease = (number: number, fields: Partial<LeaseAnswer> = {}): LeaseAnswer => ({
  id: `lse_${number}`, task_id: `tsk_${number}`, agent: 'agent:refunds', purpose: 'refund-investigation', credential: 'orders-db', kind: 'vault.dynamic', provider: 'vault-main', state: 'active',
  revocability: 'exact', created_at: '2026-01-01T00:00:00Z', expires_at: new Date(NOW + number * 60_000).toISOString(), target_expires_at: null, revocation_reason: null, revocation_due_at: null, attempts: 0,
  next_try_at: null, last_failure: null, ended_at: null, exposure_seconds: null, acknowledged: null, ...fields,
});
const OVERVIEW: OverviewAnswer = {
  now: '2026-01-01T00:00:00Z', version: '0.1.0', deployment_id: 'test', hold: false,
  leases: { active: 3, overdue: 0, oldest_overdue_seconds: 0, stuck: 0, lapsing: 0, disclosed: 0, expiring: [{ within_seconds: 60, count: 1 }, { within_seconds: 300, count: 3 }] },
  timeline: [{ provider: 'vault-main', per_minute: [0, 1, 4, ...Array.from({ length: 57 }, () => 0)] }],
  lateness: { hour: { count: 2, p50_seconds: 0.1, p99_seconds: 12.4, max_seconds: 13 }, window: { count: 2, late: 0, budget_remaining: 0.987 } },
  providers: [{ name: 'vault-main', up: true }, { name: 'aws-main', up: false }], queues: [{ provider: 'vault-main', waiting: 0, active: 0, delayed: 0, failed: 0 }],
  tasks: { pending_approval: 2, active: 3, ending: 0 }, denials: { hour: 1, day: 9 }, locks: 0,
};
const THREE = [lease(1), lease(2, { credential: 'vault-token' }), lease(3, { agent: 'agent:payouts' })];
const state = (fields: Partial<TopState> = {}): TopState => ({ ...withLeases({ ...INITIAL, overview: OVERVIEW, stale: null }, THREE), ...fields });
const frame = (of: TopState, columns = 160, rows = 24): string => topFrame(of, { rows, columns }, NOW).map(stripVTControlCharacters).join('\n');
const typing = (from: TopState, ...keys: string[]): TopState => keys.reduce((now, key) => press(now, key, 10).state, from);

describe('a frame', () => {
  it('says what is wrong before what is well', () => {
    const text = frame(state());
    expect(text).toMatch(/^mayfly 0\.1\.0 {2}test {2}2026-01-01 00:00:00 UTC\noverdue 0 {2}stuck 0 {2}live 3/);
    expect(text).toContain('due 1m 1  5m 3  late p50 0.1s p99 12s max 13s  budget 98 %');
    expect(text).toContain('vault-main up  aws-main DOWN');
    expect(text).toContain('approvals 2  tasks 3  ending 0  denied 1/h 9/d');
    expect(frame(state({ overview: { ...OVERVIEW, hold: true, leases: { ...OVERVIEW.leases, overdue: 2, oldest_overdue_seconds: 33.2 } } }))).toMatch(/overdue 2 \(33s\).*HOLD: nothing is granted/);
    expect(frame(state({ stale: 'no broker answers' }))).toContain('STALE: no broker answers');
  });

  it('shows what falls due in each of the next minutes', () => {
    expect(sparkline(OVERVIEW.timeline)).toBe(` ▂█${' '.repeat(57)}| most 4 a minute`);
    expect(sparkline([])).toBe('nothing falls due');
  });

  it('never leaves the screen, whatever its size and whatever is in a name', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 200 }), fc.string({ unit: 'binary' }), fc.constantFrom<TopState['mode']>('list', 'filter', 'reason', 'help'), (rows, columns, name, mode) => {
        const lines = topFrame(state({ mode, typed: name, leases: [lease(1, { agent: name })] }), { rows, columns }, NOW);
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) {
          expect(Array.from(stripVTControlCharacters(line)).length).toBeLessThanOrEqual(columns);
          expect(stripVTControlCharacters(line)).not.toMatch(/\p{Cc}/u);
        }
      }),
    );
  });
});

describe('a key', () => {
  it('moves the cursor, which stays at its lease when others come and go', () => {
    const moved = typing(state(), 'down');
    expect(moved.at).toBe('lse_2');
    expect(typing(moved, 'up', 'up').at).toBe('lse_1');
    expect(typing(moved, 'end').at).toBe('lse_3');
    expect(withLeases(moved, THREE.slice(1)).at).toBe('lse_2');
    // Where it is gone, the next one is at its place.
    expect(withLeases(moved, [at(THREE, 0), at(THREE, 2)]).at).toBe('lse_3');
  });

  it('of a filter shows what has each of its words', () => {
    const filtered = typing(state(), '/', ...Array.from('payouts orders'));
    expect(shownLeases(filtered).map(({ id }) => id)).toEqual(['lse_3']);
    expect(frame(filtered)).toContain('filter: payouts orders_');
    expect(shownLeases(typing(filtered, 'enter', 'escape'))).toHaveLength(3);
    expect(frame(typing(state(), '/', 'x', 'x', 'enter'))).toContain('nothing fits "xx"');
  });

  it('ends nothing alone: it takes a reason and Enter', () => {
    const asked = typing(state(), 'r');
    expect(press(asked, 'enter', 10)).toMatchObject({ state: { mode: 'reason' } });
    expect(press(asked, 'enter', 10).act).toBeUndefined();
    expect(press(typing(asked, 'o', 'k', 'escape'), 'enter', 10).act).toBeUndefined();
    expect(press(typing(asked, ...Array.from('a drill')), 'enter', 10).act).toEqual({ do: 'revoke', lease: 'lse_1', reason: 'a drill' });
    // What ended meanwhile is not taken for the one that took its place.
    const gone = withLeases(typing(asked, ...Array.from('a drill')), THREE.slice(1));
    expect(gone).toMatchObject({ mode: 'list', typed: '', notice: 'that lease has ended' });
    expect(press(gone, 'enter', 10).act).toBeUndefined();
  });
});

describe('in a real terminal', () => {
  const LAUNCHER = resolve(import.meta.dirname, '../../bin/mayfly.js');
  /** The screen and the cursor that were there before. */
  const RESTORED = /\u001b\[\?25h\u001b\[\?1049l/;
  let broker: RunningBroker;
  const terminals: Terminal[] = [];

  beforeAll(async () => {
    broker = await RunningBroker.start();
  }, 60_000);
  afterEach(() => terminals.splice(0).forEach((terminal) => terminal.close()));
  afterAll(() => broker.stop(), 30_000);

  async function top(): Promise<Terminal> {
    const file = join(broker.stack.directory, 'olga-at-top');
    await writeFile(file, await broker.operatorToken(), { mode: 0o600 });
    const terminal = new Terminal([process.execPath, LAUNCHER, 'top', '--addr', broker.url, '--token-file', file], { columns: 150, rows: 30 });
    terminals.push(terminal);
    await terminal.shows('overdue 0');
    return terminal;
  }
  const live = async (id: string): Promise<string> => ((await broker.call('GET', `/v1/leases/${id}`, await broker.operatorToken())).body['lease'] as { state: string }).state;

  it('shows a lease that is granted meanwhile, counting down, and no more once it has ended', async () => {
    const terminal = await top();
    const grant = await broker.grant(['vault-token'], { ttlSeconds: 120 });
    const { lease_id: id } = at(grant.credentials, 0);
    await terminal.shows(new RegExp(`1m 5\\d?s? .*active .*${id}`));
    const seconds = (): number[] => [...terminal.text.matchAll(new RegExp(`1m (\\d\\d)s .*${id}`, 'g'))].map(([, second]) => Number(second));
    await until(() => new Set(seconds()).size >= 3, { what: 'the countdown moves' });
    expect(seconds().toSorted((a, b) => b - a)).toEqual(seconds());
    await broker.complete(grant);
    await terminal.shows(new RegExp(`${id}[^]*no live leases`));
    terminal.type('q');
    expect(await terminal.ends()).toBe(0);
    expect(terminal.raw).toMatch(RESTORED);
  }, 60_000);

  it('filters, shows the tree of a task, and revokes with a reason', async () => {
    const [first, second] = [await broker.grant(['vault-token']), await broker.grant(['task-reference'])];
    const [kept, ended] = [at(first.credentials, 0).lease_id, at(second.credentials, 0).lease_id];
    const terminal = await top();
    await terminal.shows(ended);
    terminal.type('/task-ref\r');
    await terminal.shows('filter "task-ref" (Esc: all)');
    terminal.type('t');
    await terminal.shows(`tree of ${second.id} (Esc: all)`);
    terminal.type('r');
    await terminal.shows(`end ${ended}? Reason, then Enter:`);
    terminal.type('a drill\r');
    await terminal.shows(`${ended}: revoked`);
    expect(await live(ended)).toBe('revoked');
    expect(await live(kept)).toBe('active');
    terminal.type('?');
    await terminal.shows('what is left of the objective');
    terminal.type('q');
    expect(await terminal.ends()).toBe(0);
    await broker.complete(first);
  }, 60_000);

  it('fits a screen that becomes smaller', async () => {
    const terminal = await top();
    terminal.raw = '';
    terminal.resize(12, 40);
    await until(() => terminal.raw.split('\u001b[H').slice(1, -1).some((shown) => stripVTControlCharacters(shown).split('\n').length === 12), { what: 'a frame of 12 lines' });
    for (const line of stripVTControlCharacters(terminal.raw.split('\u001b[H').at(-1) ?? '').split(/[\r\n]+/)) expect(Array.from(line).length).toBeLessThanOrEqual(40);
    terminal.type('\u0003');
    expect(await terminal.ends()).toBe(0);
  }, 60_000);

  it('gives the terminal back when it is told to end', async () => {
    const terminal = await top();
    terminal.signal('SIGTERM');
    expect(await terminal.ends()).toBe(143);
    expect(terminal.raw).toMatch(RESTORED);
  }, 60_000);

  it('says so where the broker is away, and goes on when it is back', async () => {
    const terminal = await top();
    await broker.kill();
    await terminal.shows('STALE: no broker answers');
    terminal.raw = '';
    await broker.startBroker();
    await until(() => /UTC *\n/.test(stripVTControlCharacters(terminal.raw.split('\u001b[H').at(-1) ?? '').replaceAll('\r', '')), { what: 'it is of now again', timeoutMs: 30_000 });
    terminal.type('q');
    expect(await terminal.ends()).toBe(0);
  }, 90_000);

  it('is printed once where there is no terminal, and only when that is asked for', async () => {
    const token = { of: 'olga', jwt: await broker.operatorToken() };
    await expect(runMayfly(broker, token, ['top'])).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--once') as unknown });
    const { id, token: agent, credentials } = await broker.grant(['vault-token']);
    const { stdout } = await runMayfly(broker, token, ['top', '--once']);
    expect(stdout).toMatch(new RegExp(`^mayfly [^]*overdue 0[^]*${at(credentials, 0).lease_id}`));
    expect(stdout).not.toContain('\u001b');
    expect(JSON.parse((await runMayfly(broker, token, ['top', '--json'])).stdout)).toMatchObject({ overview: { leases: { overdue: 0 } }, leases: expect.arrayContaining([expect.objectContaining({ id: at(credentials, 0).lease_id })]) as unknown });
    await broker.complete({ id, token: agent });
  }, 60_000);
});
