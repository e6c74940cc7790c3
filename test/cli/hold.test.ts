import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { at } from '../support/at.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** Runs the command line as a person with a role; answers what it printed, and the exit code. */
async function mayfly(role: 'viewer' | 'operator' | 'admin', ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const ended = await runMayfly(broker, { of: role, jwt: await broker.operatorToken(role) }, args).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
  return { code: 'code' in ended ? ended.code : 0, out: ended.stdout, err: ended.stderr };
}

describe('a lost ledger on the command line', () => {
  it('is told, looked through, and released by an admin', async () => {
    const { lease_id: lease } = at((await broker.grant(['vault-token'])).credentials, 0);
    expect(await mayfly('viewer', 'hold')).toMatchObject({ code: 0, out: 'nothing is held: credentials are granted\n' });
    expect(await mayfly('admin', 'hold', 'release', '--reason', 'a drill')).toMatchObject({ code: 1, err: expect.stringContaining('There is no hold') });

    const redis = new Redis(broker.stack.redis.url);
    await redis.flushall();
    redis.disconnect();
    await until(async () => (await mayfly('viewer', 'hold')).out.includes('records are gone'));
    expect(await mayfly('operator', 'reconcile', '--dry-run')).toMatchObject({ code: 0, out: expect.stringMatching(new RegExp(`vault-main +compared +1 +0 +0 +1 +0 +0\n[^]*${lease} +vault-main +waiting`)), err: expect.stringContaining('nothing was changed') });
    expect(await mayfly('operator', 'hold', 'release', '--reason', 'a drill')).toMatchObject({ code: 5, err: expect.stringContaining('needs the role admin') });
    expect(await mayfly('admin', 'hold', 'release', '--reason', 'a drill')).toMatchObject({ code: 0, out: expect.stringContaining('granted'), err: expect.stringContaining('reconciliation rec_') });
    const { reconciliation } = JSON.parse((await mayfly('operator', 'reconcile', '--json')).out) as { reconciliation: { state: string; providers: { provider: string; outcome: string }[] } };
    expect(reconciliation).toMatchObject({ state: 'done', providers: expect.arrayContaining([expect.objectContaining({ provider: 'tokens', outcome: 'cannot_list' })]) });
  }, 60_000);
});
