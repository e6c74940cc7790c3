import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findOpa } from '../../dev/find-tools.ts';
import { startOpa, type OpaServer } from '../support/opa-server.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const command = findOpa();
const POLICY = `package mayfly
default allow := {"allow": false, "reason": "five minutes are enough for a refund"}
allow := {"allow": true} if { input.context.purpose == "refund-investigation"; input.context.ttl_seconds <= 300 }
`;

(command === undefined ? describe.skip : describe)('a broker that asks Open Policy Agent', () => {
  let directory: string;
  let opa: OpaServer;
  let broker: RunningBroker;
  const start = (port?: number): Promise<OpaServer> =>
    startOpa({ command: command ?? '', directory, policies: { 'mayfly.rego': POLICY }, args: ['--set', 'decision_logs.console=true'], ...(port === undefined ? {} : { port }) });
  const declare = async (ttlSeconds: number) =>
    broker.call('POST', '/v1/tasks', await broker.agentToken(), { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: ttlSeconds, credentials: [{ name: 'task-reference', ttl_seconds: ttlSeconds }, { name: 'vault-token', ttl_seconds: ttlSeconds }] });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'mayfly-opa-'));
    opa = await start();
    broker = await RunningBroker.start({ policy: { directory: join(import.meta.dirname, '../../config/policies'), external: { kind: 'opa', url: `${opa.url}/v1/data/mayfly/allow`, timeout_ms: 1_000 } } });
  }, 90_000);

  afterAll(async () => {
    await broker.stop();
    await opa.stop();
    await rm(directory, { recursive: true, force: true });
  }, 30_000);

  it('grants what it permits, tells its reason, and grants nothing while it is away; giving back goes on', async () => {
    const granted = await declare(300);
    expect(granted.status).toBe(201);
    const { id } = granted.body['task'] as { id: string };
    expect(await declare(301)).toMatchObject({ status: 403, body: { code: 'policy_denied', detail: 'five minutes are enough for a refund' } });
    const { port } = new URL(opa.url);
    await opa.stop();
    expect(await declare(300)).toMatchObject({ status: 503, body: { code: 'policy_unavailable' } });
    expect(await broker.complete({ id, token: await broker.agentToken() })).toMatchObject({ status: 200, body: { credentials: [{ state: 'revoked' }, { state: 'revoked' }] } });
    opa = await start(Number(port));
    await until(async () => (await declare(300)).status === 201, { everyMs: 200 });
  }, 60_000);

  it('has the ids of its decision log on the record', async () => {
    const token = await broker.operatorToken('viewer');
    const recorded = async () => ((await broker.call('GET', '/v1/audit?type=task.declared&limit=200', token)).body['items'] as { event: { facts: { external: { verdict: string; decision_ids: string[] } } } }[]).map(({ event }) => event.facts.external);
    const before = (await recorded()).length;
    const granted = await declare(60);
    expect(granted.status).toBe(201);
    await until(async () => (await recorded()).length > before);
    const logged = new Set((await opa.log()).flatMap(({ decision_id: id }) => (typeof id === 'string' ? [id] : [])));
    const ours = (await recorded()).filter(({ decision_ids: ids }) => ids.every((one) => logged.has(one)));
    expect(ours.length).toBeGreaterThan(0);
    expect(ours.every(({ verdict, decision_ids: ids }) => verdict === 'permit' && ids.length === 2)).toBe(true);
  });
});
