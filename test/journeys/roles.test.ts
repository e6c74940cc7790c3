import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { freePort } from '../../dev/run-server.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let first: RunningBroker;
let workers: { process: BrokerProcess; url: string }[];

/** An `all` broker is replaced by an `api` on its port and workers on ports of their own. */
beforeAll(async () => {
  first = await RunningBroker.start({ revocation: { claim_timeout_ms: 2_000 } });
  await first.broker?.stop();
  first.broker = await startBrokerProcess({ configFile: first.stack.configFile, url: first.url, logFile: first.logFile, role: 'api' });
  workers = await Promise.all([1, 2].map(() => startWorker()));
}, 60_000);

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.process.stop()));
  await first.stop();
}, 30_000);

async function startWorker(): Promise<{ process: BrokerProcess; url: string }> {
  const [port, metricsPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const process = await startBrokerProcess({
    configFile: first.stack.configFile,
    url,
    logFile: join(first.stack.directory, 'workers.log'),
    role: 'worker',
    env: { MAYFLY_HTTP__PORT: String(port), MAYFLY_HTTP__METRICS_PORT: String(metricsPort) },
  });
  return { process, url };
}

describe('api and workers apart', () => {
  it('what the api grants, a worker ends', async () => {
    const grant = await first.grant(['orders-db', 'vault-token']);
    expect(await first.canLogIn(at(grant.credentials, 0))).toBe(true);
    expect(await first.complete(grant)).toMatchObject({ status: 200, body: { task: { state: 'ended' } } });
    expect(await first.canLogIn(at(grant.credentials, 0))).toBe(false);
  });

  it('a worker answers health and nothing else', async () => {
    const { url } = at(workers, 0);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect((await fetch(`${url}/v1/tasks`, { method: 'POST' })).status).toBe(404);
  });

  it('with every worker gone a task stays ending, and is ended by the next that comes', async () => {
    const grant = await first.grant(['orders-db']);
    await Promise.all(workers.map((worker) => worker.process.kill()));
    expect(await first.complete(grant)).toMatchObject({ status: 202, body: { task: { state: 'ending' }, credentials: [{ state: 'revoking' }] } });
    expect(await first.canLogIn(at(grant.credentials, 0))).toBe(true);
    workers = [await startWorker()];
    await until(async () => !(await first.canLogIn(at(grant.credentials, 0))));
  }, 30_000);

  it('30 leases are ended although the worker is killed in the middle', async () => {
    const grants = await Promise.all(Array.from({ length: 30 }, () => first.grant(['orders-db'])));
    const completions = grants.map((grant) => first.complete(grant));
    await Promise.race(completions);
    await at(workers, 0).process.kill();
    workers = [await startWorker()];
    await Promise.all(completions);
    await until(async () => (await first.mintedLogins()).length === 0, { timeoutMs: 20_000 });
  }, 45_000);

  it('a stopping api finishes the request it has, and takes no new one', async () => {
    const url = new URL(first.url);
    const idle = connect(Number(url.port), url.hostname);
    await once(idle, 'connect');
    const granted = first.grant(['orders-db']);
    // The request is in: its task is on record before anything is minted.
    await until(async () => ((await first.call('GET', '/v1/tasks', await first.agentToken())).body['items'] as { state: string }[]).some((task) => task.state === 'minting' || task.state === 'active'), { everyMs: 1 });
    const stopped = first.broker?.stop();
    const grant = await granted;
    expect(await first.canLogIn(at(grant.credentials, 0))).toBe(true);
    await stopped;
    idle.destroy();
    await expect(fetch(`${first.url}/livez`)).rejects.toThrow();
    first.broker = await startBrokerProcess({ configFile: first.stack.configFile, url: first.url, logFile: first.logFile, role: 'api' });
    expect(await first.complete(grant)).toMatchObject({ status: 200 });
  }, 30_000);
});
