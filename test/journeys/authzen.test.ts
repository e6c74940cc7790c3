import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ORCHESTRATOR } from '../../dev/dev-identities.ts';
import { at } from '../support/at.ts';
import { ADMINS, AUTHZEN_CASES, AUTHZEN_POLICIES, type AuthzenCase } from '../support/authzen-cases.ts';
import { undescribed } from '../support/described-answer.ts';
import { RunningBroker } from '../support/running-broker.ts';
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
  broker = await RunningBroker.start({ policy: { directory: folder } });
  // A broker that is killed keeps the audit log for itself a while longer.
  await broker.broker?.stop();
  await broker.reconfigure((config) => {
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
    const agents = async (): Promise<unknown[]> => ((await broker.call('GET', '/v1/audit?limit=200', viewer)).body['items'] as { event: { agent: { subject: string } | null } }[]).map(({ event }) => event.agent?.subject);
    await until(async () => (await agents()).includes('agent:denied'));
    expect(await agents()).not.toContain('agent:asked-about');
  });
});
