import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { ORCHESTRATOR } from '../../dev/dev-identities.ts';
import { freePort } from '../../dev/run-server.ts';
import { at } from '../support/at.ts';
import { ADMINS, AUTHZEN_CASES, AUTHZEN_POLICIES, type AuthzenCase } from '../support/authzen-cases.ts';
import { undescribed } from '../support/described-answer.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const SCHEMA = join(import.meta.dirname, '../../config/policies/schema.cedarschema');
let folder: string;
let broker: RunningBroker;
/** An enforcement point that the configuration lists. */
let pep: string;
let viewer: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-authzen-'));
  await cp(SCHEMA, join(folder, 'schema.cedarschema'));
  await writeFile(join(folder, 'fixture.cedar'), AUTHZEN_POLICIES);
  broker = await RunningBroker.start({ policy: { directory: folder } }, [], {
    configure(config) {
      const changed = config as unknown as { identity: { issuers: object[] }; credentials: Record<string, object> };
      changed.identity.issuers.push({ issuer: ADMINS, subjects: ['agent:*'] });
      const record = () => ({
        kind: 'jwt',
        provider: 'tokens',
        owner: 'records',
        audience: 'https://records.example.org',
        introspection_required: true,
        params: { status: { type: 'string', enum: ['active', 'archived'], required: false } },
      });
      Object.assign(changed.credentials, { 'record-1': record(), 'record-2': record() });
    },
  });
  pep = await broker.agentToken(ORCHESTRATOR);
  viewer = await broker.operatorToken('viewer');
}, 90_000);

afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

interface Answer {
  readonly decision?: boolean;
  readonly context?: object;
  readonly evaluations?: readonly { readonly decision: boolean; readonly context?: object }[];
  readonly errors?: readonly { readonly pointer: string }[];
}

/** Asks by plain fetch, since bodies may be no JSON; the answer must be one that is described. */
async function ask(path: string, body: unknown, { token = pep, contentType = 'application/json', headers = {} }: { token?: string | null; contentType?: string; headers?: Record<string, string> } = {}) {
  const response = await fetch(`${broker.url}${path}`, {
    method: 'POST',
    headers: { ...headers, 'Content-Type': contentType, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const answer = { status: response.status, headers: response.headers, body: (await response.json()) as Answer & Record<string, unknown> };
  expect(undescribed('POST', path, answer)).toBeNull();
  return answer;
}

const READ = at(AUTHZEN_CASES, 0).body as { readonly subject: { readonly id: string }; readonly context: object };

describe.each([...Map.groupBy(AUTHZEN_CASES, ({ level }) => level)].map(([level, cases]) => [level, cases.length, cases] as const))('AuthZEN 1.0, %s: %i cases', (_level, _count, cases) => {
  it.each(cases.map((one) => [one.id, one.what, one] as const))('%s %s', async (_id, _what, { path, body, contentType, status, decision, context, pointers }: AuthzenCase) => {
    const answer = await ask(path, body, contentType === undefined ? {} : { contentType });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, expect.stringContaining(status === 200 ? 'application/json' : 'application/problem+json')]);
    if (status === 400) {
      expect((answer.body.errors ?? []).map(({ pointer }) => pointer)).toEqual(pointers);
      return;
    }
    const answers = answer.body.evaluations ?? [answer.body];
    expect(answer.body.evaluations === undefined ? answer.body.decision : answers.map((one) => one.decision)).toEqual(decision);
    if (context !== undefined) expect(answers.at(-1)?.context).toMatchObject(context);
  });
});

describe('AuthZEN 1.0 on the wire', () => {
  it.each(['c4f2b1de-0a55-4a1c-9d3e-5f2c2d1f9b10', 'gateway/eu-1:7f=', 'x'.repeat(200)])('C.2.5.1 gives a request id back as it came: %s', async (id) => {
    const headers = { 'X-Request-ID': id };
    expect((await ask('/access/v1/evaluation', READ, { headers })).headers.get('x-request-id')).toBe(id);
    expect((await ask('/access/v1/evaluations', '[', { headers })).headers.get('x-request-id')).toBe(id);
  });

  it('C.2.5.2 makes one up where there is none', async () => {
    expect((await ask('/access/v1/evaluation', READ)).headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
  });

  it('C.2.6 answers the same question the same', async () => {
    const answers = [await ask('/access/v1/evaluation', READ), await ask('/access/v1/evaluation', READ), await ask('/access/v1/evaluation', READ)];
    expect(answers.map(({ body }) => body)).toEqual([{ decision: true }, { decision: true }, { decision: true }]);
  });

  it('C.6 is found by its address: its metadata names it, and its endpoints answer', async () => {
    const response = await fetch(`${broker.url}/.well-known/authzen-configuration`);
    const found = (await response.json()) as { policy_decision_point: string; access_evaluation_endpoint: string; access_evaluations_endpoint: string };
    expect([response.status, response.headers.get('content-type')]).toEqual([200, expect.stringContaining('application/json')]);
    expect(found.policy_decision_point).toBe(broker.url);
    for (const endpoint of [found.access_evaluation_endpoint, found.access_evaluations_endpoint]) {
      expect(await ask(new URL(endpoint).pathname, READ)).toMatchObject({ status: 200, body: { decision: true } });
      expect(endpoint.startsWith(`${broker.url}/`)).toBe(true);
    }
  });

  it('AZ-1.12 answers a question without proof of who asks with 401, and one of a workload that is no enforcement point with 403', async () => {
    expect(await ask('/access/v1/evaluation', READ, { token: null })).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(await ask('/access/v1/evaluation', READ, { token: await broker.agentToken('agent:alice') })).toMatchObject({ status: 403, body: { code: 'forbidden' } });
    expect(await ask('/access/v1/evaluations', '{', { token: await broker.agentToken('agent:alice') })).toMatchObject({ status: 403 });
  });

  it('AZ-1.13 says to operators which policies decided, and to an enforcement point only what their author published', async () => {
    const denied = AUTHZEN_CASES.find(({ id }) => id === 'C.2.2.4')?.body;
    expect((await ask('/access/v1/evaluation', denied)).body).toEqual({ decision: false, context: { result: 'deny', reasons: ['what is archived is not written to'] } });
    expect((await ask('/access/v1/evaluation', denied, { token: viewer })).body).toEqual({
      decision: false,
      context: { result: 'deny', reasons: ['what is archived is not written to'], policies: ['archived-stays'], policy_version: expect.stringMatching(/^sha256:/), input_digest: expect.stringMatching(/^sha256:/), fault: null },
    });
  });

  it('AZ-1.14 says exactly what POST /v1/policy/evaluate says, and what a real declaration then meets', async () => {
    for (const actions of [['read'], ['write'], ['export']]) {
      for (const agent of ['agent:alice', 'agent:bob']) {
        const asked = { purpose: 'refund-investigation', actions };
        const evaluated = (await broker.call('POST', '/v1/policy/evaluate', viewer, { ...asked, agent, credentials: [{ name: 'record-1' }] })).body['decision'] as { result: string; policies: string[]; policy_version: string };
        const { body } = await ask('/access/v1/evaluation', { ...READ, subject: { type: 'agent', id: agent }, context: asked }, { token: viewer });
        expect(body).toMatchObject({ decision: evaluated.result === 'permit', context: { policies: evaluated.policies, policy_version: evaluated.policy_version } });
        const declared = await broker.call('POST', '/v1/tasks', await broker.agentToken(agent), { ...asked, credentials: [{ name: 'record-1' }] });
        expect(declared.status).toBe(body.decision === true ? 201 : 403);
      }
    }
  });

  it('AZ-1.15 mints, reserves and records nothing', async () => {
    const leases = (await broker.call('GET', '/v1/leases?limit=500', viewer)).body;
    const asked = { ...READ, subject: { type: 'agent', id: 'agent:asked-about' } };
    await ask('/access/v1/evaluations', { ...asked, evaluations: Array.from({ length: 50 }, () => ({})) });
    expect((await broker.call('GET', '/v1/leases?limit=500', viewer)).body).toEqual(leases);
    // A denial of a real declaration is recorded: once that is there, all that came before it would be too (control).
    const denied = { purpose: 'refund-investigation', actions: ['export'], credentials: [{ name: 'record-2' }] };
    expect((await broker.call('POST', '/v1/tasks', await broker.agentToken('agent:denied'), denied)).status).toBe(403);
    // Until its first record is sealed, there is no log to read.
    const records = async () => ((await broker.call('GET', '/v1/audit?limit=200', viewer)).body['items'] ?? []) as { event: { agent: { subject: string } | null } }[];
    const agents = async (): Promise<unknown[]> => (await records()).map(({ event }) => event.agent?.subject);
    await until(async () => (await agents()).includes('agent:denied'));
    expect(await agents()).not.toContain('agent:asked-about');
  });
});

/** A broker beside the first, on the same stack, whose own policies permit nearly everything; it asks the first one besides. */
describe('a broker that asks another decision point', () => {
  const EVERYTHING = `
    @id("everything") permit (principal, action, resource);
    @id("not-mallory") forbid (principal == Mayfly::Agent::"agent:mallory", action, resource);
  `;
  const WRITE = { purpose: 'refund-investigation', actions: ['write'], credentials: [{ name: 'record-1' }] };
  const READING = { ...WRITE, actions: ['read'] };
  let wire: TcpProxy;
  let process: BrokerProcess | undefined;
  let url: string;

  async function front(external: object | null): Promise<void> {
    await process?.stop();
    const config = parse(await readFile(broker.stack.configFile, 'utf8')) as Record<string, object>;
    const permissive = join(folder, 'permissive');
    await mkdir(permissive, { recursive: true });
    await cp(SCHEMA, join(permissive, 'schema.cedarschema'));
    await writeFile(join(permissive, 'everything.cedar'), EVERYTHING);
    const [port, metricsPort] = [await freePort(), await freePort()];
    const changed = { ...config, http: { host: '127.0.0.1', port, metrics_port: metricsPort, public_url: `http://127.0.0.1:${port}` }, policy: { directory: permissive, ...(external === null ? {} : { external }) } };
    const configFile = join(folder, 'front.yaml');
    await writeFile(configFile, stringify(changed, { aliasDuplicateObjects: false }), { mode: 0o600 });
    url = `http://127.0.0.1:${port}`;
    process = await startBrokerProcess({ configFile, url, logFile: join(folder, 'front.log'), role: 'api' });
  }

  async function post(path: string, agent: string, body: object) {
    const response = await fetch(`${url}${path}`, { method: 'POST', headers: { Authorization: `Bearer ${await broker.agentToken(agent)}`, 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    const answer = { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
    expect(undescribed('POST', path, answer)).toBeNull();
    return answer;
  }
  const taskOf = ({ body }: { body: Record<string, unknown> }): string => (body['task'] as { id: string }).id;
  const recorded = async (type: string, agent: string): Promise<Record<string, unknown>[]> =>
    ((await broker.call('GET', `/v1/audit?type=${type}&limit=200`, viewer)).body['items'] as { event: { agent: { subject: string }; facts: Record<string, unknown> } }[])
      .filter(({ event }) => event.agent.subject === agent)
      .map(({ event }) => event.facts);

  beforeAll(async () => {
    wire = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(broker.url).port) });
    await front({ kind: 'authzen', url: `http://127.0.0.1:${wire.port}/access/v1/evaluation`, timeout_ms: 2_000, token_file: broker.stack.tokenFiles.orchestrator_token_file });
  }, 60_000);

  afterAll(async () => {
    await process?.stop();
    await wire.stop();
  }, 30_000);

  it('grants what both permit, refuses what either refuses, and passes on a reason that is meant for the caller', async () => {
    expect((await post('/v1/tasks', 'agent:alice', READING)).status).toBe(201);
    expect(await post('/v1/tasks', 'agent:bob', WRITE)).toMatchObject({ status: 403, body: { code: 'policy_denied', detail: 'the external policy decision point does not permit this', decision: { result: 'deny', policies: [] } } });
    const archived = { ...WRITE, credentials: [{ name: 'record-2', params: { status: 'archived' } }] };
    expect(await post('/v1/tasks', 'agent:alice', archived)).toMatchObject({ status: 403, body: { detail: 'what is archived is not written to' } });
    // Ours said no: the other is not asked, and could not make a yes of it.
    expect(await post('/v1/tasks', 'agent:mallory', READING)).toMatchObject({ status: 403, body: { decision: { policies: ['not-mallory'] } } });
    await until(async () => (await recorded('task.denied', 'agent:mallory')).length > 0);
    expect((await recorded('task.denied', 'agent:mallory'))[0]).not.toHaveProperty('external');
    expect((await recorded('task.denied', 'agent:bob')).at(0)).toMatchObject({ decision: { result: 'deny' }, external: { kind: 'authzen', verdict: 'deny', took_ms: expect.any(Number) } });
    expect((await recorded('task.declared', 'agent:alice')).some(({ external }) => (external as { verdict?: string } | undefined)?.verdict === 'permit')).toBe(true);
  });

  it('asks again for an extra credential and records the answer', async () => {
    const id = taskOf(await post('/v1/tasks', 'agent:alice', READING));
    expect((await post(`/v1/tasks/${id}/credentials`, 'agent:alice', { name: 'record-2' })).status).toBe(201);
    await until(async () => (await recorded('lease.intended', 'agent:alice')).some((facts) => (facts['external'] as { verdict?: string } | undefined)?.verdict === 'permit'));
  });

  it('grants nothing while it cannot be asked, by any way to a credential, and does so again when it can', async () => {
    const id = taskOf(await post('/v1/tasks', 'agent:alice', READING));
    const waiting = taskOf(await post('/v1/tasks', 'agent:alice', { ...READING, start: 'claim' }));
    wire.set('cut');
    const unavailable = { status: 503, body: { code: 'policy_unavailable', detail: 'the external policy decision point could not be asked' } };
    const declared = await post('/v1/tasks', 'agent:alice', READING);
    expect(declared).toMatchObject(unavailable);
    expect(declared.headers.get('retry-after')).toBe('5');
    expect(await post(`/v1/tasks/${waiting}/claim`, 'agent:alice', {})).toMatchObject(unavailable);
    expect(await post(`/v1/tasks/${id}/credentials`, 'agent:alice', { name: 'record-2' })).toMatchObject(unavailable);
    expect(await post(`/v1/tasks/${id}/reissue`, 'agent:alice', { name: 'record-1' })).toMatchObject(unavailable);
    expect(await post(`/v1/tasks/${id}/extend`, 'agent:alice', { ttl_seconds: 600 })).toMatchObject(unavailable);
    // Giving back needs nobody's leave.
    expect((await post(`/v1/tasks/${id}/complete`, 'agent:alice', {})).status).toBe(200);
    await until(async () => (await recorded('task.denied', 'agent:alice')).some(({ external }) => (external as { verdict?: string } | undefined)?.verdict === 'unavailable'));
    wire.set('fair');
    await until(async () => (await post(`/v1/tasks/${waiting}/claim`, 'agent:alice', {})).status === 201, { everyMs: 200 });
  }, 60_000);

  it('grants what the other would refuse where it is not configured: nothing else stood in the way (control)', async () => {
    await front(null);
    expect((await post('/v1/tasks', 'agent:bob', WRITE)).status).toBe(201);
  }, 60_000);
});
