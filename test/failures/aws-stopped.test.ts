import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { retry_max_ms: 1_000, stuck_after_seconds: 4, claim_timeout_ms: 10_000 } }, [], { aws: true });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

interface LeaseAnswer {
  readonly state: string;
  readonly attempts: number;
  readonly exposure_seconds: number | null;
  readonly last_failure: string | null;
}
const leaseOf = async (id: string): Promise<LeaseAnswer> => (await broker.call('GET', `/v1/leases/${id}`, await broker.operatorToken('viewer'))).body['lease'] as LeaseAnswer;

describe('AWS that hangs', () => {
  afterEach(() => thaw(broker.stack.aws?.pid));

  it('makes nobody else late: its sessions are told as stuck, never as revoked, and are denied when it is back, without a hand', async () => {
    const [sessions, tokens] = await Promise.all([
      Promise.all(Array.from({ length: 10 }, () => broker.grant(['reports-bucket'], { ttlSeconds: 600 }))),
      Promise.all(Array.from({ length: 10 }, () => broker.grant(['vault-token'], { ttlSeconds: 600 }))),
    ]);
    const idsOf = (grants: typeof sessions): string[] => grants.map(({ credentials }) => at(credentials, 0).lease_id);
    freeze(broker.stack.aws?.pid);
    await Promise.all([...sessions, ...tokens].map((grant) => broker.complete(grant)));
    await until(async () => (await Promise.all(idsOf(tokens).map(leaseOf))).every(({ state }) => state === 'revoked'));
    const exposures = (await Promise.all(idsOf(tokens).map(leaseOf))).map(({ exposure_seconds: seconds }) => seconds ?? Infinity);
    expect(Math.max(...exposures)).toBeLessThan(5);
    await until(async () => (await Promise.all(idsOf(sessions).map(leaseOf))).every(({ state }) => state === 'stuck'), { timeoutMs: 40_000, everyMs: 500, what: 'sessions of AWS are told as stuck' });
    // One of a batch asks AWS; the others are told what became of that.
    for (const stuck of await Promise.all(idsOf(sessions).map(leaseOf))) {
      expect(stuck).toMatchObject({ last_failure: expect.stringMatching(/AWS gave no answer|the target is away/), exposure_seconds: null });
    }
    expect(await broker.metrics()).toMatch(/^mayfly_leases_stuck 10$/m);
    thaw(broker.stack.aws?.pid);
    await until(async () => (await Promise.all(idsOf(sessions).map(leaseOf))).every(({ state }) => state === 'revoked'), { timeoutMs: 40_000, everyMs: 500, what: 'sessions of AWS are denied' });
  }, 120_000);

  it('is a 503 by name for who asks for a session, and nothing for others', async () => {
    freeze(broker.stack.aws?.pid);
    const token = await broker.agentToken();
    const declare = (name: string) => broker.call('POST', '/v1/tasks', token, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name }] });
    expect(await declare('reports-bucket')).toMatchObject({ status: 503, body: { code: 'provider_unavailable', provider: 'aws-main' } });
    expect((await declare('vault-token')).status).toBe(201);
  }, 60_000);
});
