import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LATENESS_OBJECTIVE } from '../../src/ledger/lateness.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const declare = (name: string, ttlSeconds: number): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', agent, { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: ttlSeconds, credentials: [{ name }] });

const lateness = async () =>
  ((await broker.call('GET', '/v1/overview', await broker.operatorToken('viewer'))).body['lateness'] as { hour: { count: number; max_seconds: number } }).hour;

describe('a storm of expiries', () => {
  it('gives way to grants that never cease, and yet all of it is dead at the target within the objective', async () => {
    const STORM = 60;
    const dueMs = Date.now() + 12_000;
    const storm = await Promise.all(Array.from({ length: STORM }, () => declare('vault-token', Math.ceil((dueMs - Date.now()) / 1000))));
    expect(storm.map(({ status }) => status)).toEqual(storm.map(() => 201));
    const statuses: number[] = [];
    let over = false;
    const caller = async (): Promise<void> => {
      while (!over) statuses.push((await declare('task-token', 300)).status);
    };
    const callers = Promise.all(Array.from({ length: 4 }, caller));
    try {
      await until(async () => (await broker.liveTokens()).length === 0, { timeoutMs: 40_000, everyMs: 200 });
    } finally {
      over = true;
      await callers;
    }
    expect(new Set(statuses)).toEqual(new Set([201]));
    await until(async () => (await lateness()).count === STORM);
    expect((await lateness()).max_seconds).toBeLessThanOrEqual(LATENESS_OBJECTIVE.seconds);
  }, 90_000);

  it('is not let come about: what could not be ended in time is refused for now, and nothing is left of it', async () => {
    // A target that can end one credential a second: ten in ten seconds.
    await broker.reconfigure(({ providers }) => {
      providers['vault-main'] = { ...providers['vault-main'], revocations_per_second: 1 };
    });
    const answers = await Promise.all(Array.from({ length: 40 }, () => declare('vault-token', 120)));
    const granted = answers.filter(({ status }) => status === 201);
    const refused = answers.filter(({ status }) => status === 503);
    // Forty fall into one window, or two where it just turned.
    expect([10, 20]).toContain(granted.length);
    expect(granted.length + refused.length).toBe(40);
    expect(refused[0]).toMatchObject({ body: { code: 'revocation_capacity', provider: 'vault-main' } });
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await broker.liveTokens()).length).toBe(granted.length);
    // The controls: another lifetime, and what needs no revocation at a target, are granted.
    expect((await declare('vault-token', 60)).status).toBe(201);
    expect((await declare('task-reference', 120)).status).toBe(201);
    // What has ended makes room.
    const tasks = granted.map(({ body }) => (body['task'] as { id: string }).id);
    for (const id of tasks) await broker.complete({ id, token: agent });
    await until(async () => (await declare('vault-token', 120)).status === 201);
    expect(await broker.metrics()).toMatch(/mayfly_expiries_forecast\{provider="vault-main",minute="[12]"\} [1-9]/);
  }, 60_000);
});
