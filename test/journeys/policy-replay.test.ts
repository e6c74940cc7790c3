import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const EXAMPLE = join(import.meta.dirname, '../../config/policies');
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
const NO_EXTENSION = '@id("no-extension") forbid (principal, action == Mayfly::Action::"extend", resource);';
const run = promisify(execFile);

let folder: string;
let broker: RunningBroker;
let viewer: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-shadow-'));
  await cp(EXAMPLE, folder, { recursive: true });
  await writeFile(join(folder, 'draft.cedar'), NO_EXTENSION);
  broker = await RunningBroker.start({ policy: { directory: EXAMPLE, shadow_directory: folder } });
  viewer = await broker.operatorToken('viewer');
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const replay = (body: object): Promise<HttpAnswer> => broker.call('POST', '/v1/policy/replay', viewer, body);
const policyReplay = (...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  run(process.execPath, [LAUNCHER, 'policy', 'replay', ...args], { env: { PATH: process.env['PATH'] ?? '', MAYFLY_CONFIG: broker.stack.configFile } }).then(
    (ended) => ({ code: 0, ...ended }),
    (error: unknown) => error as { code: number; stdout: string; stderr: string },
  );

/** Each way to a decision: a declaration, a denial, one that waits, a claim, an extra credential, a reissue, an extension. */
async function decideEverything(): Promise<void> {
  const agent = await broker.agentToken();
  const grant = await broker.grant(['task-reference', 'vault-token'], { fields: { data_classes: ['pii'], context: { tool: 'sql.query', rows: 3, dry: false }, ticket: 'OPS-1', justification: 'order 99 disputed' } });
  const path = `/v1/tasks/${grant.id}`;
  expect((await broker.call('POST', `${path}/credentials`, agent, { name: 'task-token', ttl_seconds: 60, tool_call: { id: 'c1', tool: 'http.get' } })).status).toBe(201);
  expect((await broker.call('POST', `${path}/reissue`, agent, { name: 'task-reference' })).status).toBe(201);
  expect((await broker.call('POST', `${path}/extend`, agent, { ttl_seconds: 600 })).status).toBe(200);
  const body = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }] };
  expect((await broker.call('POST', '/v1/tasks', agent, { ...body, actions: ['write'] })).status).toBe(403);
  expect((await broker.call('POST', '/v1/tasks', agent, { ...body, purpose: 'data-export', actions: ['export'], credentials: [{ name: 'orders-db' }] })).status).toBe(202);
  const parked = await broker.call('POST', '/v1/tasks', await broker.agentToken('orchestrator:support-desk'), { ...body, agent: 'agent:refunds' });
  expect(parked.status).toBe(202);
  const { id } = parked.body['task'] as { id: string };
  expect((await broker.call('POST', `/v1/tasks/${id}/claim`, agent, {})).status).toBe(201);
}

describe('what real decisions left on the record', () => {
  it('can be asked again in full, with the same answer and digest for each, and what the shadow policies would have said', async () => {
    await until(async () => (await broker.metrics()).includes('mayfly_policy_shadow_info{version="sha256:'));
    await decideEverything();
    await until(async () => ((await replay({})).body as { replayed: number }).replayed >= 8);
    expect((await replay({})).body).toMatchObject({ draft: false, replayed: 8, unchanged: 8, cannot_be_replayed: { total: 0 }, chain: { ok: true }, groups: [] });

    const { items } = (await broker.call('GET', '/v1/audit?type=task.extended', viewer)).body as { items: { event: { facts: { decision: object } } }[] };
    expect(items[0]?.event.facts.decision).toMatchObject({ result: 'permit', shadow: { result: 'deny', policies: ['no-extension'], policy_version: expect.stringMatching(/^sha256:/) } });
    const metrics = await broker.metrics();
    expect(metrics).toMatch(/mayfly_policy_shadow_total\{live="permit",shadow="deny"\} 1/);
    expect(metrics).toMatch(/mayfly_policy_shadow_total\{live="deny",shadow="deny"\} 1/);
    expect(JSON.stringify((await broker.call('GET', '/v1/audit?type=task.declared', viewer)).body).split('order 99 disputed')).toHaveLength(2);
  }, 30_000);

  it('shows what a draft would have done, to operators over HTTP', async () => {
    expect((await replay({ policies: { 'draft.cedar': NO_EXTENSION } })).body).toMatchObject({ draft: true, changed: { would_deny: 7 } });
    expect(await replay({ policies: { 'draft.cedar': 'permit (principal, action, resource);' } })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/policies/draft.cedar' }] } });
    expect((await replay({ purpose: 'data-export' })).body).toMatchObject({ replayed: 1 });
    expect((await replay({ until: '2020-01-01T00:00:00Z' })).body).toMatchObject({ replayed: 0 });
    expect(await replay({ since: 'yesterday' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/since' }] } });
  });

  it('shows the same on the command line without a broker, and fails where something would be denied', async () => {
    expect(await policyReplay(EXAMPLE, '--since', '1h')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^8 decisions asked again of sha256:\w+: 8 unchanged\n$/) });
    const denied = await policyReplay(folder, '--since', '1h');
    expect(denied).toMatchObject({ code: 1, stdout: expect.stringMatching(/1 would be denied\n {2}1 x agent:refunds, refund-investigation: permit by refund-investigation-extend -> deny by no-extension\n {4}dec_\w+ {2}tsk_\w+/), stderr: expect.stringContaining('1 of 8 would be denied') });
    expect((await policyReplay(folder, '--fail-on', 'never')).code).toBe(0);
    expect(JSON.parse((await policyReplay(EXAMPLE, '--json', '--agent', 'agent:refunds', '--audit', broker.stack.auditFile)).stdout)).toMatchObject({ replayed: 8, cannot_be_replayed: { total: 0 } });
    expect(await policyReplay(EXAMPLE, '--since', 'someday')).toMatchObject({ code: 2, stderr: expect.stringContaining('30m, 12h or 7d') });
    expect(await policyReplay(EXAMPLE, '--audit', '/nowhere')).toMatchObject({ code: 1, stderr: expect.stringContaining('/nowhere cannot be read') });
  }, 60_000);
});
