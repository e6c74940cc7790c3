import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start({}, [], {
    configure({ providers }) {
      // A target that can end one credential a second: ten in ten seconds.
      providers['vault-main'] = { ...providers['vault-main'], revocations_per_second: 1 };
    },
  });
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const declare = (name: string, ttlSeconds: number): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', agent, { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: ttlSeconds, credentials: [{ name }] });

describe('a storm of expiries', () => {
  it('is not let come about: what could not be ended in time is refused for now, and nothing is left of it', async () => {
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
