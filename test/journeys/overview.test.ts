import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { freePort } from '../../dev/run-server.ts';
import type { z } from 'zod';
import type { overviewSchema } from '../../src/http/overview-schema.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

type Overview = z.infer<typeof overviewSchema>;

let broker: RunningBroker;
let viewer: string;
/** Another process of the same deployment, which only serves. */
let replica: { readonly process: BrokerProcess; readonly url: string };

beforeAll(async () => {
  broker = await RunningBroker.start();
  viewer = await broker.operatorToken('viewer');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { MAYFLY_HTTP__PORT: String(port), MAYFLY_HTTP__METRICS_PORT: String(await freePort()) };
  replica = { url, process: await startBrokerProcess({ configFile: broker.stack.configFile, url, logFile: join(broker.stack.directory, 'replica.log'), role: 'api', env }) };
}, 60_000);

afterAll(async () => {
  await replica.process.stop();
  await broker.stop();
}, 30_000);

const overview = async (url = broker.url): Promise<Overview> => (await (await fetch(`${url}/v1/overview`, { headers: { Authorization: `Bearer ${viewer}` } })).json()) as Overview;

async function seen(matches: (overview: Overview) => boolean, url?: string): Promise<Overview> {
  let last = await overview(url);
  await until(async () => matches((last = await overview(url))), { what: 'the overview', everyMs: 100 });
  return last;
}

describe('the overview', () => {
  it('counts what is live, when it falls due and what it hangs on, the same from every replica', async () => {
    const grant = await broker.grant(['orders-db', 'task-reference', 'vault-token'], { ttlSeconds: 200 });
    await broker.grant(['task-token'], { ttlSeconds: 40 });
    const found = await seen(({ leases }) => leases.active === 4);
    expect(found.leases).toMatchObject({ overdue: 0, oldest_overdue_seconds: 0, stuck: 0, lapsing: 0, disclosed: 0 });
    expect(found.leases.expiring).toEqual([{ within_seconds: 60, count: 1 }, { within_seconds: 300, count: 4 }, { within_seconds: 900, count: 4 }, { within_seconds: 3_600, count: 4 }]);
    expect(found.timeline.map(({ provider, per_minute: perMinute }) => [provider, perMinute.reduce((sum, one) => sum + one, 0)])).toEqual(expect.arrayContaining([['vault-main', 2], ['tokens', 2]]));
    expect(found.providers.find(({ name }) => name === 'vault-main')).toEqual({ name: 'vault-main', type: 'vault', up: true, revocability: expect.arrayContaining(['exact', 'none']) });
    expect(found.tasks).toEqual({ pending_approval: 0, pending_claim: 0, minting: 0, active: 2, ending: 0 });
    expect(found.queues).toContainEqual({ provider: 'vault-main', waiting: 0, active: 0, delayed: 0, failed: 0 });
    expect(found).toMatchObject({ hold: false, locks: 0, deployment_id: broker.stack.deploymentId });
    // The other process has its own look at the providers.
    expect(await seen(({ providers, leases }) => providers.every(({ up }) => up) && leases.active === 4, replica.url)).toEqual({ ...(await overview()), now: expect.any(String) });
    await broker.complete(grant);
    await seen(({ leases, tasks }) => leases.active === 1 && tasks.active === 1, replica.url);
  });

  it('tells what only its own expiry ends apart from what is overdue', async () => {
    const before = await overview();
    await broker.complete(await broker.grant(['task-token'], { ttlSeconds: 120 }));
    const after = await seen(({ leases }) => leases.lapsing === before.leases.lapsing + 1);
    expect(after.leases.overdue).toBe(0);
    expect(after.tasks.ending).toBe(before.tasks.ending + 1);
  });

  it('tells how late revocations were, what is left of the objective, and denials', async () => {
    const { denials } = await overview(replica.url);
    await broker.call('POST', '/v1/tasks', await broker.agentToken(), { purpose: 'because', actions: ['read'], credentials: [{ name: 'task-token' }] });
    const found = await seen((now) => now.denials.hour === denials.hour + 1, replica.url);
    expect(found.denials.day).toBe(denials.day + 1);
    // Of the first test: a database login, a token and a reference, all ended on completion.
    expect(found.lateness).toMatchObject({ objective: { seconds: 5, ratio: 0.999, days: 28 }, hour: { count: 3 }, day: { count: 3 }, window: { count: 3, late: 0, budget_remaining: 1 } });
    expect(found.lateness.hour.p99_seconds).toBeLessThan(5);
    expect((await overview()).lateness).toEqual(found.lateness);
  });

  it('agrees with the metrics', async () => {
    const { leases, tasks } = await overview();
    const page = await (await fetch(broker.metricsUrl)).text();
    for (const line of [`mayfly_leases_lapsing ${leases.lapsing}`, `mayfly_revocations_overdue ${leases.overdue}`, `mayfly_tasks{state="active"} ${tasks.active}`]) expect(page).toContain(`\n${line}\n`);
  });
});
