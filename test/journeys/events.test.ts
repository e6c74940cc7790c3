import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { freePort } from '../../dev/run-server.ts';
import { at } from '../support/at.ts';
import { EventClient } from '../support/event-client.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let clients: EventClient[] = [];

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

afterEach(() => {
  clients.forEach((client) => client.close());
  clients = [];
});

async function open(options: { readonly lastEventId?: string | undefined; readonly token?: string; readonly url?: string } = {}): Promise<EventClient> {
  const client = await EventClient.open(options.url ?? broker.url, options.token ?? (await broker.operatorToken('viewer')), options.lastEventId);
  clients.push(client);
  return client;
}

/** A task from its declaration to its end; answers its id. */
async function wholeTask(): Promise<string> {
  const grant = await broker.grant(['task-reference']);
  await broker.complete(grant);
  return grant.id;
}

const STEPS = ['task.declared', 'task.activated', 'task.ending', 'lease.revoked', 'task.ended'];

describe('GET /v1/events', () => {
  it('tells every step of a task as it happens', async () => {
    const client = await open();
    expect(client.response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    const task = await wholeTask();
    await client.has('task.ended', task);
    expect(client.ofTask(task).map(({ type }) => type)).toEqual(STEPS);
    expect(at(client.ofTask(task), 1).data).toMatchObject({ agent: { subject: 'agent:refunds' }, facts: { purpose: 'refund-investigation', credentials: [{ credential: 'task-reference' }] } });
  });

  it('gives each event once and in order to one who was cut off in between', async () => {
    const whole = await open();
    const before = await open();
    const first = await wholeTask();
    await before.has('task.ended', first);
    before.close();
    const missed = await wholeTask();
    const after = await open({ lastEventId: before.lastId });
    const last = await wholeTask();
    await Promise.all([whole.has('task.ended', last), after.has('task.ended', last)]);
    expect([...before.events, ...after.events].map(({ id }) => id)).toEqual(whole.events.map(({ id }) => id));
    expect(after.ofTask(missed).map(({ type }) => type)).toEqual(STEPS);
    expect(whole.events.map(({ type }) => type)).not.toContain('resync');
  });

  it('resumes at another replica, and after the broker was killed', async () => {
    const before = await open();
    const [port, metricsPort] = [await freePort(), await freePort()];
    const url = `http://127.0.0.1:${port}`;
    const other: BrokerProcess = await startBrokerProcess({
      configFile: broker.stack.configFile, url, logFile: join(broker.stack.directory, 'other.log'), role: 'api',
      env: { MAYFLY_HTTP__PORT: String(port), MAYFLY_HTTP__METRICS_PORT: String(metricsPort) },
    });
    try {
      const first = await wholeTask();
      await before.has('task.ended', first);
      const resumeAt = before.lastId;
      const missed = await wholeTask();
      const there = await open({ url, lastEventId: resumeAt });
      await there.has('task.ended', missed);
      expect(there.events.map(({ type }) => type)).toEqual(STEPS);

      await broker.kill();
      await until(() => before.ended);
      await broker.startBroker();
      const again = await open({ lastEventId: resumeAt });
      const last = await wholeTask();
      await Promise.all([again.has('task.ended', last), there.has('task.ended', last)]);
      expect(again.events.map(({ id }) => id)).toEqual(there.events.map(({ id }) => id));
      expect(again.events.map(({ type }) => type)).not.toContain('resync');
      expect(again.ofTask(missed).map(({ type }) => type)).toEqual(STEPS);
    } finally {
      await other.stop();
    }
  }, 60_000);

  it.each(['0-1', 'rubbish'])('answers a resume point that it does not have (%s) with resync, and goes on from now', async (lastEventId) => {
    await wholeTask();
    const client = await open({ lastEventId });
    await client.has('resync');
    const task = await wholeTask();
    await client.has('task.ended', task);
    expect(at(client.events, 0).type).toBe('resync');
    expect(client.ofTask(task).map(({ type }) => type)).toEqual(STEPS);
    expect(client.events.filter(({ type }) => type === 'resync')).toHaveLength(1);
  });

  it('has no secret and no free text in it, and what it should have is there (control)', async () => {
    const client = await open();
    const grant = await broker.grant(['vault-token', 'task-token', 'task-reference'], { fields: { justification: 'FREE-TEXT-1', ticket: 'FREE-TEXT-2', context: { tool: 'FREE-TEXT-3' } } });
    const lease = at(grant.credentials, 0).lease_id;
    await broker.call('POST', '/v1/revocations', await broker.operatorToken(), { selector: { lease }, reason: 'FREE-TEXT-4' });
    await broker.call('POST', `/v1/tasks/${grant.id}/complete`, grant.token, { outcome: 'failed', note: 'FREE-TEXT-5' });
    await client.has('revocation.requested');
    await client.has('task.ending', grant.id);
    const secrets = [...grant.credentials.flatMap(({ secret }) => Object.values(secret)), grant.token];
    expect(secrets).toHaveLength(4);
    expect(secrets.filter((secret) => client.text.includes(secret))).toEqual([]);
    expect(client.text).not.toContain('FREE-TEXT');
    expect(client.text).toContain(lease);
  });

  it('is for operators: a workload is refused, as is one without a token', async () => {
    expect(await broker.call('GET', '/v1/events', await broker.agentToken())).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await broker.call('GET', '/v1/events', null)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });

  it('ends with the token, and not before', async () => {
    const token = await broker.stack.operators.sign({ subject: 'vera', claims: { roles: ['mayfly-viewer'] }, lifetimeSeconds: 4 });
    const expiresAtMs = (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }).exp * 1_000;
    const short = await open({ token });
    const long = await open();
    await until(() => short.ended);
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs - 50);
    expect(long.ended).toBe(false);
  });

  it('lets one operator open 20, and another still one more', async () => {
    const token = await broker.stack.operators.sign({ subject: 'greedy', claims: { roles: ['mayfly-viewer'] } });
    await Promise.all(Array.from({ length: 20 }, () => open({ token })));
    expect(await broker.call('GET', '/v1/events', token)).toMatchObject({ status: 429, body: { code: 'limit_exceeded' } });
    await open();
    expect(await broker.metrics()).toMatch(/^mayfly_event_streams 21$/m);
    at(clients, 0).close();
    // Closing is noticed a moment later.
    await until(() => open({ token }).then(() => true, () => false));
  });

  it('says something every 15 s', async () => {
    const client = await open();
    await until(() => client.text.includes(': ping\n\n'), { timeoutMs: 30_000 });
    expect(client.ended).toBe(false);
  }, 45_000);

  it('ends at once when the broker stops', async () => {
    const client = await open();
    const started = performance.now();
    const stopped = broker.broker?.stop();
    await until(() => client.ended);
    await stopped;
    expect(performance.now() - started).toBeLessThan(5_000);
    await broker.startBroker();
  }, 30_000);
});

describe('GET /v1/whoami', () => {
  it('tells a caller who it is here, and the time', async () => {
    expect(await broker.call('GET', '/v1/whoami', await broker.operatorToken('viewer'))).toMatchObject({ status: 200, body: { caller: { kind: 'operator', subject: 'olga', role: 'viewer' } } });
    const { body } = await broker.call('GET', '/v1/whoami', await broker.agentToken());
    expect(body).toMatchObject({ caller: { kind: 'workload', subject: 'agent:refunds', role: null } });
    expect(Math.abs(Date.parse(String(body['now'])) - Date.now())).toBeLessThan(5_000);
  });
});
