import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { LAUNCHER, runMayfly, runMayflyAlone } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { Terminal } from '../support/terminal.ts';
import { until } from '../support/until.ts';


let broker: RunningBroker;
const terminals: Terminal[] = [];

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);
afterEach(() => terminals.splice(0).forEach((terminal) => terminal.close()));
afterAll(() => broker.stop(), 30_000);

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function mayfly(...args: readonly string[]): Promise<Ran> {
  const ended = await runMayfly(broker, { of: 'olga', jwt: await broker.operatorToken() }, args).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
  return { code: 'code' in ended ? ended.code : 0, out: ended.stdout, err: ended.stderr };
}

/** The same where a person sits at a terminal. */
async function atTerminal(...args: readonly string[]): Promise<Terminal> {
  const file = join(broker.stack.directory, 'olga-at-terminal');
  await writeFile(file, await broker.operatorToken(), { mode: 0o600 });
  const terminal = new Terminal([process.execPath, LAUNCHER, ...args, '--addr', broker.url, '--token-file', file], { columns: 160 });
  terminals.push(terminal);
  return terminal;
}

/** The same for a command that calls no broker. */
function atTerminalAlone(...args: readonly string[]): Terminal {
  const terminal = new Terminal([process.execPath, LAUNCHER, ...args], { columns: 160 });
  terminals.push(terminal);
  return terminal;
}

const stateOf = async (lease: string): Promise<unknown> => ((await broker.call('GET', `/v1/leases/${lease}`, await broker.operatorToken())).body['lease'] as { state: string }).state;

describe('revoking leases by their ids', () => {
  it('ends several in one revocation, and no other (control)', async () => {
    const { credentials } = await broker.grant(['vault-token', 'orders-db', 'task-reference']);
    const [first = '', second = '', other = ''] = credentials.map(({ lease_id: id }) => id);
    const look = await mayfly('revoke', '--lease', first, '--lease', second, '--reason', 'a drill', '--dry-run');
    expect(look.err).toContain('2 leases and 0 tasks would end');
    expect(await mayfly('revoke', first, second, '--reason', 'a drill', '--yes')).toMatchObject({ code: 0, err: expect.stringContaining('2 of 2 leases ended') as unknown });
    expect([await stateOf(first), await stateOf(second), await stateOf(other)]).toEqual(['revoked', 'revoked', 'active']);
    expect(await mayfly('revoke', first, 'tsk_1', '--reason', 'r', '--yes')).toMatchObject({ code: 2, err: expect.stringContaining('one task at a time') as unknown });
  }, 30_000);
});

describe('an audit log that is long', () => {
  it('is verified and exported with a line that says how far it is, on a terminal alone', async () => {
    const file = broker.stack.auditFile;
    const verify = atTerminalAlone('audit', 'verify', file);
    await verify.shows('is whole');
    expect(verify.raw).toMatch(/\r\[[#-]{24}\] +\d+ % \d+ records verified/);
    const exporting = atTerminalAlone('audit', 'export', '--audit', file, '--out', join(broker.stack.directory, 'export.jsonl'));
    await exporting.shows(/\d+ records\n/);
    expect(exporting.raw).toContain('0 MiB of the log read; 0 records fit');
    // Control: where nobody looks, nothing is said in between.
    expect((await runMayflyAlone(['audit', 'export', '--audit', file])).stderr).toMatch(/^\d+ records\n$/);
  }, 30_000);
});

describe('leases on the command line', () => {
  it('are listed as a table, as one document and as a line each', async () => {
    const { credentials } = await broker.grant(['vault-token', 'task-reference']);
    const leases = credentials.map(({ lease_id: id }) => id);
    const table = await mayfly('leases', 'ls', '--state', 'active', '--due-within', '10m');
    expect(table).toMatchObject({ code: 0, err: '' });
    expect(table.out).toMatch(/^LEASE +STATE +DUE +CREDENTIAL +PROVIDER +AGENT +PURPOSE +TRIES\n/);
    for (const lease of leases) expect(table.out).toMatch(new RegExp(`${lease} +active +[45]m \\d\\ds +`));
    expect((await mayfly('leases', 'ls', '--state', 'active', '--due-within', '5s')).out).toBe('no leases\n');

    const document = JSON.parse((await mayfly('leases', 'ls', '--json')).out) as { items: { id: string }[]; next_cursor: null };
    expect(document.items.map(({ id }) => id)).toEqual(expect.arrayContaining(leases));
    expect(document.next_cursor).toBeNull();
    const lines = (await mayfly('leases', 'ls', '--output', 'jsonl')).out.trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual(document.items.map(({ id }) => id));
  }, 30_000);

  it('say that there are more than were asked for', async () => {
    await broker.grant(['task-reference', 'vault-token']);
    const { out, err } = await mayfly('leases', 'ls', '--limit', '1');
    expect(out.trimEnd().split('\n')).toHaveLength(2);
    expect(err).toContain('there are more');
    expect(await mayfly('leases', 'ls', '--limit', 'none')).toMatchObject({ code: 2, out: '', err: expect.stringContaining('--limit takes a whole number from 1') as unknown });
  }, 30_000);

  it('are told one at a time, in words or as the broker answers', async () => {
    const { lease_id: lease } = at((await broker.grant(['vault-token'])).credentials, 0);
    const { out } = await mayfly('leases', 'get', lease);
    expect(out).toMatch(new RegExp(`LEASE +${lease}\n[^]*state +active\n[^]*revocability +exact\n`));
    expect(JSON.parse((await mayfly('leases', 'get', lease, '--json')).out)).toMatchObject({ lease: { id: lease, state: 'active' } });
    expect(await mayfly('leases', 'get', 'lse_00000000000000000000000000000000')).toMatchObject({ code: 4, out: '' });
  }, 30_000);
});

describe('a revocation on the command line', () => {
  it('by the id alone tells what became of each lease', async () => {
    const { id, credentials } = await broker.grant(['vault-token', 'task-token']);
    const [exact, none] = [at(credentials, 0), at(credentials, 1)];
    expect(await mayfly('revoke', 'agent:refunds', '--reason', 'a drill', '--yes')).toMatchObject({ code: 2, err: expect.stringContaining('no task and no lease') as unknown });
    const look = await mayfly('revoke', id, '--reason', 'a drill', '--dry-run');
    expect(look).toMatchObject({ code: 0, err: '2 leases and 1 task would end\n' });
    expect(await stateOf(exact.lease_id)).toBe('active');

    const ended = await mayfly('revoke', id, '--reason', 'a drill', '--yes');
    expect(ended.out).toMatch(new RegExp(`${exact.lease_id} +revoked +vault-token`));
    // A signed token cannot be called back, and is never said to be dead before its time.
    expect(ended.out).toMatch(new RegExp(`${none.lease_id} +may live until 20\\S+Z +task-token`));
    expect(ended.code).toBe(7);
    expect(ended.err).toContain('1 of 2 leases ended');
  }, 60_000);

  it('is one JSON document, with every result of it', async () => {
    const { id } = await broker.grant(['vault-token']);
    const { code, out } = await mayfly('revoke', '--task', id, '--reason', 'a drill', '--yes', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ revocation: { state: 'done', progress: { total: 1, ended: 1 }, results: [{ state: 'revoked', may_live_until: null }], next_cursor: null } });
  }, 30_000);

  it('asks a person, who sees what would end, and takes anything but yes for no', async () => {
    const { id, credentials } = await broker.grant(['vault-token']);
    const { lease_id: lease } = at(credentials, 0);
    const no = await atTerminal('revoke', '--task', id, '--reason', 'a drill');
    await no.shows('End these? Type yes:');
    expect(no.text).toMatch(new RegExp(`${lease} +active +vault-token`));
    no.type('y\r');
    expect(await no.ends()).toBe(1);
    expect(no.text).toContain('nothing was revoked');
    expect(await stateOf(lease)).toBe('active');

    const yes = await atTerminal('revoke', '--task', id, '--reason', 'a drill');
    await yes.shows('End these? Type yes:');
    yes.type('yes\r');
    expect(await yes.ends()).toBe(0);
    expect(await stateOf(lease)).toBe('revoked');
  }, 60_000);

  it('of many wants the name of what ends, not a quick yes', async () => {
    const names = ['vault-token', 'vault-token', 'vault-token'];
    for (let index = 0; index < 12; index += 1) await broker.grant(names.slice(0, 1));
    const quick = await atTerminal('revoke', '--agent', 'agent:refunds', '--credential', 'vault-token', '--reason', 'a drill');
    await quick.shows(/This ends \d+ leases\. Type agent:refunds:/);
    quick.type('yes\r');
    expect(await quick.ends()).toBe(1);

    const named = await atTerminal('revoke', '--agent', 'agent:refunds', '--credential', 'vault-token', '--reason', 'a drill');
    await named.shows('Type agent:refunds:');
    named.type('agent:refunds\r');
    expect(await named.ends()).toBe(0);
    expect(named.text).toMatch(/(\d+) of \1 leases ended/);
    expect(JSON.parse((await mayfly('leases', 'ls', '--state', 'active', '--json')).out)).toMatchObject({ items: expect.not.arrayContaining([expect.objectContaining({ credential: 'vault-token' })]) as unknown });
  }, 90_000);

  it('is given up by Ctrl-C, and nothing has ended', async () => {
    const { id, credentials } = await broker.grant(['vault-token']);
    const terminal = await atTerminal('revoke', '--task', id, '--reason', 'a drill');
    await terminal.shows('Type yes:');
    terminal.type('\u0003');
    expect(await terminal.ends()).toBe(1);
    expect(await stateOf(at(credentials, 0).lease_id)).toBe('active');
  }, 30_000);
});

describe('a lock on the command line', () => {
  it('that also revokes asks first, and tells what became of each lease', async () => {
    const { credentials } = await broker.grant(['vault-token']);
    const { lease_id: lease } = at(credentials, 0);
    const words = ['lock', 'create', '--credential', 'vault-token', '--for', '10m', '--reason', 'a drill', '--revoke'];
    expect(await mayfly(...words)).toMatchObject({ code: 2, out: '', err: expect.stringContaining('add --yes') as unknown });
    expect(JSON.parse((await mayfly('lock', 'ls', '--json')).out)).toMatchObject({ items: [] });
    const placed = await mayfly(...words, '--yes');
    expect(placed.out).toMatch(new RegExp(`^lock lck_[0-9a-f]+ is in force for \\d+m \\d\\ds\n[^]*${lease} +revoked`));
    const { lock } = JSON.parse((await mayfly(...words, '--yes', '--json')).out) as { lock: { id: string } };
    const listed = (await mayfly('lock', 'ls', '--output', 'jsonl')).out.trimEnd().split('\n');
    expect(listed).toHaveLength(2);
    for (const line of listed) expect((await mayfly('lock', 'rm', (JSON.parse(line) as { id: string }).id)).code).toBe(0);
    expect(listed.join()).toContain(lock.id);
  }, 60_000);
});

describe('colour', () => {
  it('is for a terminal alone, or where it is asked for, and NO_COLOR and --no-color turn it off', async () => {
    await broker.grant(['vault-token']);
    const escape = '\u001b[';
    expect((await mayfly('leases', 'ls')).out).not.toContain(escape);
    const token = { of: 'olga', jwt: await broker.operatorToken() };
    expect((await runMayfly(broker, token, ['leases', 'ls'], { FORCE_COLOR: '1' })).stdout).toContain(escape);
    expect((await runMayfly(broker, token, ['leases', 'ls', '--no-color'], { FORCE_COLOR: '1' })).stdout).not.toContain(escape);
    const coloured = await atTerminal('leases', 'ls');
    await coloured.ends();
    expect(coloured.raw).toContain(`${escape}1m`);
    const plain = await atTerminal('leases', 'ls', '--no-color');
    await plain.ends();
    expect(plain.raw).not.toContain(escape);
  }, 30_000);
});

describe('leases that are watched', () => {
  it('are told when they appear and when they end, and no others', async () => {
    const other = await broker.grant(['task-reference']);
    const terminal = await atTerminal('leases', 'watch', '--credential', 'vault-token', '--output', 'jsonl');
    const lines = (): { id: string; state: string }[] => terminal.text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line) as { id: string; state: string });
    const grant = await broker.grant(['vault-token']);
    const { lease_id: lease } = at(grant.credentials, 0);
    await until(() => lines().some(({ id, state }) => id === lease && state === 'active'), { what: 'it appears' });
    await broker.complete(grant);
    await until(() => lines().some(({ id, state }) => id === lease && state === 'revoked'), { what: 'it ends' });
    expect(lines().map(({ id }) => id)).not.toContain(at(other.credentials, 0).lease_id);
    terminal.type('\u0003');
    await terminal.ends();
    await broker.complete(other);
  }, 60_000);
});

describe('tasks on the command line of an operator', () => {
  it('are those of everybody, and a tree is told with what lives in it', async () => {
    const parent = await broker.grant(['orders-db']);
    const declared = await broker.call('POST', `/v1/tasks/${parent.id}/delegate`, await broker.agentToken(), { agent: 'agent:payouts', actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 60 }] });
    const { id: child } = declared.body['task'] as { id: string };
    const listed = async (...filters: string[]): Promise<string[]> => (JSON.parse((await mayfly('tasks', 'ls', ...filters, '--json')).out) as { items: { id: string }[] }).items.map(({ id }) => id);
    expect(await listed('--operator', '--live')).toEqual(expect.arrayContaining([parent.id, child]));
    expect(await listed('--agent', 'agent:payouts', '--live')).toEqual([child]);
    expect((await mayfly('tasks', 'get', child, '--operator')).out).toMatch(new RegExp(`^task ${child} pending_claim, purpose refund-investigation, agent agent:payouts`));
    const tree = await mayfly('tasks', 'tree', child);
    expect(tree).toMatchObject({ code: 0, err: '' });
    expect(tree.out).toMatch(new RegExp(`^${parent.id}  active +agent:refunds[^]*\\n    orders-db  active, due in [^]*\\n  └ ${child}  pending_claim +agent:payouts`));
    await broker.complete(parent);
    expect((await mayfly('tasks', 'tree', child)).out).toMatch(new RegExp(`└ ${child}  ended \\(parent_ended\\)`));
  }, 60_000);

  it('are watched: each is told when it appears and when it ends', async () => {
    const terminal = await atTerminal('tasks', 'watch', '--output', 'jsonl');
    const lines = (): { id: string; state: string }[] => terminal.text.split('\n').filter((line) => line.startsWith('{') && line.endsWith('}')).map((line) => JSON.parse(line) as { id: string; state: string });
    const grant = await broker.grant(['vault-token']);
    await until(() => lines().some(({ id, state }) => id === grant.id && state === 'active'), { what: 'it appears' });
    await broker.complete(grant);
    await until(() => lines().some(({ id, state }) => id === grant.id && state === 'ended'), { what: 'it ends' });
    terminal.type('\u0003');
    await terminal.ends();
  }, 60_000);
});

describe('the filters of leases', () => {
  it('narrow by agent, owner, purpose, credential, task and tree', async () => {
    const { id, credentials } = await broker.grant(['vault-token', 'task-reference']);
    const listed = async (...filters: string[]): Promise<string[]> => (JSON.parse((await mayfly('leases', 'ls', '--live', ...filters, '--json')).out) as { items: { id: string }[] }).items.map((one) => one.id);
    const both = credentials.map(({ lease_id: lease }) => lease);
    for (const filters of [['--agent', 'agent:refunds'], ['--owner', 'team-refunds'], ['--purpose', 'refund-investigation'], ['--task', id], ['--tree', id]]) expect(await listed(...filters)).toEqual(expect.arrayContaining(both));
    expect(await listed('--task', id, '--credential', 'vault-token')).toEqual([at(both, 0)]);
    expect(await listed('--agent', 'agent:nobody')).toEqual([]);
    expect((await mayfly('leases', 'ls', '--live', '--state', 'stuck')).code).toBe(2);
  }, 60_000);
});
