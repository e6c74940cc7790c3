import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker, type GrantedCredential } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** Opens a wrap as its holder does: with nothing but the wrapping token, at OpenBao's own HTTP API. */
async function open({ secret }: GrantedCredential): Promise<{ status: number; key: unknown }> {
  const answer = await fetch(`${broker.stack.openbao?.address ?? ''}/v1/sys/wrapping/unwrap`, { method: 'POST', headers: { 'X-Vault-Token': secret['wrapping_token'] ?? '' } });
  const { data } = (await answer.json()) as { data?: { data?: { api_key?: unknown } } };
  return { status: answer.status, key: data?.data?.api_key };
}

const lease = async (id: string): Promise<Record<string, unknown>> => (await broker.call('GET', `/v1/leases/${id}`, await broker.operatorToken('viewer'))).body['lease'] as Record<string, unknown>;
const stateOf = async (id: string): Promise<unknown> => (await lease(id))['state'];

async function auditOf(leaseId: string, type: string): Promise<{ facts: Record<string, unknown> }> {
  const lines = async (): Promise<{ event: { type: string; leases: string[]; facts: Record<string, unknown> } }[]> =>
    (await readFile(broker.stack.auditFile, 'utf8').catch(() => '')).split('\n').filter((line) => line.includes(type)).map((line) => JSON.parse(line) as never);
  const found = async () => (await lines()).find(({ event }) => event.type === type && event.leases.includes(leaseId));
  await until(async () => (await found()) !== undefined);
  return (await found())?.event ?? { facts: {} };
}

describe('a wrapped static secret', () => {
  it('opened, is disclosed when its task completes: told, counted, and on the record', async () => {
    const grant = await broker.grant(['payments-api-key'], { fields: { data_classes: ['pii'] } });
    const key = at(grant.credentials, 0);
    expect(key).toMatchObject({ kind: 'vault.kv', state: 'active', revocability: 'none', secret: { wrapping_token: expect.any(String) } });
    expect(Object.keys(key.secret)).toEqual(['wrapping_token']);
    const { api_key: stored } = ((await broker.bao('GET', 'kv/data/payments/api-key'))['data'] ?? {}) as { api_key?: string };
    expect(await open(key)).toEqual({ status: 200, key: stored });
    expect((await open(key)).status).toBe(400);

    const { status, body } = await broker.complete(grant);
    expect(status).toBe(200);
    expect(body).toMatchObject({ task: { state: 'ended', end_reason: 'completed' }, credentials: [{ state: 'disclosed' }] });
    expect(await lease(key.lease_id)).toMatchObject({ state: 'disclosed', exposure_seconds: null, exposure_unbounded: true });

    const operator = await broker.operatorToken('viewer');
    const dueBefore = new Date(Date.now() + 1_000).toISOString();
    for (const query of [`due_before=${dueBefore}`, 'state=disclosed']) {
      const { body: page } = await broker.call('GET', `/v1/leases?${query}`, operator);
      expect((page['items'] as { id: string }[]).map(({ id }) => id)).toContain(key.lease_id);
    }
    await until(async () => /^mayfly_leases_disclosed 1$/m.test(await broker.metrics()));
    expect(await broker.metrics()).toMatch(/^mayfly_revocations_total\{[^}]*outcome="disclosed"[^}]*\} 1$/m);
    const { facts } = await auditOf(key.lease_id, 'lease.disclosed');
    expect(facts).toMatchObject({ kind: 'vault.kv', revocability: 'none', exposure: 'unbounded', reason: 'completed' });
    expect(await broker.log()).toContain('a static secret was opened; only rotating it ends it');
  });

  it('unopened, is revoked when its task completes, and its wrapping token no longer works', async () => {
    const [grant, control] = await Promise.all([broker.grant(['payments-api-key']), broker.grant(['payments-api-key'])]);
    const key = at(grant.credentials, 0);
    expect(await broker.complete(grant)).toMatchObject({ status: 200, body: { credentials: [{ state: 'revoked' }] } });
    expect((await open(key)).status).toBe(400);
    // Control: it would have worked.
    expect((await open(at(control.credentials, 0))).status).toBe(200);
    const { facts } = await auditOf(key.lease_id, 'lease.revoked');
    expect(Date.parse(String(facts['seen_unopened_at']))).toBeGreaterThan(Date.parse(String(facts['due_at'])) - 600_000);
    await broker.complete(control);
  });

  it('unopened, is revoked at its due time', async () => {
    const grant = await broker.grant(['payments-api-key'], { ttlSeconds: 2 });
    const key = at(grant.credentials, 0);
    await until(async () => (await stateOf(key.lease_id)) === 'revoked', { timeoutMs: 15_000 });
    expect((await open(key)).status).toBe(400);
  });

  it('is judged after the fact the same, although the broker was killed -9 in between', async () => {
    const grant = await broker.grant(['payments-api-key', 'vault-token'], { ttlSeconds: 300 });
    const key = at(grant.credentials, 0);
    await broker.kill();
    expect((await open(key)).status).toBe(200);
    await broker.startBroker();
    const answer = await broker.complete(grant);
    expect(answer).toMatchObject({ status: 200 });
    expect((answer.body['credentials'] as { name: string; state: string }[]).map(({ name, state }) => [name, state]).sort()).toEqual([
      ['payments-api-key', 'disclosed'],
      ['vault-token', 'revoked'],
    ]);
  }, 60_000);

  it('is refused for longer than policy permits, and to an agent that policy does not name', async () => {
    const declare = async (fields: object, token?: string) =>
      broker.call('POST', '/v1/tasks', token ?? (await broker.agentToken()), { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 300, credentials: [{ name: 'payments-api-key' }], ...fields });
    expect(await declare({}, await broker.agentToken('agent:payouts'))).toMatchObject({ status: 403 });
    expect(await declare({ data_classes: ['financial'] })).toMatchObject({ status: 403 });
    expect(await declare({ ttl_seconds: 900, credentials: [{ name: 'payments-api-key', ttl_seconds: 601 }] })).toMatchObject({ status: 422 });
  });
});
