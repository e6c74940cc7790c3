import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import { cursorKey } from '../../src/webhooks/webhook-keys.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';
import { startWebhookServer, type WebhookServer } from '../support/webhook-server.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const JUSTIFICATION = 'the customer wrote this';

let broker: RunningBroker;
let soc: WebhookServer;
let bus: WebhookServer;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-webhooks-'));
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, SECRET);
  [soc, bus] = await Promise.all([startWebhookServer(), startWebhookServer()]);
  const common = () => ({ secret_files: [secretFile], allow_private_addresses: true });
  broker = await RunningBroker.start({
    webhooks: [
      { name: 'soc', url: soc.url, events: ['task.*', 'webhook.*'], ...common() },
      { name: 'bus', url: bus.url, events: ['*'], format: 'cloudevents', ...common() },
      { name: 'nowhere', url: 'http://127.0.0.1:9/hooks', events: ['*'], secret_files: [secretFile] },
    ],
  });
}, 60_000);

afterAll(async () => {
  soc.stop();
  bus.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

interface Told {
  readonly type: string;
  readonly data: { readonly id: string; readonly task: string | null };
}
const verified = ({ taken }: WebhookServer): Told[] => taken.map(({ headers, body }) => new Webhook(SECRET).verify(body, headers) as Told);
const toldOf = (server: WebhookServer, task: string): string[] => verified(server).flatMap(({ type, data }) => (data.task === task ? [type] : []));
const standing = async (name: string): Promise<Record<string, unknown> | undefined> =>
  ((await broker.call('GET', '/v1/webhooks', await broker.operatorToken('viewer'))).body['items'] as { name: string }[]).find((one) => one.name === name);
/** A recipient that is new is told of what comes from now on. */
async function begun(): Promise<void> {
  const redis = new Redis(broker.stack.redis.url);
  await until(async () => (await redis.exists(cursorKey('soc'), cursorKey('bus'))) === 2, { what: 'the recipients have a place in the feed' });
  redis.disconnect();
}

describe('a task from its declaration to its end', () => {
  it('is told to each recipient in its format, signed, without what the agent wrote', async () => {
    await begun();
    const task = await broker.grant(['task-reference'], { fields: { justification: JUSTIFICATION, data_classes: [] } });
    await broker.complete(task);
    await until(() => Promise.resolve(toldOf(soc, task.id).includes('task.ended')), { what: 'the end of the task is told' });
    expect(toldOf(soc, task.id)).toEqual(expect.arrayContaining(['task.declared', 'task.activated', 'task.ending', 'task.ended']));
    await until(() => Promise.resolve(bus.taken.some(({ body }) => body.includes('mayfly.lease.revoked'))), { what: 'the bus hears of the lease, too' });
    for (const { headers, body } of bus.taken) {
      expect(() => new Webhook(SECRET).verify(body, headers)).not.toThrow();
      expect(headers['content-type']).toBe('application/cloudevents+json');
      expect(JSON.parse(body)).toMatchObject({ specversion: '1.0', source: `urn:mayfly:${broker.stack.deploymentId}`, id: headers['webhook-id'] });
    }
    for (const { body } of [...soc.taken, ...bus.taken]) expect(body).not.toContain(JUSTIFICATION);
    const [secret = ''] = task.credentials.map((credential) => credential.secret['token'] ?? '');
    for (const { body } of [...soc.taken, ...bus.taken]) expect(body).not.toContain(secret);
    expect(await broker.metrics()).toMatch(/mayfly_webhook_deliveries_total\{.*webhook="soc".*outcome="delivered".*\} [1-9]/);
  }, 30_000);
});

describe('a recipient that cannot be reached', () => {
  it('delays no end, and is told of as it stands', async () => {
    const task = await broker.grant(['vault-token']);
    expect((await broker.complete(task)).status).toBe(200);
    await until(async () => Number((await standing('nowhere'))?.['waiting']) > 0, { what: 'deliveries wait' });
    expect(await standing('nowhere')).toMatchObject({ state: 'enabled', host: '127.0.0.1:9', failed_status: null, failed_at: expect.any(String), delivered_at: null });
    expect(await broker.log()).toContain('private addresses (loopback) are not allowed');
    await until(() => Promise.resolve(toldOf(soc, task.id).includes('task.ended')), { what: 'others are told' });
  });
});

describe('a broker that is killed', () => {
  it('loses nothing that its recipients are still to be told, and says it under the same id', async () => {
    soc.answer = 503;
    const task = await broker.grant(['task-reference']);
    await until(() => Promise.resolve(toldOf(soc, task.id).includes('task.activated')), { what: 'the first attempts are made' });
    await broker.complete(task);
    await broker.kill();
    soc.answer = 200;
    await broker.startBroker();
    const ids = (): string[] => verified(soc).flatMap(({ data }) => (data.task === task.id ? [data.id] : []));
    await until(() => Promise.resolve(toldOf(soc, task.id).includes('task.ended')), { timeoutMs: 40_000, what: 'the end is told after the restart' });
    await until(async () => (await standing('soc'))?.['waiting'] === 0, { timeoutMs: 20_000, what: 'all is delivered' });
    expect(new Set(toldOf(soc, task.id))).toEqual(new Set(['task.declared', 'task.activated', 'task.ending', 'task.ended']));
    expect(ids().length).toBeGreaterThan(new Set(ids()).size);
  }, 90_000);
});

describe('an admin', () => {
  it('tests a recipient, and enables one that was gone: on the record, and told', async () => {
    const admin = await broker.operatorToken('admin');
    const test = (name: string) => broker.call('POST', `/v1/webhooks/${name}/test`, admin);
    expect(await test('soc')).toMatchObject({ status: 200, body: { test: { delivered: true, status: 200, failure: null } } });
    expect(verified(soc).at(-1)).toMatchObject({ type: 'webhook.test', data: { by: { subject: 'olga' } } });
    expect(await test('nowhere')).toMatchObject({ body: { test: { delivered: false, status: null, failure: expect.stringContaining('private addresses') } } });
    expect((await test('unknown')).status).toBe(404);
    soc.answer = 410;
    await broker.complete(await broker.grant(['task-reference']));
    await until(async () => (await standing('soc'))?.['state'] === 'disabled', { what: 'it is disabled' });
    soc.answer = 200;
    expect(await broker.call('POST', '/v1/webhooks/soc/enable', admin)).toMatchObject({ status: 200, body: { webhook: { state: 'enabled', disabled_at: null } } });
    await until(() => Promise.resolve(verified(soc).some(({ type }) => type === 'webhook.enabled')), { what: 'it hears that it was enabled' });
    expect(verified(soc).map(({ type }) => type)).toEqual(expect.arrayContaining(['webhook.disabled', 'webhook.tested']));
  }, 30_000);
});

describe('on the command line', () => {
  it('each is listed and told of, tested, and enabled after it was gone', async () => {
    soc.answer = 200;
    const admin = { of: 'ada', jwt: await broker.operatorToken('admin') };
    const mayfly = (...args: readonly string[]) => runMayfly(broker, admin, ['webhooks', ...args]);
    expect((await mayfly('ls')).stdout).toMatch(/^WEBHOOK +HOST +STATE +WAITING +DELIVERED +LAST FAILURE +GIVEN UP\n[^]*\nnowhere +127\.0\.0\.1:9 +enabled +\d+ +- +no answer, /);
    expect((await mayfly('test', 'soc')).stdout).toBe('soc took it: it answered 200\n');
    await expect(mayfly('test', 'nowhere')).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/^nowhere did not take it: .*private addresses/) as unknown });
    await expect(mayfly('get', 'unknown')).rejects.toMatchObject({ code: 4 });
    soc.answer = 410;
    await broker.complete(await broker.grant(['task-reference']));
    await until(async () => (await standing('soc'))?.['state'] === 'disabled', { what: 'it is gone' });
    expect((await mayfly('get', 'soc')).stdout).toMatch(/state +disabled\ngone since .*mayfly webhooks enable soc[^]*last failure +answered 410, /);
    soc.answer = 200;
    expect(JSON.parse((await mayfly('enable', 'soc', '--json')).stdout)).toMatchObject({ webhook: { name: 'soc', state: 'enabled', disabled_at: null } });
    // Control: a viewer may look, and no more.
    const viewer = { of: 'vera', jwt: await broker.operatorToken('viewer') };
    expect((await runMayfly(broker, viewer, ['webhooks', 'get', 'soc'])).stdout).toMatch(/state +enabled/);
    await expect(runMayfly(broker, viewer, ['webhooks', 'enable', 'soc'])).rejects.toMatchObject({ code: 5 });
  }, 60_000);
});
