import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { at } from '../support/at.ts';
import { RunningBroker, type GrantedCredential, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

interface Extended {
  readonly name: string;
  readonly extension: string;
  readonly expires_at: string;
  readonly target_expires_at: string;
}
const extend = (id: string, ttlSeconds: number, token = agent): Promise<HttpAnswer> => broker.call('POST', `/v1/tasks/${id}/extend`, token, { ttl_seconds: ttlSeconds });
const inSeconds = (instant: string): number => (Date.parse(instant) - Date.now()) / 1000;
const taskState = async (id: string): Promise<unknown> => (await broker.call('GET', `/v1/tasks/${id}`, agent)).body['task'];

describe('extending a task', () => {
  it('keeps a database login and a Vault token alive past their first end, and says what needs a new one', async () => {
    const grant = await broker.grant(['orders-db', 'vault-token', 'task-token', 'task-reference'], { ttlSeconds: 4 });
    const { status, body } = await extend(grant.id, 60);
    expect(status).toBe(200);
    const credentials = new Map((body['credentials'] as Extended[]).map((one) => [one.name, one]));
    expect([...credentials.values()].map(({ name, extension }) => [name, extension]).sort()).toEqual([
      ['orders-db', 'renewed'],
      ['task-reference', 'renewed'],
      ['task-token', 'reissue_needed'],
      ['vault-token', 'renewed'],
    ]);
    expect(inSeconds(credentials.get('vault-token')?.expires_at ?? '')).toBeGreaterThan(50);
    expect(inSeconds(credentials.get('vault-token')?.target_expires_at ?? '')).toBeGreaterThan(50);
    expect(inSeconds((body['task'] as { expires_at: string }).expires_at)).toBeGreaterThan(50);
    const first = grant.credentials.find(({ name }) => name === 'orders-db');
    if (first === undefined) throw new Error('no login was minted');
    // The token that could not be renewed lapses at its own first end, which also tells that this time has passed.
    await until(async () => ((await broker.call('GET', `/v1/tasks/${grant.id}`, agent)).body['credentials'] as { name: string; state: string }[]).some(({ name, state }) => name === 'task-token' && state === 'lapsed'));
    expect(inSeconds(first.expires_at)).toBeLessThan(0);
    expect(await broker.canLogIn(first)).toBe(true);
    await broker.complete(grant);
    expect(await broker.canLogIn(first)).toBe(false);
    expect(await extend(grant.id, 60)).toMatchObject({ status: 409, body: { code: 'task_not_active' } });
  }, 30_000);

  it('asks to renew nothing that cannot be renewed: a secret that may be open is never called lapsed', async () => {
    const grant = await broker.grant(['payments-api-key', 'task-token', 'vault-token'], { ttlSeconds: 60 });
    expect((await extend(grant.id, 120)).status).toBe(200);
    const events = async (): Promise<string[]> => (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes(grant.id));
    await until(async () => (await events()).some((line) => line.includes('"task.extended"')));
    const asked = (await events()).filter((line) => line.includes('"lease.renewing"'));
    const leaseOf = (name: string): string => grant.credentials.find((one) => one.name === name)?.lease_id ?? name;
    // The control: the token that can be renewed is asked for, in the same call.
    expect(asked.join()).toContain(leaseOf('vault-token'));
    for (const name of ['payments-api-key', 'task-token']) expect(asked.join()).not.toContain(leaseOf(name));
    await broker.complete(grant);
  });

  it('never goes past the ceiling, nor back', async () => {
    const grant = await broker.grant(['task-reference'], { ttlSeconds: 300 });
    expect(await extend(grant.id, 3_601)).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ttl_seconds' }] } });
    expect(await extend(grant.id, 100)).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ttl_seconds' }] } });
    expect((await extend(grant.id, 600)).status).toBe(200);
  });

  it('is decided afresh', async () => {
    const grant = await broker.grant(['task-reference'], { ttlSeconds: 300, fields: { data_classes: ['pii'] } });
    expect(await extend(grant.id, 901)).toMatchObject({ status: 403, body: { code: 'policy_denied', decision: { policies: ['ttl-pii-quarter-hour'] } } });
    expect((await extend(grant.id, 900)).status).toBe(200);
  });

  it('ends a renewed login on its new time', async () => {
    const grant = await broker.grant(['orders-db'], { ttlSeconds: 2 });
    expect((await extend(grant.id, 5)).status).toBe(200);
    await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))));
    await until(async () => ((await taskState(grant.id)) as { end_reason: string | null }).end_reason === 'expired');
    await until(async () => (await broker.liveTokens()).length === 0);
  });

  it('racing a revocation never revives a lease, in 500 rounds', async () => {
    const rounds = async (count: number): Promise<{ extended: number; refused: number }> => {
      const seen = { extended: 0, refused: 0 };
      // An extension asks policy before it writes, which a completion does not: whoever lost the last round starts a little earlier in
      // this one, so that the two meet however fast the machine is.
      let headStartMs = 0;
      for (let i = 0; i < count; i += 1) {
        const grant = await broker.grant(['vault-token'], { ttlSeconds: 60, token: agent });
        const [extension, completion] = await Promise.all([extend(grant.id, 120), setTimeout(headStartMs).then(() => broker.complete(grant))]);
        expect([200, 202]).toContain(completion.status);
        expect([200, 409]).toContain(extension.status);
        if (extension.status === 200) seen.extended += 1;
        else seen.refused += 1;
        headStartMs = Math.max(0, headStartMs + (extension.status === 200 ? -2 : 2));
        await until(async () => ((await taskState(grant.id)) as { state: string }).state === 'ended');
      }
      return seen;
    };
    const seen = await Promise.all(Array.from({ length: 10 }, () => rounds(50)));
    // Both orders happened, or nothing raced.
    expect(seen.reduce((sum, { extended }) => sum + extended, 0)).toBeGreaterThan(0);
    expect(seen.reduce((sum, { refused }) => sum + refused, 0)).toBeGreaterThan(0);
    expect(await broker.liveTokens()).toEqual([]);
    const live = await broker.call('GET', '/v1/leases?state=active', await broker.operatorToken('viewer'));
    expect((live.body['items'] as { credential: string }[]).filter(({ credential }) => credential === 'vault-token')).toEqual([]);
  }, 180_000);
});

describe('a heartbeat', () => {
  it('missed by the orchestrator costs the task its credentials within an interval and a little', async () => {
    const orchestrator = await broker.agentToken('orchestrator:support-desk');
    const declared = await broker.call('POST', '/v1/tasks', orchestrator, {
      ...{ purpose: 'refund-investigation', actions: ['read'], agent: 'agent:refunds', start: 'claim', heartbeat_seconds: 5 },
      credentials: [{ name: 'orders-db' }],
    });
    const { id } = declared.body['task'] as { id: string };
    const login = at((await broker.call('POST', `/v1/tasks/${id}/claim`, agent, {})).body['credentials'] as GrantedCredential[], 0);
    expect((await broker.call('POST', `/v1/tasks/${id}/heartbeat`, orchestrator, {})).status).toBe(200);
    const lastHeardMs = Date.now();
    expect(await broker.canLogIn(login)).toBe(true);
    await until(async () => !(await broker.canLogIn(login)), { timeoutMs: 20_000 });
    expect(Date.now() - lastHeardMs).toBeGreaterThan(4_500);
    expect(Date.now() - lastHeardMs).toBeLessThan(5_000 + 5_000);
    expect(await taskState(id)).toMatchObject({ end_reason: 'heartbeat_lost' });
  }, 30_000);
});

describe('reissuing a credential', () => {
  it('ends the old one first and hands over a new one', async () => {
    const grant = await broker.grant(['orders-db']);
    const old = at(grant.credentials, 0);
    const { status, body } = await broker.call('POST', `/v1/tasks/${grant.id}/reissue`, agent, { name: 'orders-db' });
    expect(status).toBe(201);
    const fresh = at(body['credentials'] as GrantedCredential[], 0);
    expect(fresh.lease_id).not.toBe(old.lease_id);
    expect([await broker.canLogIn(old), await broker.canLogIn(fresh)]).toEqual([false, true]);
    expect(await broker.call('POST', `/v1/tasks/${grant.id}/reissue`, agent, { name: 'vault-token' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/name', detail: expect.stringContaining('orders-db') }] } });
    await broker.complete(grant);
  });
});

describe('a tool call', () => {
  it('is put on the record as the agent reports it, marked so', async () => {
    const grant = await broker.grant(['task-reference']);
    const lease = at(grant.credentials, 0).lease_id;
    const report = { id: 'call_7', tool: 'ledger.post', outcome: 'succeeded', lease_id: lease, note: 'one row' };
    const path = `/v1/tasks/${grant.id}/tool-calls`;
    expect(await broker.call('POST', path, agent, report)).toMatchObject({ status: 201, body: { tool_call: { id: 'call_7', self_reported: true } } });
    expect(await broker.call('POST', path, agent, { ...report, lease_id: 'lse_00000000000000000000000000000000' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/lease_id' }] } });
    expect(await broker.call('POST', path, agent, { ...report, outcome: 'fine' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/outcome' }] } });
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8').catch(() => '')).includes('tool_call.reported'));
    const line = (await readFile(broker.stack.auditFile, 'utf8')).split('\n').find((one) => one.includes('tool_call.reported')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ event: { facts: { self_reported: true, tool_call: { id: 'call_7', tool: 'ledger.post' }, outcome: 'succeeded' } } });
  });
});
