import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '../../src/core/canonical-json.ts';
import { at } from '../support/at.ts';
import { runMayfly } from '../support/run-mayfly.ts';
import { RunningBroker, type GrantedCredential, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const MORE_POLICIES = `@id("token-with-approval")
permit (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"task-token")
when { context.purpose == Mayfly::Purpose::"data-export" && context.approvals >= 1 };

@id("desk-declares-exports")
permit (principal == Mayfly::Agent::"orchestrator:support-desk", action == Mayfly::Action::"declare_for", resource)
when { context.purpose == Mayfly::Purpose::"data-export" && context has for_agent && context.for_agent == "agent:refunds" };

@id("money-needs-two")
forbid (principal, action == Mayfly::Action::"mint", resource)
when { context.data_classes.contains(Mayfly::DataClass::"financial") }
unless { context.approvals >= 2 };`;

let broker: RunningBroker;
let hook: Server;
const told: string[] = [];
let folder: string;
let agent: string;
let orchestrator: string;
let olga: string;
let oskar: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), folder, { recursive: true });
  await writeFile(join(folder, 'more.cedar'), MORE_POLICIES);
  hook = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => void told.push(chunk.toString()));
    request.on('end', () => response.writeHead(204).end());
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const notice = { name: 'on-call', kind: 'webhook', url_file: join(folder, 'hook-url'), secret_file: join(folder, 'hook-secret'), allow_private_addresses: true };
  await writeFile(notice.url_file, `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`, { mode: 0o600 });
  await writeFile(notice.secret_file, `whsec_${Buffer.alloc(32, 7).toString('base64')}`, { mode: 0o600 });
  broker = await RunningBroker.start({ notices: [notice], policy: { directory: folder, risk: { read: 'low', export: 'high' } }, limits: { approval_window_seconds: 15, waiting_approvals_per_agent: 4 } });
  [agent, orchestrator, olga, oskar] = await Promise.all([broker.agentToken(), broker.agentToken('orchestrator:support-desk'), broker.operatorToken(), person('oskar')]);
}, 60_000);

afterAll(async () => {
  await broker.stop();
  hook.close();
  hook.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const person = (subject: string, role = 'operator'): Promise<string> => broker.stack.operators.sign({ subject, claims: { roles: [`mayfly-${role}`] } });

interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly end_reason: string | null;
  readonly evidence: string;
  readonly approvals: number;
  readonly approvals_needed: number;
}
interface ApprovalAnswer {
  readonly id: string;
  readonly state: string;
  readonly envelope: object;
  readonly envelope_digest: string;
  readonly approved_by: readonly { subject: string; note: string | null }[];
}
const taskOf = ({ body }: HttpAnswer): TaskAnswer => body['task'] as TaskAnswer;
const approvalOf = ({ body }: HttpAnswer): ApprovalAnswer => body['approval'] as ApprovalAnswer;

const declare = (fields: object = {}, token = agent): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', token, {
    purpose: 'data-export',
    justification: 'quarterly <b>report</b>',
    actions: ['export'],
    ttl_seconds: 120,
    credentials: [{ name: 'orders-db' }],
    ...fields,
  });
const decide = (id: string, token: string, decision: 'approve' | 'deny' = 'approve', more: object = {}): Promise<HttpAnswer> =>
  broker.call('POST', `/v1/tasks/${id}/approval`, token, { decision, ...more });
const claim = (id: string): Promise<HttpAnswer> => broker.call('POST', `/v1/tasks/${id}/claim`, agent, {});
const look = (id: string): Promise<HttpAnswer> => broker.call('GET', `/v1/tasks/${id}`, agent);
const listed = async (query = ''): Promise<readonly ApprovalAnswer[]> => (await broker.call('GET', `/v1/approvals${query}`, olga)).body['items'] as ApprovalAnswer[];
const audit = async (type: string, task: string): Promise<{ by: { subject: string }; facts: Record<string, unknown> }[]> =>
  (await readFile(broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`) && line.includes(task))
    .map((line) => (JSON.parse(line) as { event: { by: { subject: string }; facts: Record<string, unknown> } }).event);

describe('a task that needs a human', () => {
  it('is approved as it was declared, claimed, and says whose word it rests on', async () => {
    const declared = taskOf(await declare());
    expect(declared).toMatchObject({ state: 'pending_approval', approvals: 0, approvals_needed: 1, evidence: 'self_declared', decision: { result: 'approval_required', approvals_needed: 1 } });
    expect(await claim(declared.id)).toMatchObject({ status: 409, body: { code: 'not_claimable' } });

    const [waiting] = (await listed()).filter(({ id }) => id === declared.id);
    expect(waiting).toMatchObject({ state: 'waiting', risk: 'high', approvals: 0, approvals_needed: 1, envelope: { purpose: 'data-export', justification: 'quarterly <b>report</b>', credentials: [{ name: 'orders-db', ttl_seconds: 120, params: {} }] } });
    await until(() => told.some((body) => body.includes(declared.id) && body.includes('task.approval_required') && body.includes('"risk":"high"')));
    // Whoever approves can recompute what the answer is bound to.
    expect(digestOf(waiting?.envelope)).toBe(waiting?.envelope_digest);

    const approved = await decide(declared.id, olga, 'approve', { note: 'seen', digest: waiting?.envelope_digest });
    expect(approved).toMatchObject({ status: 200, body: { task: { state: 'pending_claim', approvals: 1, evidence: 'approved' }, credentials: [], approval: { state: 'approved', approved_by: [{ subject: 'olga', note: 'seen' }] } } });
    expect(await listed()).toEqual([]);
    expect((await listed('?state=approved')).map(({ id }) => id)).toContain(declared.id);

    const claimed = await claim(declared.id);
    expect(claimed).toMatchObject({ status: 201, body: { task: { state: 'active', evidence: 'approved', decision: { result: 'permit', policies: ['data-export-mint'] } } } });
    expect(await broker.canLogIn(at(claimed.body['credentials'] as GrantedCredential[], 0))).toBe(true);
    await until(async () => (await audit('task.claimed', declared.id)).length === 1);
    expect((await audit('task.approved', declared.id)).map(({ by, facts }) => [by.subject, facts['note'], facts['envelope_digest'], facts['approvals'], facts['approvals_needed']])).toEqual([['olga', 'seen', waiting?.envelope_digest, 1, 1]]);
    expect((await audit('task.claimed', declared.id))[0]?.facts).toMatchObject({ approvals: 1, evidence: 'approved' });
    await broker.call('POST', `/v1/tasks/${declared.id}/complete`, agent, {});
  });

  it('ends when a human denies it, and nobody can approve it any more', async () => {
    const { id } = taskOf(await declare());
    expect(await decide(id, oskar, 'deny', { note: 'not today' })).toMatchObject({ status: 200, body: { task: { state: 'ended', end_reason: 'denied' }, approval: { state: 'denied' } } });
    expect(await decide(id, olga)).toMatchObject({ status: 409, body: { code: 'not_approvable' } });
    expect(await claim(id)).toMatchObject({ status: 409, body: { code: 'not_claimable' } });
    await until(async () => (await audit('task.approval_denied', id)).length === 1);
    expect((await audit('task.approval_denied', id))[0]).toMatchObject({ by: { subject: 'oskar' }, facts: { note: 'not today' } });
  });

  it('counts different humans: one who approves twice is one', async () => {
    const { id, approvals_needed: needed } = taskOf(await declare({ data_classes: ['financial'] }));
    expect(needed).toBe(2);
    expect(taskOf(await decide(id, olga))).toMatchObject({ state: 'pending_approval', approvals: 1, evidence: 'self_declared' });
    expect(await decide(id, olga)).toMatchObject({ status: 200, body: { task: { state: 'pending_approval', approvals: 1 } } });
    expect(await claim(id)).toMatchObject({ status: 409 });
    expect(taskOf(await decide(id, oskar))).toMatchObject({ state: 'pending_claim', approvals: 2, evidence: 'approved' });
    expect((await claim(id)).status).toBe(201);
    await until(async () => (await audit('task.approved', id)).length === 2);
    expect((await audit('task.approved', id)).map(({ by }) => by.subject)).toEqual(['olga', 'oskar']);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('loses no approval when many come at once', async () => {
    const { id } = taskOf(await declare({ data_classes: ['financial'] }));
    const people = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => person(name)));
    const answers = await Promise.all(people.map((token) => decide(id, token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 409, 409, 409, 409]);
    expect(taskOf(await look(id))).toMatchObject({ state: 'pending_claim', approvals: 2 });
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('is decided neither by its agent nor by its declarer, whichever issuer vouches for the name, and who tried is on the record', async () => {
    const { id } = taskOf(await declare({ agent: 'agent:refunds' }, orchestrator));
    for (const token of [await person('Agent:Refunds', 'admin'), await person('orchestrator:support-desk')]) {
      expect(await decide(id, token)).toMatchObject({ status: 403, body: { code: 'approval_refused' } });
      expect(await decide(id, token, 'deny')).toMatchObject({ status: 403, body: { code: 'approval_refused' } });
    }
    for (const token of [agent, orchestrator, await broker.operatorToken('viewer')]) expect(await decide(id, token)).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    await until(async () => (await audit('task.approval_refused', id)).length === 4);
    expect(taskOf(await look(id))).toMatchObject({ state: 'pending_approval', approvals: 0 });
    // Somebody else can (control).
    expect((await decide(id, olga)).status).toBe(200);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('is not approved as something else than what was looked at', async () => {
    const { id } = taskOf(await declare());
    const other = approvalOf(await broker.call('GET', `/v1/tasks/${id}/approval`, olga)).envelope_digest.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect(await decide(id, olga, 'approve', { digest: other })).toMatchObject({ status: 409, body: { code: 'envelope_changed' } });
    expect(await decide(id, olga, 'approve', { digest: 'sha256:1' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/digest' }] } });
    expect(taskOf(await look(id))).toMatchObject({ state: 'pending_approval' });
    await decide(id, olga, 'deny');
  });

  it('is not approved while a lock covers it', async () => {
    const { id } = taskOf(await declare());
    const lock = await broker.call('POST', '/v1/locks', olga, { selector: { task: id }, reason: 'a test', until: new Date(Date.now() + 60_000).toISOString() });
    expect(await decide(id, oskar)).toMatchObject({ status: 403, body: { code: 'locked' } });
    await broker.call('DELETE', `/v1/locks/${(lock.body['lock'] as { id: string }).id}`, olga);
    expect(await decide(id, oskar)).toMatchObject({ status: 200 });
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('ends by itself when nobody decides, and gives back the room it took', async () => {
    const waiting = await Promise.all([declare(), declare(), declare(), declare()]);
    expect(waiting.map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    expect(await declare()).toMatchObject({ status: 429, body: { code: 'limit_exceeded' } });
    // An approval makes room for the next.
    const { id } = taskOf(at(waiting, 0));
    await decide(id, olga);
    expect((await declare()).status).toBe(202);
    const last = taskOf(at(waiting, 3)).id;
    await until(async () => taskOf(await look(last)).state === 'ended', { timeoutMs: 25_000, everyMs: 200 });
    expect(taskOf(await look(last)).end_reason).toBe('approval_expired');
    expect(await decide(last, olga)).toMatchObject({ status: 409, body: { code: 'not_approvable' } });
    expect((await listed('?state=expired')).map((one) => one.id)).toContain(last);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  }, 40_000);
});

describe('one approval covers the task', () => {
  it('as it was declared: the same credential again, and nothing else', async () => {
    const { id } = taskOf(await declare());
    await decide(id, olga);
    expect((await claim(id)).status).toBe(201);
    expect(await broker.call('POST', `/v1/tasks/${id}/reissue`, agent, { name: 'orders-db' })).toMatchObject({ status: 201 });
    const outside = await broker.call('POST', `/v1/tasks/${id}/credentials`, agent, { name: 'task-token', ttl_seconds: 60 });
    expect(outside).toMatchObject({ status: 403, body: { code: 'policy_denied', detail: expect.stringMatching(/only with an approval.*declare a new task/), decision: { result: 'approval_required', approvals_needed: 1 } } });
    expect((await broker.call('POST', `/v1/tasks/${id}/extend`, agent, { ttl_seconds: 600 })).status).toBe(403);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });
});

describe('whoever waits for a decision', () => {
  const patient = (id: string, seconds: number, signal?: AbortSignal): Promise<Response> =>
    fetch(`${broker.url}/v1/tasks/${id}`, { headers: { Authorization: `Bearer ${agent}`, Prefer: `wait=${seconds}` }, ...(signal === undefined ? {} : { signal }) });

  it('is answered as soon as there is one', async () => {
    const { id } = taskOf(await declare());
    const answered = patient(id, 60);
    expect(await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 600, 'still waiting'))])).toBe('still waiting');
    await decide(id, olga);
    const decidedMs = performance.now();
    const response = await answered;
    expect(response.headers.get('preference-applied')).toBe('wait=60');
    expect(await response.json()).toMatchObject({ task: { state: 'pending_claim' } });
    expect(performance.now() - decidedMs).toBeLessThan(3_000);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('is answered when its patience ends, and at once without a wish to wait', async () => {
    const { id } = taskOf(await declare());
    const startedMs = performance.now();
    expect(await (await patient(id, 1)).json()).toMatchObject({ task: { state: 'pending_approval' } });
    expect(performance.now() - startedMs).toBeGreaterThan(950);
    expect((await look(id)).headers.has('preference-applied')).toBe(false);
    const hungUp = new AbortController();
    const waiting = patient(id, 60, hungUp.signal).catch(() => 'gone');
    hungUp.abort();
    expect(await waiting).toBe('gone');
    await decide(id, olga, 'deny');
  });

  it('on the command line claims what was approved, and says what was denied', async () => {
    const request = ['request', '--wait', '--purpose', 'data-export', '--action', 'export', '--credential', 'task-token:60', '--justification', 'a report'];
    const asAgent = { of: 'agent', jwt: agent };
    const asOlga = { of: 'olga', jwt: olga };
    const one = async (): Promise<ApprovalAnswer> => {
      await until(async () => (await listed()).length === 1);
      return at(await listed(), 0);
    };
    const granted = runMayfly(broker, asAgent, [...request, '--format', 'env']);
    const { id, envelope_digest: digest } = await one();
    expect((await runMayfly(broker, asOlga, ['approvals', 'ls'])).stdout).toMatch(new RegExp(`${id} +agent:refunds +data-export +high +task-token +0 of 1`));
    const shown = (await runMayfly(broker, asOlga, ['approvals', 'get', id])).stdout;
    expect(shown).toMatch(/why, they say +a report/);
    expect(shown).toMatch(/^risk +high$/m);
    expect(shown).toContain(digest);
    expect((await runMayfly(broker, asOlga, ['approvals', 'approve', id, '--digest', digest, '--note', 'fine'])).stdout).toBe(`task ${id} is approved\n`);
    expect((await granted).stdout).toMatch(/^export TASK_TOKEN_TOKEN='ey/m);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});

    const refused = runMayfly(broker, asAgent, request).catch((error: unknown) => error as { code: number; stderr: string });
    const second = await one();
    expect(await runMayfly(broker, asOlga, ['approvals', 'approve', second.id, '--digest', digest]).catch((error: unknown) => error)).toMatchObject({ code: 1, stderr: expect.stringContaining('not what was looked at') });
    await runMayfly(broker, asOlga, ['approvals', 'deny', second.id]);
    expect(await refused).toMatchObject({ code: 3, stderr: expect.stringContaining('was not approved: denied') });
  }, 60_000);
});
