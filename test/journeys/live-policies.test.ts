import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { GOOD_DECLARATION } from '../support/bad-declarations.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const EXAMPLE = join(import.meta.dirname, '../../config/policies');
let folder: string;
let broker: RunningBroker;
let agent: string;
let viewer: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(EXAMPLE, folder, { recursive: true });
  broker = await RunningBroker.start({ policy: { directory: folder } });
  agent = await broker.agentToken();
  viewer = await broker.operatorToken('viewer');
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const declaration = { ...GOOD_DECLARATION, credentials: [{ name: 'task-reference' }] };
const declare = (): Promise<HttpAnswer> => broker.call('POST', '/v1/tasks', agent, declaration);
const audit = async (type: string): Promise<{ facts: Record<string, unknown> }[]> =>
  ((await broker.call('GET', `/v1/audit?type=${type}`, viewer)).body['items'] as { event: { facts: Record<string, unknown> } }[]).map(({ event }) => event);

describe('a policy folder that changes under a running broker', () => {
  const before = join(EXAMPLE, 'refund-investigation.cedar');
  const live = (): string => join(folder, 'refund-investigation.cedar');

  it('decides by the new set without a restart, and says what changed', async () => {
    const first = await declare();
    expect(first.status).toBe(201);
    const version = (first.body['task'] as { decision: { policy_version: string } }).decision.policy_version;
    await writeFile(join(folder, 'closed.cedar'), '@id("closed") @deny_reason("closed for today") forbid (principal, action, resource);');
    await until(async () => (await declare()).status === 403);
    expect((await declare()).body).toMatchObject({ detail: 'closed for today', decision: { policies: ['closed'] } });
    await until(async () => (await audit('policy.reloaded')).length === 1);
    expect((await audit('policy.reloaded'))[0]?.facts).toMatchObject({ from: version, added: ['closed'], removed: [], changed: [] });
    await rm(join(folder, 'closed.cedar'));
    await until(async () => (await declare()).status === 201);
    expect(((await declare()).body['task'] as { decision: { policy_version: string } }).decision.policy_version).toBe(version);
  }, 30_000);

  it('keeps the good set when the new one is broken, and says so', async () => {
    await appendFile(live(), '\npermit (principal, action, resource);\n');
    await until(async () => (await audit('policy.reload_refused')).length === 1);
    expect((await audit('policy.reload_refused'))[0]?.facts['fault']).toMatch(/refund-investigation\.cedar, line \d+.*needs an @id/);
    expect((await declare()).status).toBe(201);
    // What the broken set would have permitted is still denied.
    expect((await broker.call('POST', '/v1/tasks', agent, { ...declaration, actions: ['write'] })).status).toBe(403);
    expect(await broker.metrics()).toMatch(/mayfly_policy_reloads_total\{outcome="refused"\} 1/);
    await writeFile(live(), await readFile(before));
  }, 30_000);
});

describe('POST /v1/policy/evaluate', () => {
  const evaluate = (fields: object, token = viewer): Promise<HttpAnswer> => broker.call('POST', '/v1/policy/evaluate', token, { agent: 'agent:refunds', ...declaration, ...fields });

  it('answers as the real path would, and leaves nothing behind', async () => {
    const leases = async (): Promise<unknown[]> => (await broker.call('GET', '/v1/leases?limit=500', viewer)).body['items'] as unknown[];
    const before = await leases();
    const real = ((await declare()).body['task'] as { decision: Record<string, unknown> }).decision;
    expect(await evaluate({})).toMatchObject({ status: 200, body: { draft: false, decision: { result: 'permit', policies: real['policies'], policy_version: real['policy_version'] }, credentials: [{ name: 'task-reference', action: 'mint', result: 'permit' }] } });
    expect((await evaluate({ actions: ['write'] })).body).toMatchObject({ decision: { result: 'deny' } });
    expect((await evaluate({ purpose: 'data-export', actions: ['export'], credentials: [{ name: 'orders-db' }] })).body).toMatchObject({ decision: { result: 'approval_required' } });
    expect((await evaluate({ purpose: 'data-export', actions: ['export'], credentials: [{ name: 'orders-db' }], approvals: 1 })).body).toMatchObject({ decision: { result: 'permit' } });
    expect((await leases()).length).toBe(before.length + 1);
  });

  it('asks for the declarer too', async () => {
    const issuer = broker.stack.workloads.issuer;
    expect((await evaluate({ declarer: { issuer, subject: 'orchestrator:support-desk' } })).body).toMatchObject({ decision: { result: 'permit' }, credentials: [{ action: 'declare_for' }, { action: 'mint' }] });
    expect((await evaluate({ declarer: { issuer, subject: 'agent:payouts' } })).body).toMatchObject({ decision: { result: 'deny' } });
  });

  it('tries a draft set, which decides nothing else', async () => {
    const policies = { 'draft.cedar': '@id("draft") permit (principal, action, resource) when { context.operations == [Mayfly::Operation::"write"] };' };
    expect((await evaluate({ policies })).body).toMatchObject({ draft: true, decision: { result: 'deny' } });
    expect((await evaluate({ policies, actions: ['write'] })).body).toMatchObject({ draft: true, decision: { result: 'permit', policies: ['draft'] } });
    for (let i = 0; i < 5; i += 1) await evaluate({ policies });
    expect((await declare()).status).toBe(201);
  });

  it('points at what is wrong, and is for operators', async () => {
    expect(await evaluate({ policies: { 'draft.cedar': 'nonsense' } })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/policies/draft.cedar' }] } });
    expect(await evaluate({ policies: { 'a/b': '' } })).toMatchObject({ status: 422 });
    const many = (count: number): string => Array.from({ length: count }, (_, n) => `@id("p${n}")permit(principal,action,resource)when{context.approvals>${n + 9}};`).join('');
    expect(await evaluate({ policies: { 'draft.cedar': many(201) } })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/policies', detail: expect.stringContaining('201 policies') }] } });
    expect((await evaluate({ policies: { 'draft.cedar': many(200) } })).body).toMatchObject({ draft: true, decision: { result: 'deny' } });
    expect(await evaluate({ agent: undefined })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/agent' }] } });
    expect(await evaluate({ credentials: [{ name: 'nothing' }] })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/credentials/0/name' }] } });
    expect((await evaluate({}, agent)).status).toBe(403);
  });
});
