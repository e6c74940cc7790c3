import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { startRedis, type RedisServer } from '../../dev/redis-server.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { reconcile_interval_seconds: 1, orphan_grace_seconds: 0, retry_max_ms: 1_000 }, minting: { timeout_ms: 3_000 } });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const declare = async (credentials: readonly string[], token?: string) => {
  const startedMs = performance.now();
  const answer = await broker.call('POST', '/v1/tasks', token ?? (await broker.agentToken()), {
    purpose: 'refund-investigation', actions: ['read'], credentials: credentials.map((name) => ({ name })),
  });
  return { ...answer, tookMs: performance.now() - startedMs };
};
const ready = async () => (await fetch(`${broker.url}/readyz`)).json() as Promise<{ status: string; degraded: string[] }>;

describe('OpenBao stopped', () => {
  afterEach(async () => {
    thaw(broker.stack.openbao?.pid);
    await until(async () => (await ready()).status === 'ok');
  }, 30_000);

  it('declarations get a 503 that names the provider when their time for minting is over, others go on, and nothing is left behind', async () => {
    freeze(broker.stack.openbao?.pid);
    const refused = await declare(['orders-db']);
    expect(refused).toMatchObject({ status: 503, body: { code: 'provider_unavailable', provider: 'vault-main' } });
    // The three seconds that minting may take, and what a busy machine adds; without a limit the call would hang for as long as OpenBao does.
    expect(refused.tookMs).toBeLessThan(10_000);
    expect((await declare(['task-reference'])).status).toBe(201);
    await until(async () => (await ready()).status === 'degraded');
    expect((await ready()).degraded).toEqual(['vault-main']);
    thaw(broker.stack.openbao?.pid);
    await until(async () => (await broker.liveTokens()).length === 0 && (await broker.mintedLogins()).length === 0, { timeoutMs: 25_000 });
  }, 45_000);

  it('revocations wait, and complete when it is back', async () => {
    const grant = await broker.grant(['orders-db']);
    freeze(broker.stack.openbao?.pid);
    const answer = await broker.complete(grant);
    expect(answer).toMatchObject({ status: 202, body: { task: { state: 'ending' }, credentials: [{ state: 'revoking' }] } });
    thaw(broker.stack.openbao?.pid);
    await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))), { timeoutMs: 20_000 });
    await until(async () => ((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body['task'] as { state: string }).state === 'ended', { timeoutMs: 20_000 });
  }, 45_000);
});

describe('Redis stopped', () => {
  it('nothing is granted, /livez stays up, and everything resumes by itself', async () => {
    const grant = await broker.grant(['orders-db'], { ttlSeconds: 6 });
    freeze(broker.stack.redis.pid);
    try {
      expect(await declare(['task-reference'])).toMatchObject({ status: 503, body: { code: 'ledger_unavailable' } });
      expect((await fetch(`${broker.url}/livez`)).status).toBe(200);
      expect((await fetch(`${broker.url}/readyz`)).status).toBe(503);
    } finally {
      thaw(broker.stack.redis.pid);
    }
    await until(async () => (await declare(['task-reference'])).status === 201);
    await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))), { timeoutMs: 20_000 });
  }, 45_000);

  it('before the broker starts: it comes up, says what it lacks, and grants once Redis is there', async () => {
    await broker.kill();
    const { redis, directory } = broker.stack;
    await redis.stop();
    const starting = broker.startBroker();
    let again: RedisServer | undefined;
    try {
      await until(async () => (await ready().catch(() => undefined))?.status === 'unavailable', { timeoutMs: 30_000, what: 'a broker without Redis answers' });
      again = await startRedis({ directory, port: redis.port, password: new URL(redis.url).password });
      await starting;
      await until(async () => (await declare(['task-reference'])).status === 201, { timeoutMs: 20_000 });
      // It is on the record that it started, though the record came later.
      const starts = async () => (await broker.call('GET', '/v1/audit?type=broker.started', await broker.operatorToken())).body['items'] as unknown[];
      await until(async () => (await starts()).length === 2, { timeoutMs: 20_000 });
    } finally {
      await broker.broker?.stop();
      await again?.stop();
    }
  }, 90_000);
});
