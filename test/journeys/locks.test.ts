import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { EventClient } from '../support/event-client.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let operator: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  operator = await broker.operatorToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

afterEach(async () => {
  for (const { id } of (await broker.call('GET', '/v1/locks', operator)).body['items'] as { id: string }[]) await broker.call('DELETE', `/v1/locks/${id}`, operator);
});

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();
const lock = (selector: object, fields: object = {}): Promise<HttpAnswer> => broker.call('POST', '/v1/locks', operator, { selector, reason: 'SEEN-IN-A-LOG', until: inSeconds(60), ...fields });
const idOf = ({ body }: HttpAnswer): string => (body['lock'] as { id: string }).id;
const declare = async (fields: object = {}): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', await broker.agentToken(), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }], ...fields });

describe('a lock', () => {
  it('refuses every way to a credential, tells the caller its id and end alone, and lifting it lets them all pass', async () => {
    const waiting = await declare({ start: 'claim' });
    const { id: waitingId } = waiting.body['task'] as { id: string };
    const grant = await broker.grant(['task-reference']);
    const task = `/v1/tasks/${grant.id}`;
    const calls: (() => Promise<HttpAnswer>)[] = [
      () => declare(),
      () => broker.call('POST', `/v1/tasks/${waitingId}/claim`, grant.token, {}),
      () => broker.call('POST', `${task}/credentials`, grant.token, { name: 'task-token' }),
      () => broker.call('POST', `${task}/reissue`, grant.token, { name: 'task-reference' }),
      () => broker.call('POST', `${task}/extend`, grant.token, { ttl_seconds: 600 }),
    ];
    const placed = await lock({ agent: 'agent:refunds' });
    expect(placed).toMatchObject({ status: 201, body: { lock: { everywhere: true, created_by: 'olga', reason: 'SEEN-IN-A-LOG' }, revocation: null } });
    const { until: end } = placed.body['lock'] as { until: string };
    for (const refused of calls) {
      const answer = await refused();
      expect(answer).toMatchObject({ status: 403, body: { code: 'locked', lock: { id: idOf(placed), until: end } } });
      expect(JSON.stringify(answer.body)).not.toContain('SEEN-IN-A-LOG');
    }
    // What it has stays: the lock did not ask for its end, and a refused reissue ends nothing.
    expect((await broker.call('GET', task, grant.token)).body).toMatchObject({ task: { state: 'active' }, credentials: [{ state: 'active' }] });
    expect((await broker.call('POST', `${task}/heartbeat`, grant.token)).status).toBe(200);

    expect((await broker.call('DELETE', `/v1/locks/${idOf(placed)}`, operator)).status).toBe(200);
    for (const granted of calls) expect((await granted()).status).toBeLessThan(300);
  });

  it.each<[string, object]>([
    ['agent', { agent: 'agent:refunds' }],
    ['credential', { credential: 'task-reference' }],
    ['provider', { provider: 'tokens' }],
    ['purpose', { purpose: 'refund-investigation' }],
    ['all', { all: true }],
    ['two words that both match', { purpose: 'refund-investigation', credential: 'task-reference' }],
  ])('with the selector %s refuses', async (_name, selector) => {
    await lock(selector);
    expect(await declare()).toMatchObject({ status: 403, body: { code: 'locked' } });
  });

  it('for two words of which one does not match refuses nothing', async () => {
    await lock({ agent: 'agent:refunds', credential: 'orders-db' });
    expect((await declare()).status).toBe(201);
  });

  it('with revoke also ends what is live, and then nothing new comes', async () => {
    const grants = await Promise.all([broker.grant(['orders-db', 'vault-token']), broker.grant(['orders-db'])]);
    const placed = await lock({ purpose: 'refund-investigation' }, { revoke: true });
    expect(placed.body).toMatchObject({ revocation: { selector: { purpose: 'refund-investigation' } } });
    for (const grant of grants) {
      await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))));
      expect((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body).toMatchObject({ task: { end_reason: 'revoked' } });
    }
    expect(await declare()).toMatchObject({ status: 403, body: { code: 'locked' } });
  });

  it('of one task ends its growth alone', async () => {
    const grant = await broker.grant(['task-reference']);
    await lock({ task: grant.id });
    expect(await broker.call('POST', `/v1/tasks/${grant.id}/credentials`, grant.token, { name: 'task-token' })).toMatchObject({ status: 403 });
    expect((await declare()).status).toBe(201);
  });

  it('shows in the metrics, on the audit log with its reason, and in the feed without it', async () => {
    const client = await EventClient.open(broker.url, operator);
    const placed = await lock({ agent: 'agent:refunds' });
    await declare();
    expect(await broker.metrics()).toContain('mayfly_locks 1');
    const told = (type: string) => client.events.find(({ type: one, data }) => one === type && (data['facts'] as { lock?: string }).lock === idOf(placed));
    await until(() => told('lock.created') !== undefined && told('grant.locked') !== undefined);
    const lines = (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes(idOf(placed)));
    expect(lines.find((line) => line.includes('"lock.created"'))).toContain('SEEN-IN-A-LOG');
    expect(lines.find((line) => line.includes('"grant.locked"'))).toContain('agent:refunds');
    client.close();
    expect(told('lock.created')?.data).toMatchObject({ facts: { selector: { agent: 'agent:refunds' } } });
    expect(client.text).not.toContain('SEEN-IN-A-LOG');
  });

  it('must have an end, in the future and within 30 days, a reason and a meaning', async () => {
    const faults = async (fields: object): Promise<unknown> => ((await lock({ all: true }, fields)).body['errors'] as { pointer: string }[]).map(({ pointer }) => pointer);
    expect(await faults({ until: inSeconds(-1) })).toEqual(['/until']);
    expect(await faults({ until: inSeconds(31 * 86_400) })).toEqual(['/until']);
    expect(await faults({ until: 'tomorrow' })).toEqual(['/until']);
    expect(await faults({ until: undefined })).toEqual(['/until']);
    expect(await faults({ reason: '' })).toEqual(['/reason']);
    expect(await faults({ selector: {} })).toEqual(['/selector']);
    expect(await faults({ selector: { all: true, agent: 'x' } })).toEqual(['/selector']);
    expect(await faults({ selector: { all: false } })).toEqual(['/selector/all']);
    expect(await faults({ selector: { lease: 'lse_00000000000000000000000000000000' } })).toContain('/selector/lease');
  });
});

describe('the command line', () => {
  const ROOT = resolve(import.meta.dirname, '../..');

  async function mayfly(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
    const token = join(broker.stack.directory, 'operator-token');
    await writeFile(token, operator);
    const child = spawn(process.execPath, [join(ROOT, 'bin/mayfly.js'), ...args], { env: { PATH: process.env['PATH'] ?? '', MAYFLY_ADDR: broker.url, MAYFLY_TOKEN_FILE: token } });
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>]);
    return { code, out, err };
  }

  it('places, lists and lifts', async () => {
    const created = await mayfly('lock', 'create', '--agent', 'agent:refunds', '--credential', 'vault-token', '--for', '4h', '--revoke', '--yes', '--reason', 'a drill');
    expect(created).toMatchObject({ code: 0, out: expect.stringMatching(/^lock lck_[0-9a-f]{32} is in force for (4h 00m|239m|3h 59m)/), err: expect.stringMatching(/(\d+) of \1 leases? ended/) });
    const id = created.out.split(' ')[1] ?? '';
    expect(await mayfly('lock', 'ls')).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`${id} +agent=agent:refunds credential=vault-token .*olga +a drill`)) });
    expect(await mayfly('lock', 'rm', id)).toMatchObject({ code: 0, out: `lock ${id} is lifted\n` });
    expect(await mayfly('lock', 'rm', id)).toMatchObject({ code: 4 });
    expect(await mayfly('lock', 'ls')).toMatchObject({ out: 'no locks\n' });
  }, 20_000);

  it('has a revocation beside it that asks first, follows, and can be looked at', async () => {
    const grant = await broker.grant(['task-reference']);
    const words = ['--task', grant.id, '--provider', 'tokens', '--reason', 'a drill'];
    expect(await mayfly('revoke', ...words)).toMatchObject({ code: 2, err: expect.stringContaining('--dry-run') });
    const lease = at(grant.credentials, 0).lease_id;
    expect((await mayfly('revoke', ...words, '--dry-run')).out).toContain(lease);
    const revoked = await mayfly('revoke', ...words, '--yes', '--json');
    expect(revoked.code).toBe(0);
    const { revocation } = JSON.parse(revoked.out) as { revocation: { id: string; state: string } };
    expect(revocation.state).toBe('done');
    expect(await mayfly('revocation', 'get', revocation.id)).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`${lease} +revoked`)) });
    expect(await mayfly('revocation', 'cancel', revocation.id)).toMatchObject({ code: 0, err: '1 of 1 lease ended\n' });
  }, 20_000);

  it.each<[string, string[]]>([
    ['nothing to lock', ['--for', '1h']],
    ['no end', ['--all']],
    ['two ends', ['--all', '--for', '1h', '--until', '2030-01-01T00:00:00Z']],
    ['an end nobody can read', ['--all', '--for', 'soon']],
  ])('says so when it is given %s', async (_name, args) => {
    expect(await mayfly('lock', 'create', '--reason', 'x', ...args)).toMatchObject({ code: 2, out: '' });
  });
});
