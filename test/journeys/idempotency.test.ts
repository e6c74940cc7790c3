import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { freeze, thaw } from '../support/freeze.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const declaration = { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 120, credentials: [{ name: 'orders-db' }] };
const idOf = ({ body }: HttpAnswer): string => (body['task'] as { id: string }).id;
const send = (key: string, body: object = declaration, token = agent, path = '/v1/tasks'): Promise<HttpAnswer> => broker.call('POST', path, token, body, { 'Idempotency-Key': key });

describe('Idempotency-Key', () => {
  it('sent 50 times at once mints once: one 201, the rest 409 or 200, one lease in OpenBao', async () => {
    const key = randomUUID();
    const answers = await Promise.all(Array.from({ length: 50 }, () => send(key)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(1);
    expect(statuses.filter((status) => status !== 201 && status !== 200 && status !== 409)).toEqual([]);
    for (const { status, headers, body } of answers) {
      if (status === 409) expect([headers.get('retry-after'), body['code']]).toEqual(['1', 'idempotency_in_progress']);
      if (status === 200) expect([headers.get('idempotency-replayed'), JSON.stringify(body).includes('"secret"')]).toEqual(['true', false]);
    }
    expect(await broker.liveTokens()).toHaveLength(1);
    const replay = await send(key);
    expect(replay).toMatchObject({ status: 200, body: { task: { state: 'active' }, credentials: [{ name: 'orders-db', state: 'active' }] } });
    await broker.call('POST', `/v1/tasks/${idOf(replay)}/complete`, agent, {});
    await until(async () => (await broker.liveTokens()).length === 0);
    expect(await send(key)).toMatchObject({ status: 200, body: { task: { id: idOf(replay), state: 'ended' } } });
  });

  it('without it, each request mints (control)', async () => {
    const answers = await Promise.all([1, 2].map(() => broker.call('POST', '/v1/tasks', agent, declaration)));
    expect(new Set(answers.map(idOf)).size).toBe(2);
    await Promise.all(answers.map((answer) => broker.call('POST', `/v1/tasks/${idOf(answer)}/complete`, agent, {})));
  });

  it('takes the same declaration however its members are ordered, and refuses another', async () => {
    const key = randomUUID();
    const wanted = { ...declaration, credentials: [{ name: 'task-reference' }] };
    const first = await send(key, wanted);
    expect(first.status).toBe(201);
    const turned = Object.fromEntries(Object.entries(wanted).reverse());
    expect(await send(key, turned)).toMatchObject({ status: 200, body: { task: { id: idOf(first) } } });
    expect(await send(key, { ...wanted, ttl_seconds: 121 })).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  });

  it('belongs to its caller: the same key of another is another key', async () => {
    const key = randomUUID();
    const wanted = { ...declaration, credentials: [{ name: 'task-reference' }] };
    const other = await broker.agentToken('agent:payouts');
    const [mine, theirs] = [await send(key, wanted), await send(key, wanted, other)];
    expect([mine.status, theirs.status]).toEqual([201, 201]);
    expect(idOf(mine)).not.toBe(idOf(theirs));
  });

  it('does not keep a denial', async () => {
    const key = randomUUID();
    const wanted = { ...declaration, credentials: [{ name: 'task-reference' }] };
    expect((await send(key, { ...wanted, actions: ['write'] })).status).toBe(403);
    expect((await send(key, wanted)).status).toBe(201);
  });

  it('does not keep a 503', async () => {
    const key = randomUUID();
    freeze(broker.stack.openbao?.pid);
    expect((await send(key)).status).toBe(503);
    thaw(broker.stack.openbao?.pid);
    let last: HttpAnswer | undefined;
    await until(async () => (last = await send(key)).status === 201, { timeoutMs: 30_000, everyMs: 250 });
    if (last !== undefined) await broker.call('POST', `/v1/tasks/${idOf(last)}/complete`, agent, {});
  }, 45_000);

  it('works for an extra credential and for a claim, in their own task', async () => {
    const key = randomUUID();
    const task = idOf(await broker.call('POST', '/v1/tasks', agent, { ...declaration, credentials: [{ name: 'task-token' }] }));
    const extra = { name: 'task-reference' };
    const path = `/v1/tasks/${task}/credentials`;
    const first = await send(key, extra, agent, path);
    expect(first.status).toBe(201);
    expect(await send(key, extra, agent, path)).toMatchObject({ status: 200, body: { task: { id: task }, credentials: [{ name: 'task-reference' }] } });
    const later = idOf(await broker.call('POST', '/v1/tasks', agent, { ...declaration, start: 'claim', credentials: [{ name: 'task-reference' }] }));
    expect((await send(key, {}, agent, `/v1/tasks/${later}/claim`)).status).toBe(201);
    expect(await send(key, {}, agent, `/v1/tasks/${later}/claim`)).toMatchObject({ status: 200, body: { task: { id: later, state: 'active' } } });
  });

  it('must be a key', async () => {
    expect(await send('two words')).toMatchObject({ status: 422, body: { code: 'invalid_request' } });
    expect(await send('x'.repeat(256))).toMatchObject({ status: 422 });
  });
});
