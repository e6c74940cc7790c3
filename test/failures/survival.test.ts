import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { shardOf, type LeaseId, type TaskId } from '../../src/core/ids.ts';
import { leaseKey, taskKey } from '../../src/ledger/redis-keys.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { reconcile_interval_seconds: 1, orphan_grace_seconds: 0, retry_max_ms: 1_000 }, minting: { timeout_ms: 3_000 } });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** A server and its children stand still: connections are accepted by the kernel, and nothing answers. */
const freeze = (pid: number | undefined): void => signalAll(pid, 'SIGSTOP');
const thaw = (pid: number | undefined): void => signalAll(pid, 'SIGCONT');
function signalAll(pid: number | undefined, signal: 'SIGSTOP' | 'SIGCONT'): void {
  if (pid === undefined) throw new Error('the server is not running');
  for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
}
const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        return readFileSync(`/proc/${child}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false;
      }
    });
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

  it('declarations get a 503 that names the provider within three seconds, others go on, and nothing is left behind', async () => {
    freeze(broker.stack.openbao?.pid);
    const refused = await declare(['orders-db']);
    expect(refused).toMatchObject({ status: 503, body: { code: 'provider_unavailable', provider: 'vault-main' } });
    expect(refused.tookMs).toBeLessThan(3_000);
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

describe('PostgreSQL stopped', () => {
  it('a revocation is not called revoked until the login is really gone', async () => {
    const grant = await broker.grant(['orders-db']);
    const { pid } = broker.stack.postgres ?? {};
    freeze(pid);
    try {
      const answer = await broker.complete(grant);
      expect(answer).toMatchObject({ status: 202, body: { credentials: [{ state: 'revoking' }] } });
    } finally {
      thaw(pid);
    }
    await until(async () => ((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body['task'] as { state: string }).state === 'ended', { timeoutMs: 30_000 });
    expect(await broker.canLogIn(at(grant.credentials, 0))).toBe(false);
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
});

describe('a writer in Redis', () => {
  let redis: Redis;
  beforeAll(() => {
    redis = new Redis(broker.stack.redis.url);
  });
  afterAll(() => redis.disconnect());

  /** What an operator would do: with redis-cli, at the shell. */
  const redisCli = async (...args: string[]): Promise<void> => {
    await run('redis-cli', ['-u', broker.stack.redis.url, '--no-auth-warning', ...args]);
  };
  const noticed = (id: string): Promise<void> => until(async () => (await readFile(broker.stack.auditFile, 'utf8')).split('\n').some((line) => line.includes('record.tampered') && line.includes(id)));

  it('forges an ended task back to life: no credential comes of it, and it is noticed', async () => {
    const grant = await broker.grant(['task-reference']);
    await broker.complete(grant);
    const key = taskKey(grant.id as TaskId);
    const record = JSON.parse((await redis.hget(key, 'record')) ?? '') as object;
    await redisCli('hset', key, 'record', JSON.stringify({ ...record, state: 'active', endReason: null }));
    const answer = await broker.call('POST', `/v1/tasks/${grant.id}/credentials`, grant.token, { name: 'vault-token' });
    expect(answer).toMatchObject({ status: 500, body: { code: 'record_tampered' } });
    await noticed(grant.id);
  });

  it('forges a lease as revoked: it is noticed, and the credential dies all the same', async () => {
    const grant = await broker.grant(['orders-db']);
    const { lease_id: lease } = at(grant.credentials, 0);
    const key = leaseKey(lease as LeaseId);
    const record = JSON.parse((await redis.hget(key, 'record')) ?? '') as object;
    await redisCli('hset', key, 'record', JSON.stringify({ ...record, state: 'revoked' }));
    await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))), { timeoutMs: 20_000 });
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8')).includes(`orphan.revoked`));
  }, 30_000);

  it('revives an ended reference token by its lease: introspection does not believe it', async () => {
    const grant = await broker.grant(['task-reference']);
    await broker.complete(grant);
    const { lease_id: lease, secret } = at(grant.credentials, 0);
    const key = leaseKey(lease as LeaseId);
    const record = JSON.parse((await redis.hget(key, 'record')) ?? '') as object;
    await redisCli('hset', key, 'record', JSON.stringify({ ...record, state: 'active' }));
    const answer = await fetch(`${broker.url}/oauth2/introspect`, { method: 'POST', headers: { Authorization: `Bearer ${grant.token}` }, body: new URLSearchParams({ token: secret['token'] ?? '' }) });
    expect(answer.status).toBe(500);
    await noticed(lease);
  });

  it('writes a role for itself: no key gives one', async () => {
    await redisCli('set', 'mayfly:{a}:role:agent:refunds', 'admin');
    expect((await broker.call('GET', '/v1/leases', await broker.agentToken())).status).toBe(403);
    await redisCli('del', 'mayfly:{a}:role:agent:refunds');
  });

  it('makes up an audit event: it is sealed as a forgery, not as an event', async () => {
    const shard = shardOf('tsk_a0000000000000000000000000000000' as TaskId);
    await redisCli('xadd', eventsKey(shard), '*', 'e', '{"type":"task.declared","facts":{"lie":"all is well"}}', 'm', 'AAAA', 'n', '1');
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8')).includes('audit.forged'));
    expect(await readFile(broker.stack.auditFile, 'utf8')).not.toContain('all is well');
  });
});

describe('killed -9 while minting', () => {
  const KILLS = 30;

  /** Seeded, so that a failure can be seen again. */
  function* delays(): Generator<number> {
    let state = 20_260_101;
    for (;;) {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      yield 10 + (state % 140);
    }
  }

  it(`${KILLS} times: after the restarts no live token or login is without a live lease; right after the kills there are some (control)`, async () => {
    const token = await broker.agentToken();
    const delay = delays();
    const handedOver = new Set<string>();
    let leftBehind = 0;
    for (let i = 0; i < KILLS; i += 1) {
      const answers = Promise.allSettled(Array.from({ length: 4 }, () => declare(['orders-db', 'vault-token'], token)));
      await sleep(delay.next().value as number);
      await broker.kill();
      for (const answer of await answers) {
        const granted = answer.status === 'fulfilled' && answer.value.status === 201 ? (answer.value.body['credentials'] as { lease_id: string }[]) : [];
        for (const { lease_id: lease } of granted) handedOver.add(lease);
      }
      leftBehind += (await broker.liveTokens()).filter((lease) => !handedOver.has(lease)).length;
      await broker.startBroker();
    }
    expect(leftBehind).toBeGreaterThan(0);
    const operator = await broker.operatorToken();
    const unaccounted = async (): Promise<string[]> => {
      const live = await broker.liveTokens();
      const leases = await Promise.all(live.map(async (id) => ({ id, ...(await broker.call('GET', `/v1/leases/${id}`, operator)) })));
      return leases.filter(({ status, body }) => status !== 200 || (body['lease'] as { state: string }).state !== 'active').map(({ id }) => id);
    };
    await until(async () => (await unaccounted()).length === 0, { timeoutMs: 40_000, everyMs: 500, what: 'every live token has an active lease' });
    const logins = await broker.mintedLogins();
    const live = new Set((await broker.liveTokens()).map((id) => id.replace('_', '-')));
    expect(logins.filter((login) => ![...live].some((lease) => login.includes(lease)))).toEqual([]);
  }, 400_000);
});
