import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { eventSeqKey } from '../../src/audit/event-stream-keys.ts';
import { newLeaseIdIn, SHARDS } from '../../src/core/ids.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

/** Live leases when Redis is wiped: the first of each pair falls due soon, the second long after. */
const PAIRS = 250;
const SOON_SECONDS = 15;
/** Credentials of another deployment in the same OpenBao. */
const OTHERS = 10;

let broker: RunningBroker;

beforeAll(async () => {
  const override = {
    revocation: { reconcile_interval_seconds: 1, orphan_grace_seconds: 0 },
    minting: { timeout_ms: 3_000 },
    limits: { live_leases_per_agent: 10_000 },
  };
  broker = await RunningBroker.start(override, [], {
    configure({ providers }) {
      // Long enough that nothing in this file ends by the target's own clock.
      providers['vault-main'] = { ...providers['vault-main'], target_margin_seconds: 60 };
    },
  });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const call = async (method: string, path: string, role: 'viewer' | 'operator' | 'admin', body?: object) => broker.call(method, path, await broker.operatorToken(role), body);
const declare = async () =>
  broker.call('POST', '/v1/tasks', await broker.agentToken(), { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] });
const readiness = async (): Promise<unknown> => ((await (await fetch(`${broker.url}/readyz`)).json()) as { status: string }).status;

/** Events that the broker has noted outside of Redis, and those that are in it. */
const knownOutside = async (): Promise<number> => sum(Object.values((JSON.parse(await readFile(`${broker.stack.auditFile}.epoch`, 'utf8')) as { events: Record<string, number> }).events));
const eventsIn = async (redis: Redis): Promise<number> => sum((await Promise.all(SHARDS.map((shard) => redis.get(eventSeqKey(shard))))).map(Number));
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

async function wipe(): Promise<void> {
  const redis = new Redis(broker.stack.redis.url);
  await redis.flushall();
  redis.disconnect();
}

async function mintForOthers(): Promise<void> {
  const lease = (): string => newLeaseIdIn(at(SHARDS, 0));
  for (let i = 0; i < OTHERS; i += 1) {
    await broker.bao('POST', 'auth/token/create/mayfly-vault-token', { meta: { mayfly_deployment: 'somebody-else', mayfly_lease: lease(), due_at: new Date(0).toISOString() } });
  }
}

async function othersLive(): Promise<number> {
  const { keys = [] } = (await broker.bao('LIST', 'auth/token/accessors')) as { keys?: string[] };
  const tokens = await Promise.all(keys.map((accessor) => broker.bao('POST', 'auth/token/lookup-accessor', { accessor }).catch((): Record<string, unknown> => ({}))));
  return tokens.filter(({ meta }) => (meta as Record<string, string> | undefined)?.['mayfly_deployment'] === 'somebody-else').length;
}

describe('Redis wiped with five hundred live leases', () => {
  it('grants nothing, ends what is past its time by itself, and the rest when an admin releases the hold', async () => {
    await mintForOthers();
    const token = await broker.agentToken();
    const startedMs = performance.now();
    for (let i = 0; i < PAIRS; i += 10) {
      await Promise.all(Array.from({ length: 20 }, (_, n) => broker.grant(['vault-token'], { token, ttlSeconds: n % 2 === 0 ? SOON_SECONDS : 600 })));
    }
    const allDueMs = performance.now() + SOON_SECONDS * 1_000;
    // All of it was live at once.
    expect(performance.now() - startedMs).toBeLessThan(SOON_SECONDS * 1_000);
    expect(await broker.liveTokens()).toHaveLength(2 * PAIRS);

    await wipe();
    expect(await declare()).toMatchObject({ status: 503, body: { code: 'held', hold: { why: 'wiped' } } });
    await broker.kill();
    // Without a broker that looks, all of it lives on, past its time as well (control).
    await until(() => performance.now() > allDueMs, { timeoutMs: 120_000, everyMs: 500 });
    expect(await broker.liveTokens()).toHaveLength(2 * PAIRS);

    await broker.startBroker();
    expect((await declare()).body).toMatchObject({ code: 'held' });
    expect((await call('GET', '/v1/hold', 'viewer')).body).toMatchObject({ hold: { why: 'wiped' } });
    await until(async () => (await readiness()) === 'held');
    expect(await broker.metrics()).toMatch(/^mayfly_hold 1$/m);
    await until(async () => (await broker.liveTokens()).length === PAIRS, { timeoutMs: 30_000, everyMs: 500, what: 'what is past its time ends by itself' });
    await until(async () => /^mayfly_unaccounted\{provider="vault-main"\} 250$/m.test(await broker.metrics()), { everyMs: 200 });
    expect(await broker.liveTokens()).toHaveLength(PAIRS);

    expect((await call('POST', '/v1/hold/release', 'operator', { reason: 'a test' })).status).toBe(403);
    expect((await call('POST', '/v1/hold/release', 'admin', { reason: 'a test' })).status).toBe(200);
    await until(async () => (await broker.liveTokens()).length === 0, { timeoutMs: 30_000, everyMs: 500, what: 'the rest ends on release' });
    expect((await declare()).status).toBe(201);
    expect(await readiness()).toBe('ok');
    expect(await othersLive()).toBe(OTHERS);
  }, 180_000);
});

describe('Redis that comes back with less in it', () => {
  it('is held as rolled back, and its leases are still ended on time', async () => {
    const redis = new Redis(broker.stack.redis.url);
    const grant = await broker.grant(['vault-token'], { ttlSeconds: 5 });
    const keys = await redis.keys('mayfly:*');
    const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
    const lost = await broker.grant(['vault-token'], { ttlSeconds: 600 });
    await until(async () => (await call('GET', `/v1/leases/${at(lost.credentials, 0).lease_id}`, 'viewer')).status === 200);
    await until(async () => (await knownOutside()) === (await eventsIn(redis)), { everyMs: 100, what: 'all that was written is known outside' });
    await redis.multi([['flushall'], ...keys.map((key, index) => ['restore', key, 0, dumps[index]])]).exec();
    redis.disconnect();
    await until(async () => (await readiness()) === 'held');
    expect((await declare()).body).toMatchObject({ code: 'held', hold: { why: 'rolled_back' } });
    await until(async () => (await call('GET', `/v1/leases/${at(grant.credentials, 0).lease_id}`, 'viewer')).body['lease'] !== undefined);
    await until(async () => !(await broker.liveTokens()).includes(at(grant.credentials, 0).lease_id), { timeoutMs: 20_000, everyMs: 200, what: 'what is on record ends on time' });
    expect(await broker.liveTokens()).toContain(at(lost.credentials, 0).lease_id);
    await call('POST', '/v1/hold/release', 'admin', { reason: 'a test' });
    await until(async () => !(await broker.liveTokens()).includes(at(lost.credentials, 0).lease_id), { timeoutMs: 20_000, everyMs: 200, what: 'what was lost ends on release' });
  }, 60_000);
});
