import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import pg from 'pg';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const run = promisify(execFile);
let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);
afterAll(() => broker.stop(), 30_000);

/** Something that PostgreSQL logs, as its superuser. */
async function admin(...statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: broker.stack.postgres?.adminUrl });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

it('what real logins did in PostgreSQL is joined with their leases, and what nobody used is proposed to be dropped', async () => {
  await admin("alter system set log_connections = on", "alter system set log_timezone = 'UTC'", 'select pg_reload_conf()', "alter database orders set log_statement = 'all'");
  await until(async () => {
    await admin('select 1');
    return (await import('node:fs/promises')).readFile(join(broker.stack.directory, 'postgres.log'), 'utf8').then((text) => /UTC \[\d+\] LOG: {2}connection authorized/.test(text));
  });
  const used = await broker.grant(['orders-db'], { ttlSeconds: 300 });
  const client = broker.psql(at(used.credentials, 0));
  await client.connect();
  await client.query('select count(*) from orders');
  await client.end();
  const idle = await broker.grant(['orders-db', 'task-reference'], { token: await broker.agentToken('agent:payouts') });
  await Promise.all([broker.complete(used), broker.complete(idle)]);
  await admin('select 1');

  const usage = (...args: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
    run(process.execPath, [LAUNCHER, 'policy', 'usage', '--min-leases', '1', ...args], { env: { PATH: process.env['PATH'] ?? '', MAYFLY_CONFIG: broker.stack.configFile } });
  const log = join(broker.stack.directory, 'postgres.log');
  const report = async (): Promise<{ groups: { agent: string; credentials: Record<string, unknown>[]; proposals: Record<string, unknown>[] }[] }> => JSON.parse((await usage('--json', '--postgres-log', log)).stdout) as never;
  await until(async () => (await report()).groups.length === 2);
  const { groups } = await report();
  expect(groups).toContainEqual(
    expect.objectContaining({
      agent: 'agent:refunds',
      credentials: [expect.objectContaining({ credential: 'orders-db', leases: 1, used: 1, did: { SELECT: 1 }, objects: ['orders'], actions: expect.objectContaining({ exercised: ['read'] }) })],
      proposals: [expect.objectContaining({ propose: 'shorten', credential: 'orders-db', ttl_seconds: 30 })],
    }),
  );
  const payouts = groups.find(({ agent }) => agent === 'agent:payouts');
  expect(payouts?.credentials).toMatchObject([{ credential: 'orders-db', used: 0, unused: 1 }, { credential: 'task-reference', unused: 0, unknown: 1 }]);
  expect(payouts?.proposals).toMatchObject([{ propose: 'drop_credential', credential: 'orders-db' }]);
  const { stdout, stderr } = await usage('--postgres-log', log);
  expect(stdout).toMatch(/-> do not declare orders-db: none of 1 was used/);
  expect(stderr).toContain('what cannot be known:');
}, 60_000);
