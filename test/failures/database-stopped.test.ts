import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { reconcile_interval_seconds: 1, orphan_grace_seconds: 0, retry_max_ms: 1_000 }, minting: { timeout_ms: 3_000 } });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

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
