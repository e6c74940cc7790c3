import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { verifyChainFile } from '../../src/audit/verify-chain.ts';
import { at } from '../support/at.ts';
import { dumpRedis } from '../support/dump-redis.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const milliseconds = async (wait: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await wait();
  return performance.now() - started;
};

describe('a database credential', () => {
  it('works with psql, as it was handed over', async () => {
    const grant = await broker.grant(['orders-db']);
    const { username = '', password = '' } = at(grant.credentials, 0).secret;
    const { postgres } = broker.stack;
    const { stdout } = await run('psql', ['-h', '127.0.0.1', '-p', String(postgres?.port), '-U', username, '-d', 'orders', '-Atc', 'select count(*) > 0 from orders'], {
      env: { PATH: process.env['PATH'] ?? '', PGPASSWORD: password },
    });
    expect(stdout.trim()).toBe('t');
    await broker.complete(grant);
  });

  it('is refused, and its open connection cut, within a second of completion', async () => {
    const grant = await broker.grant(['orders-db']);
    const login = at(grant.credentials, 0);
    const open = broker.psql(login);
    await open.connect();
    await open.query('begin');
    const cut = cutOff(open);
    const took = await milliseconds(async () => {
      const { status, body } = await broker.complete(grant);
      expect(status).toBe(200);
      expect(body).toMatchObject({ task: { state: 'ended', end_reason: 'completed' }, credentials: [{ state: 'revoked' }] });
      await cut;
    });
    expect(await broker.canLogIn(login)).toBe(false);
    expect(took).toBeLessThan(5_000);
  });

  it('keeps working while its task lives (control)', async () => {
    const grant = await broker.grant(['orders-db']);
    expect(await broker.canLogIn(at(grant.credentials, 0))).toBe(true);
    await broker.complete(grant);
  });

  it('is refused, and its open connection cut, within the lateness objective, five seconds', async () => {
    const grant = await broker.grant(['orders-db'], { ttlSeconds: 2 });
    const login = at(grant.credentials, 0);
    const open = broker.psql(login);
    await open.connect();
    await cutOff(open);
    const cutLateMs = Date.now() - Date.parse(login.expires_at);
    // The cut comes first, the end of the login is committed milliseconds later.
    await until(async () => !(await broker.canLogIn(login)), { everyMs: 5 });
    const lateMs = Date.now() - Date.parse(login.expires_at);
    expect(cutLateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(5_000);
  });

  it('is ended on time although the broker was killed -9 in between', async () => {
    // Long enough for a restart on a busy machine.
    const grant = await broker.grant(['orders-db'], { ttlSeconds: 10 });
    const login = at(grant.credentials, 0);
    await broker.kill();
    await broker.startBroker();
    expect(await broker.canLogIn(login)).toBe(true);
    await until(async () => !(await broker.canLogIn(login)));
    expect(Date.now() - Date.parse(login.expires_at)).toBeLessThan(5_000);
  });

  it('carries the lease in its name at the target, and deployment, agent, task, purpose and due time beside it', async () => {
    const grant = await broker.grant(['orders-db']);
    const { lease_id: lease, secret, expires_at: due } = at(grant.credentials, 0);
    expect(secret['username']).toContain(lease.replace('_', '-'));
    const { keys = [] } = (await broker.bao('LIST', 'auth/token/accessors')) as { keys?: string[] };
    const tokens = await Promise.all(keys.map((accessor) => broker.bao('POST', 'auth/token/lookup-accessor', { accessor })));
    const meta = tokens.map((token) => token['meta'] as Record<string, string> | null).find((one) => one?.['mayfly_lease'] === lease);
    expect(meta).toMatchObject({ mayfly_deployment: broker.stack.deploymentId, mayfly_task: grant.id });
    expect(Object.values(meta ?? {})).toEqual(expect.arrayContaining(['agent:refunds', 'refund-investigation', due]));
    await broker.complete(grant);
  });

  it('is ended by an operator, and the agent is told the task was revoked', async () => {
    const grant = await broker.grant(['orders-db', 'vault-token']);
    const operator = await broker.operatorToken();
    const wanted = { selector: { task: grant.id }, reason: 'seen in a log' };
    const dry = await broker.call('POST', '/v1/revocations', operator, { ...wanted, dry_run: true });
    expect(dry).toMatchObject({ status: 200, body: { revocation: { dry_run: true, progress: { total: 2, tasks: 1 } } } });
    expect(await broker.canLogIn(at(grant.credentials, 0))).toBe(true);
    const { status, body } = await broker.call('POST', '/v1/revocations', operator, wanted);
    expect(status).toBe(202);
    const { id } = body['revocation'] as { id: string };
    await until(async () => ((await broker.call('GET', `/v1/revocations/${id}`, operator)).body['revocation'] as { state: string }).state === 'done');
    expect(await broker.canLogIn(at(grant.credentials, 0))).toBe(false);
    expect((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body).toMatchObject({ task: { end_reason: 'revoked' } });
  });

  it.each([['lease'], ['agent'], ['credential']] as const)('is ended by the selector %s', async (word) => {
    const token = await broker.agentToken(word === 'agent' ? 'agent:payouts' : undefined);
    const grant = await broker.grant(['orders-db'], { token });
    const { lease_id: lease } = at(grant.credentials, 0);
    const selector = { lease: { lease }, agent: { agent: 'agent:payouts' }, credential: { credential: 'orders-db' } }[word];
    await broker.call('POST', '/v1/revocations', await broker.operatorToken(), { selector, reason: 'drill' });
    await until(async () => !(await broker.canLogIn(at(grant.credentials, 0))));
    // OpenBao drops the login first, then the token that it hung on.
    await until(async () => !(await broker.liveTokens()).includes(lease), { what: 'the token is gone' });
  });
});

describe('many at once', () => {
  it('200 tasks of 50 callers each get a login of their own, and all are gone after completion', async () => {
    const tokens = await Promise.all(Array.from({ length: 50 }, () => broker.agentToken()));
    const grants = (
      await Promise.all(
        tokens.map(async (token) => {
          const own = [];
          for (let i = 0; i < 4; i += 1) own.push(await broker.grant(['orders-db'], { token }));
          return own;
        }),
      )
    ).flat();
    const users = grants.map(({ credentials }) => at(credentials, 0).secret['username'] ?? '');
    expect(new Set(users).size).toBe(200);
    expect(new Set(await broker.mintedLogins())).toEqual(new Set([...users]));
    await Promise.all(grants.map((grant) => broker.complete(grant)));
    await until(async () => (await broker.mintedLogins()).length === 0, { timeoutMs: 30_000 });
    await until(async () => (await broker.liveTokens()).length === 0, { timeoutMs: 30_000 });
  }, 120_000);
});

describe('a token of our own', () => {
  const introspect = async (token: string, bearer: string) => {
    const response = await fetch(`${broker.url}/oauth2/introspect`, { method: 'POST', headers: { Authorization: `Bearer ${bearer}` }, body: new URLSearchParams({ token }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it.each(['task-token', 'task-reference'])('%s is active for its resource server until its task ends, and at the very next call not', async (name) => {
    const server = await broker.agentToken('agent:payouts');
    const grant = await broker.grant([name]);
    const token = at(grant.credentials, 0).secret['token'] ?? '';
    expect(await introspect(token, server)).toMatchObject({ status: 200, body: { active: true, sub: 'agent:refunds', jti: at(grant.credentials, 0).lease_id, purpose: 'refund-investigation' } });
    await broker.complete(grant);
    expect(await introspect(token, server)).toEqual({ status: 200, body: { active: false } });
  });

  it('is verified by anybody with the published keys', async () => {
    const { createRemoteJWKSet, jwtVerify } = await import('jose');
    const grant = await broker.grant(['task-token']);
    const keys = createRemoteJWKSet(new URL(`${broker.url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(at(grant.credentials, 0).secret['token'] ?? '', keys, { issuer: broker.url, audience: 'https://payments.example.org' });
    expect(payload).toMatchObject({ sub: 'agent:refunds', txn: grant.id, purpose: 'refund-investigation' });
  });

  it('says nothing to a stranger, nor of a token that is not ours', async () => {
    const grant = await broker.grant(['task-reference']);
    const token = at(grant.credentials, 0).secret['token'] ?? '';
    expect((await introspect(token, await broker.agentToken('agent:stranger'))).body).toEqual({ active: false });
    expect((await introspect(`${token.slice(0, -2)}AA`, await broker.agentToken('agent:payouts'))).body).toEqual({ active: false });
    expect((await introspect('x.y.z', await broker.agentToken('agent:payouts'))).body).toEqual({ active: false });
    expect((await fetch(`${broker.url}/oauth2/introspect`, { method: 'POST', body: new URLSearchParams({ token }) })).status).toBe(401);
  });

  it('cannot be used to declare a task', async () => {
    const grant = await broker.grant(['task-token']);
    const answer = await broker.call('POST', '/v1/tasks', at(grant.credentials, 0).secret['token'] ?? '', {});
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  });
});

describe('what was handed over', () => {
  it('is found nowhere afterwards: not in Redis, jobs, log, audit file or metrics; a planted one is (control)', async () => {
    const grant = await broker.grant(['orders-db', 'vault-token', 'payments-api-key', 'task-token', 'task-reference']);
    await broker.complete(grant);
    const secrets = grant.credentials.flatMap(({ secret }) => Object.entries(secret).filter(([field]) => field !== 'username').map(([, value]) => value));
    secrets.push(grant.token);
    const waiting = await broker.call('POST', '/v1/tasks', grant.token, { purpose: 'refund-investigation', actions: ['read'], start: 'claim', claim_ticket: true, credentials: [{ name: 'task-reference' }] });
    secrets.push((waiting.body['task'] as { claim_ticket: string }).claim_ticket);
    expect(secrets).toHaveLength(7);

    const redis = new Redis(broker.stack.redis.url);
    const planted = `planted-${grant.id}`;
    await redis.hset('mayfly:{a}:planted', 'field', planted);
    const everywhere = await Promise.all([dumpRedis(redis), broker.log(), readFile(broker.stack.auditFile, 'utf8'), broker.metrics()]);
    await redis.del('mayfly:{a}:planted');
    redis.disconnect();
    const text = everywhere.join('\n');
    expect(text).toContain(planted);
    expect(text).toContain(grant.id);
    expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
  });

  it('is on the audit log as what happened, in a chain that verifies', async () => {
    const grant = await broker.grant(['orders-db']);
    await broker.complete(grant);
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8')).includes(`"task.ended"`));
    await until(async () => (await readFile(broker.stack.auditFile, 'utf8')).split('\n').some((line) => line.includes(grant.id) && line.includes('task.ended')));
    const lines = (await readFile(broker.stack.auditFile, 'utf8')).split('\n').filter((line) => line.includes(grant.id));
    const types = lines.map((line) => (JSON.parse(line) as { event: { type: string } }).event.type);
    expect(types).toEqual(['task.declared', 'task.activated', 'task.ending', 'lease.revoked', 'task.ended']);
    expect(await verifyChainFile(broker.stack.auditFile)).toMatchObject({ ok: true, notices: { forged: 0, gaps: 0, resets: 0 } });
  });
});

/** Resolves when the server has closed a connection. */
const cutOff = (client: pg.Client): Promise<void> => new Promise((resolve) => client.once('end', resolve));
