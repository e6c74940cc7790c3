import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { OPERATIONS } from '../../src/http/openapi/operations.ts';
import { at } from '../support/at.ts';
import { buildDashboard } from '../support/build-dashboard.ts';
import { operationOf, undescribed } from '../support/described-answer.ts';
import { CookieBrowser } from '../support/cookie-browser.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';
import { startTransmitter, type SecurityEventTransmitter } from '../support/security-event-transmitter.ts';
import { startWebhookServer, type WebhookServer } from '../support/webhook-server.ts';

let broker: RunningBroker;
let recipient: WebhookServer;
let transmitter: SecurityEventTransmitter;
let folder: string;
const answered = new Set<string>();

beforeAll(async () => {
  await buildDashboard();
  folder = await mkdtemp(join(tmpdir(), 'mayfly-described-'));
  await writeFile(join(folder, 'secret'), `whsec_${Buffer.alloc(32, 7).toString('base64')}`);
  recipient = await startWebhookServer();
  transmitter = await startTransmitter('signals');
  broker = await RunningBroker.start({ webhooks: [{ name: 'soc', url: recipient.url, secret_files: [join(folder, 'secret')], events: ['*'], allow_private_addresses: true }], signals: { transmitters: [{ issuer: transmitter.issuer, audience: 'signals' }] } });
}, 60_000);

afterAll(async () => {
  recipient.stop();
  transmitter.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

/** Answers the status; `broker.call` throws when the answer is not as described. */
async function call(method: string, path: string, token: string | null, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await broker.call(method, path, token, body);
  note(method, path, answer.status);
  return answer;
}

function note(method: string, path: string, status: number): void {
  const id = operationOf(method, path)?.id;
  if (id !== undefined && status < 400) answered.add(id);
}

/** Asks by plain fetch: bodies that are not JSON, on either side. */
async function ask(method: string, path: string, init: RequestInit = {}): Promise<number> {
  const response = await fetch(`${broker.url}${path}`, { method, ...init });
  const type = response.headers.get('content-type') ?? '';
  const body: unknown = type.includes('json') ? await response.json() : await response.text();
  expect(undescribed(method, path, { status: response.status, headers: response.headers, body })).toBeNull();
  note(method, path, response.status);
  return response.status;
}

describe('real answers are as described', () => {
  it('for a task from its declaration to its end, and for its leases', async () => {
    const viewer = await broker.operatorToken('viewer');
    const operator = await broker.operatorToken('operator');
    const grant = await broker.grant(['orders-db', 'vault-token', 'task-token', 'task-reference'], {
      fields: { justification: 'order 99', ticket: 'OPS-12', data_classes: ['pii'], context: { tool: 'sql.query', rows: 3, dry: false }, heartbeat_seconds: 60 },
    });
    answered.add('declareTask');
    const path = `/v1/tasks/${grant.id}`;
    await call('GET', '/v1/tasks?limit=1', grant.token);
    await call('GET', path, grant.token);
    await call('POST', `${path}/heartbeat`, grant.token);
    const second = await broker.grant(['vault-token']);
    const extra = { name: 'task-reference', ttl_seconds: 60, tool_call: { id: 'c1', tool: 'sql.query' } };
    expect((await call('POST', `/v1/tasks/${second.id}/credentials`, second.token, extra)).status).toBe(201);
    expect((await call('POST', `/v1/tasks/${second.id}/credentials`, second.token, extra)).status).toBe(409);

    await call('GET', '/v1/leases?state=active&limit=2', viewer);
    const lease = at(grant.credentials, 0).lease_id;
    await call('GET', `/v1/leases/${lease}`, viewer);
    await call('POST', `/v1/leases/${lease}/retry`, operator);
    expect((await call('GET', `/v1/leases/${lease}/receipt`, viewer)).status).toBe(409);
    expect((await call('POST', `/v1/leases/${lease}/acknowledge`, operator, { reason: 'seen' })).status).toBe(409);
    expect(await ask('GET', '/v1/receipts/keys')).toBe(200);
    const form = { headers: { Authorization: `Bearer ${grant.token}` }, body: new URLSearchParams({ token: at(grant.credentials, 3).secret['token'] ?? '' }) };
    expect(await ask('POST', '/oauth2/introspect', form)).toBe(200);
    const parameters = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: grant.token, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' };
    const details = JSON.stringify([{ type: 'urn:mayfly:task:v1', purpose: 'refund-investigation', actions: ['read'], context: { tool: 'sql.query' } }]);
    expect(await ask('POST', '/oauth2/token', { body: new URLSearchParams({ ...parameters, resource: 'https://ledger.example.org', authorization_details: details }) })).toBe(200);
    expect(await ask('POST', '/oauth2/token', { body: new URLSearchParams(parameters) })).toBe(400);
    expect(await ask('POST', '/oauth2/revoke', { headers: form.headers, body: new URLSearchParams({ token: 'unknown' }) })).toBe(200);

    await call('POST', '/v1/revocations', operator, { selector: { lease }, reason: 'a test', dry_run: true });
    const revocation = await call('POST', '/v1/revocations', operator, { selector: { task: grant.id }, reason: 'a test' });
    const revocationPath = `/v1/revocations/${(revocation.body['revocation'] as { id: string }).id}`;
    await call('GET', `${revocationPath}?limit=1`, viewer);
    await call('POST', `${revocationPath}/cancel`, operator);
    await call('POST', `${path}/complete`, grant.token, { outcome: 'cancelled' });
    await call('POST', `/v1/tasks/${second.id}/complete`, second.token);
    await until(async () => (await broker.call('GET', `/v1/leases/${lease}/receipt`, viewer)).status === 200);
    await call('GET', `/v1/leases/${lease}/receipt`, viewer);
    await call('GET', '/v1/leases?limit=5000&order=due', viewer);
    expect((await call('GET', '/v1/leases?live=true&state=revoked', viewer)).status).toBe(422);
  });

  it('for a task that is claimed, extended and reissued, and for what is sent twice', async () => {
    const token = await broker.agentToken();
    const declaration = { purpose: 'refund-investigation', actions: ['read'], start: 'claim', claim_ticket: true, credentials: [{ name: 'task-reference' }] };
    const key = { 'Idempotency-Key': 'described' };
    const declared = await broker.call('POST', '/v1/tasks', token, declaration, key);
    expect((await broker.call('POST', '/v1/tasks', token, declaration, key)).status).toBe(200);
    expect((await broker.call('POST', '/v1/tasks', token, { ...declaration, claim_ticket: false }, key)).status).toBe(422);
    const { id, claim_ticket: ticket } = declared.body['task'] as { id: string; claim_ticket: string };
    const path = `/v1/tasks/${id}`;
    expect((await call('POST', `${path}/claim`, token, {})).status).toBe(403);
    expect((await call('POST', `${path}/claim`, token, { claim_ticket: ticket })).status).toBe(201);
    expect((await call('POST', `${path}/claim`, token, { claim_ticket: ticket })).status).toBe(409);
    expect((await call('POST', `${path}/extend`, token, { ttl_seconds: 600 })).status).toBe(200);
    expect((await call('POST', `${path}/reissue`, token, { name: 'task-reference' })).status).toBe(201);
    const parent = await broker.grant(['orders-db'], { token });
    const part = { agent: 'agent:payouts', actions: ['read'], credentials: [{ name: 'orders-db', ttl_seconds: 60 }] };
    expect((await call('POST', `/v1/tasks/${parent.id}/delegate`, token, part)).status).toBe(202);
    expect((await call('POST', `${path}/delegate`, token, part)).status).toBe(422);
    expect((await call('GET', `/v1/tasks/${parent.id}/tree`, await broker.operatorToken('viewer'))).body['tree']).toHaveLength(2);
    await broker.complete(parent);
    expect((await call('POST', `${path}/tool-calls`, token, { id: 'c1', tool: 'sql.query', outcome: 'succeeded', note: 'one row' })).status).toBe(201);
    await call('POST', `${path}/complete`, token);
  });

  it('for a task that waits for a human', async () => {
    const operator = await broker.operatorToken();
    const declaration = { purpose: 'data-export', actions: ['export'], credentials: [{ name: 'orders-db' }] };
    const declared = await broker.call('POST', '/v1/tasks', await broker.agentToken(), declaration);
    const path = `/v1/tasks/${(declared.body['task'] as { id: string }).id}/approval`;
    expect((await call('GET', '/v1/approvals', operator)).body['items']).toHaveLength(1);
    expect((await call('GET', path, operator)).status).toBe(200);
    expect((await call('POST', path, operator, { decision: 'maybe' })).status).toBe(422);
    expect((await call('POST', path, operator, { decision: 'deny', note: 'a test' })).status).toBe(200);
    expect((await call('POST', path, operator, { decision: 'approve' })).status).toBe(409);
    expect((await call('GET', '/v1/approvals?state=denied&limit=1', operator)).status).toBe(200);
  });

  it('for a lock from its placing to its lifting, and for whom it refuses', async () => {
    const operator = await broker.operatorToken('operator');
    const until = new Date(Date.now() + 60_000).toISOString();
    const placed = await call('POST', '/v1/locks', operator, { selector: { agent: 'agent:payouts', credential: 'task-token' }, reason: 'a test', until, revoke: true });
    expect(placed.status).toBe(201);
    const path = `/v1/locks/${(placed.body['lock'] as { id: string }).id}`;
    expect((await call('GET', '/v1/locks', operator)).status).toBe(200);
    expect((await call('GET', path, operator)).status).toBe(200);
    const declaration = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }] };
    expect((await call('POST', '/v1/tasks', await broker.agentToken('agent:payouts'), declaration)).status).toBe(403);
    expect((await call('DELETE', path, operator)).status).toBe(200);
    expect((await call('DELETE', path, operator)).status).toBe(404);
    expect((await call('POST', '/v1/locks', operator, { selector: { all: true }, reason: 'a test' })).status).toBe(422);
  });

  it('for an agent from its registration to its return', async () => {
    const admin = await broker.operatorToken('admin');
    const registration = { issuer: broker.stack.workloads.issuer, subject: 'agent:described', owner: 'team-docs', purposes: ['refund-investigation'], review_by: '2999-12-31' };
    const registered = await call('POST', '/v1/agents', admin, registration);
    expect(registered.status).toBe(201);
    const path = `/v1/agents/${(registered.body['agent'] as { id: string }).id}`;
    expect((await call('POST', '/v1/agents', admin, registration)).status).toBe(409);
    expect((await call('POST', '/v1/agents', admin, { ...registration, purposes: ['world-peace'] })).status).toBe(422);
    const page = await call('GET', '/v1/agents?limit=1', admin);
    const second = await call('GET', `/v1/agents?limit=500&cursor=${String(page.body['next_cursor'])}`, admin);
    expect([page, second].flatMap(({ body }) => body['items'])).toHaveLength(4);
    expect((await call('GET', '/v1/agents?cursor=MTp0c2tfMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA', admin)).status).toBe(422);
    expect((await call('GET', path, admin)).status).toBe(200);
    expect((await call('PATCH', path, admin, { description: 'changed' })).status).toBe(200);
    expect((await call('POST', `${path}/disable`, admin, { reason: 'a test' })).status).toBe(200);
    const declaration = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }] };
    expect((await call('POST', '/v1/tasks', await broker.agentToken('agent:described'), declaration)).status).toBe(403);
    const { items } = (await call('GET', '/v1/locks', admin)).body as { items: { id: string }[] };
    expect((await call('DELETE', `/v1/locks/${items[0]?.id ?? ''}`, admin)).status).toBe(409);
    expect((await call('POST', `${path}/enable`, admin, {})).status).toBe(200);
  });

  it('for a ledger that is looked at, and for one that lost its records', async () => {
    const admin = await broker.operatorToken('admin');
    expect((await call('GET', '/v1/hold', admin)).body).toEqual({ hold: null });
    expect((await call('POST', '/v1/hold/release', admin, { reason: 'a test' })).status).toBe(409);
    const asked = await call('POST', '/v1/reconciliations', admin, { dry_run: true });
    expect(asked.status).toBe(202);
    const path = `/v1/reconciliations/${(asked.body['reconciliation'] as { id: string }).id}`;
    await until(async () => ((await call('GET', path, admin)).body['reconciliation'] as { state: string }).state === 'done');
    const redis = new Redis(broker.stack.redis.url);
    await redis.flushall();
    redis.disconnect();
    const declaration = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }] };
    expect((await call('POST', '/v1/tasks', await broker.agentToken(), declaration)).status).toBe(503);
    expect((await call('GET', '/v1/hold', admin)).body).toMatchObject({ hold: { why: 'wiped' } });
    expect((await call('POST', '/v1/hold/release', admin, { reason: 'a test' })).status).toBe(200);
  });

  it('for those who are told', async () => {
    const admin = await broker.operatorToken('admin');
    expect((await call('GET', '/v1/webhooks', admin)).status).toBe(200);
    expect((await call('POST', '/v1/webhooks/soc/test', admin)).body).toMatchObject({ test: { delivered: true } });
    expect((await call('POST', '/v1/webhooks/soc/enable', admin, {})).status).toBe(200);
    expect((await call('POST', '/v1/webhooks/unknown/enable', admin)).status).toBe(404);
  });

  it('for a signal', async () => {
    const about = { format: 'iss_sub', iss: transmitter.issuer, sub: 'agent:nobody' };
    const headers = { 'Content-Type': 'application/secevent+jwt' };
    expect(await ask('POST', '/v1/security-events', { headers, body: await transmitter.sign(about) })).toBe(202);
    expect(await ask('POST', '/v1/security-events', { headers, body: 'x.y.z' })).toBe(400);
  });

  it('for those who watch and audit', async () => {
    const viewer = await broker.operatorToken('viewer');
    const evaluation = { agent: 'agent:refunds', purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }] };
    expect((await call('POST', '/v1/policy/evaluate', viewer, evaluation)).status).toBe(200);
    expect((await call('POST', '/v1/policy/replay', viewer, { since: '2026-01-05T00:00:00Z' })).status).toBe(200);
    const question = { subject: { type: 'agent', id: 'agent:refunds' }, action: { name: 'mint' }, resource: { type: 'credential', id: 'task-reference' }, context: { purpose: 'refund-investigation', actions: ['read'] } };
    expect((await call('POST', '/access/v1/evaluation', viewer, question)).body).toMatchObject({ decision: true });
    expect((await call('POST', '/access/v1/evaluations', viewer, { ...question, evaluations: [{}] })).body).toMatchObject({ evaluations: [{ decision: true }] });
    expect((await call('GET', '/.well-known/authzen-configuration', null)).status).toBe(200);
    expect((await call('GET', '/v1/whoami', viewer)).status).toBe(200);
    expect((await call('GET', '/v1/overview', viewer)).status).toBe(200);
    await until(async () => (await call('GET', '/v1/audit?limit=5', viewer)).status === 200, { everyMs: 100 });
    expect((await call('GET', '/v1/audit/story?agent=agent:refunds', viewer)).body).toMatchObject({ agent: 'agent:refunds' });
    await until(async () => (await call('GET', '/v1/audit/checkpoint', viewer)).status === 200, { everyMs: 200 });
    const { note: signed } = (await call('GET', '/v1/audit/checkpoint', viewer)).body as { note: string };
    expect((await call('GET', '/v1/audit/proof?record=1', viewer)).body).toMatchObject({ records: [{ index: 0 }] });
    expect((await call('GET', `/v1/audit/consistency?from=${signed.split('\n')[1] ?? ''}`, viewer)).body).toMatchObject({ old: signed });
    expect(await ask('GET', '/v1/audit/export?type=sealer', { headers: { Authorization: `Bearer ${viewer}` } })).toBe(200);
    expect(await ask('GET', '/')).toBe(200);
    const [, script = ''] = /src="(\/assets\/[^"]+\.js)"/.exec(await (await fetch(broker.url)).text()) ?? [];
    expect(await ask('GET', script)).toBe(200);
    const stream = await fetch(`${broker.url}/v1/events`, { headers: { Authorization: `Bearer ${viewer}` } });
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/event-stream')]);
    note('GET', '/v1/events', stream.status);
    await stream.body?.cancel();
  }, 30_000);

  it('for a person who signs in and out, and for an issuer that ends the sessions of one', async () => {
    await call('GET', '/auth/methods', null);
    const person = new CookieBrowser(broker.url);
    const sent = await person.ask('/auth/sign-in');
    const back = await person.signIn('ada');
    for (const [path, { status, headers }] of [['/auth/sign-in', sent], ['/auth/callback', back]] as const) {
      expect([status, undescribed('GET', path, { status, headers, body: '' })]).toEqual([303, null]);
      note('GET', path, status);
    }
    expect((await call('GET', '/auth/callback', null)).status).toBe(403);
    expect((await call('GET', '/auth/sign-in?return_to=elsewhere', null)).status).toBe(422);
    expect((await call('POST', '/v1/sign-outs', await broker.operatorToken('admin'), { subject: 'vera', reason: 'a test' })).status).toBe(200);
    const signedOut = await person.act('POST', '/auth/sign-out', { everywhere: true });
    expect([signedOut.status, await signedOut.json()]).toEqual([200, { end_session_url: null }]);
    expect((await call('POST', '/auth/sign-out', null)).status).toBe(200);
    const logout = { subject: 'vera', audience: 'mayfly-dev-dashboard', type: 'logout+jwt', claims: { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } } };
    const token = await broker.stack.operators.sign(logout);
    expect(await ask('POST', '/auth/back-channel-logout', { body: new URLSearchParams({ logout_token: token }) })).toBe(200);
    expect(await ask('POST', '/auth/back-channel-logout', { body: new URLSearchParams({ logout_token: token }) })).toBe(400);
  });

  it('for a lease that is stuck', async () => {
    const operator = await broker.operatorToken('operator');
    const lease = at((await broker.grant(['vault-token'])).credentials, 0).lease_id;
    const { policy } = await broker.bao('GET', 'sys/policies/acl/mayfly-worker');
    await broker.bao('PUT', 'sys/policies/acl/mayfly-worker', { policy: 'path "auth/token/lookup-self" { capabilities = ["read"] }' });
    try {
      await broker.call('POST', '/v1/revocations', operator, { selector: { lease }, reason: 'a test' });
      await until(async () => ((await broker.call('GET', `/v1/leases/${lease}`, operator)).body['lease'] as { state: string }).state === 'stuck');
      expect((await call('POST', `/v1/leases/${lease}/acknowledge`, operator, { reason: 'the right is being restored' })).status).toBe(200);
    } finally {
      await broker.bao('PUT', 'sys/policies/acl/mayfly-worker', { policy });
    }
    expect((await call('POST', `/v1/leases/${lease}/retry`, operator)).body['lease']).toMatchObject({ acknowledged: { by: 'olga', reason: 'the right is being restored' } });
    await until(async () => ((await broker.call('GET', `/v1/leases/${lease}`, operator)).body['lease'] as { state: string }).state === 'revoked');
  }, 30_000);

  it('for those who look after the broker', async () => {
    for (const path of ['/livez', '/readyz', '/healthz', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server', '/.well-known/oauth-protected-resource', '/openapi.json']) await call('GET', path, null);
    for (const path of ['/docs', '/oauth2/schemas/task-v1.json']) expect(await ask('GET', path)).toBe(200);
  });

  it('for a denial, an unknown credential and a task that has ended', async () => {
    const token = await broker.agentToken();
    const declaration = { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }] };
    expect((await call('POST', '/v1/tasks', token, { ...declaration, purpose: 'marketing' })).status).toBe(403);
    expect((await call('POST', '/v1/tasks', token, { ...declaration, credentials: [{ name: 'nothing' }] })).status).toBe(422);
    const { id } = await broker.grant(['task-token']);
    await call('POST', `/v1/tasks/${id}/complete`, token);
    expect((await call('POST', `/v1/tasks/${id}/heartbeat`, token)).status).toBe(409);
    expect((await call('GET', '/v1/tasks/tsk_00000000000000000000000000000000', token)).status).toBe(404);
  });

  it('for bodies and paths that nobody can read', async () => {
    const headers = { Authorization: `Bearer ${await broker.agentToken()}`, 'Content-Type': 'application/json' };
    expect(await ask('POST', '/v1/tasks', { headers, body: '{' })).toBe(400);
    expect(await ask('POST', '/v1/tasks', { headers, body: new Uint8Array([0xff]) })).toBe(400);
    expect(await ask('POST', '/v1/tasks', { headers, body: ' '.repeat(65 * 1024) })).toBe(413);
    expect(await ask('POST', '/v1/tasks', { headers: { ...headers, 'Content-Type': 'text/plain' }, body: 'x' })).toBe(415);
    expect(await ask('POST', '/v1/tasks', { headers: { ...headers, 'Content-Encoding': 'gzip' }, body: 'x' })).toBe(415);
    expect(await ask('GET', '/v1/tasks/%E0%A4%A', { headers })).toBe(400);
    expect(await ask('GET', '/v1/tasks?limit=0&limit=1', { headers })).toBe(422);
  });

  it('for a method that a path does not take', async () => {
    const response = await fetch(`${broker.url}/v1/tasks`, { method: 'DELETE' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, GET, HEAD']);
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed', instance: '/v1/tasks' });
    expect((await fetch(`${broker.url}/v1/tasks/x/complete`, { method: 'PUT' })).headers.get('allow')).toBe('POST');
    expect((await fetch(`${broker.url}/v1/nothing`, { method: 'DELETE' })).status).toBe(404);
  });

  it('for /openapi.json and /docs, whose page may run nothing', async () => {
    const document = (await broker.call('GET', '/openapi.json', null)).body;
    expect(document).toMatchObject({ openapi: '3.1.1', info: { version: expect.stringMatching(/^\d+\.\d+\.\d+/) } });
    const page = await fetch(`${broker.url}/docs`);
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(await page.text()).toContain('POST /v1/tasks');
  });

  it('has seen every operation answer well: add a call above for each that is missing', () => {
    expect(OPERATIONS.map(({ id }) => id).filter((id) => !answered.has(id))).toEqual([]);
  });
});

