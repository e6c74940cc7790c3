import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { SHARDS, shardOf, type LeaseId, type TaskId } from '../../src/core/ids.ts';
import { leaseKey, locksKey, taskKey } from '../../src/ledger/redis-keys.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
let broker: RunningBroker;
/** What is in the audit file; nothing before its first record. */
const auditText = (): Promise<string> => readFile(broker.stack.auditFile, 'utf8').catch(() => '');

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { reconcile_interval_seconds: 1, orphan_grace_seconds: 0, retry_max_ms: 1_000 }, minting: { timeout_ms: 3_000 } });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

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
  const noticed = (id: string): Promise<void> => until(async () => (await auditText()).split('\n').some((line) => line.includes('record.tampered') && line.includes(id)));

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
    await until(async () => (await auditText()).includes(`orphan.revoked`));
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

  it('takes a lock out of what a shard has: nothing is granted there, it is noticed, and the next lock puts it right', async () => {
    const operator = await broker.operatorToken();
    const lock = (selector: object) =>
      broker.call('POST', '/v1/locks', operator, { selector, reason: 'a drill', until: new Date(Date.now() + 60_000).toISOString() });
    const declare = async () =>
      broker.call('POST', '/v1/tasks', await broker.agentToken(), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }] });
    await lock({ agent: 'agent:refunds' });
    const forged = SHARDS.slice(1);
    for (const shard of forged) await redisCli('hset', locksKey(shard), 'record', '{"generation":1,"locks":[]}');
    await until(async () => (await declare()).body['code'] === 'record_tampered', { what: 'a declaration came upon a forged shard' });
    await noticed('"locks"');
    expect((await lock({ agent: 'agent:other' })).status).toBe(201);
    for (let i = 0; i < 20; i += 1) expect(await declare()).toMatchObject({ status: 403, body: { code: 'locked' } });
    for (const { id } of (await broker.call('GET', '/v1/locks', operator)).body['items'] as { id: string }[]) await broker.call('DELETE', `/v1/locks/${id}`, operator);
    expect((await declare()).status).toBe(201);
  });

  it('writes a role for itself: no key gives one', async () => {
    await redisCli('set', 'mayfly:{a}:role:agent:refunds', 'admin');
    expect((await broker.call('GET', '/v1/leases', await broker.agentToken())).status).toBe(403);
    await redisCli('del', 'mayfly:{a}:role:agent:refunds');
  });

  it('makes up an audit event: it is sealed as a forgery, not as an event', async () => {
    const shard = shardOf('tsk_a0000000000000000000000000000000' as TaskId);
    await redisCli('xadd', eventsKey(shard), '*', 'e', '{"type":"task.declared","facts":{"lie":"all is well"}}', 'm', 'AAAA', 'n', '1');
    await until(async () => (await auditText()).includes('audit.forged'));
    expect(await auditText()).not.toContain('all is well');
  });
});
