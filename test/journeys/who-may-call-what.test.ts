import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { CookieBrowser } from '../support/cookie-browser.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let tokens: Readonly<Record<string, string | null>>;
let taskId: string;
let leaseId: string;
/** The same roles, of people who signed in with a browser. */
let signedIn: Readonly<Record<string, CookieBrowser>>;

beforeAll(async () => {
  broker = await RunningBroker.start();
  const agent = await broker.agentToken();
  tokens = {
    agent,
    'another agent': await broker.agentToken('agent:payouts'),
    'an orchestrator': await broker.agentToken('orchestrator:support-desk'),
    viewer: await broker.operatorToken('viewer'),
    operator: await broker.operatorToken('operator'),
    admin: await broker.operatorToken('admin'),
    nobody: null,
  };
  signedIn = { viewer: new CookieBrowser(broker.url), operator: new CookieBrowser(broker.url), admin: new CookieBrowser(broker.url) };
  for (const [role, person] of [['viewer', 'vera'], ['operator', 'olga'], ['admin', 'ada']] as const) await signedIn[role]?.signIn(person);
  const grant = await broker.grant(['task-reference'], { token: agent });
  taskId = grant.id;
  leaseId = at(grant.credentials, 0).lease_id;
  // The audit file is made with its first record.
  await until(async () => (await broker.call('GET', '/v1/audit', tokens['viewer'] ?? null)).status === 200);
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** A task that the orchestrator declared for the agent: the declarer looks, keeps it alive and completes it, no more. */
const DECLARED_FOR: readonly (readonly [call: string, answers: Readonly<Record<'agent' | 'another agent' | 'an orchestrator', number>>])[] = [
  ['GET /v1/tasks/:task', { agent: 200, 'another agent': 404, 'an orchestrator': 200 }],
  ['POST /v1/tasks/:task/heartbeat', { agent: 422, 'another agent': 404, 'an orchestrator': 422 }],
  ['POST /v1/tasks/:task/complete', { agent: 422, 'another agent': 404, 'an orchestrator': 422 }],
  ['POST /v1/tasks/:task/claim', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
  ['POST /v1/tasks/:task/credentials', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
  ['POST /v1/tasks/:task/delegate', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
  ['POST /v1/tasks/:task/reissue', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
  ['POST /v1/tasks/:task/extend', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
  ['POST /v1/tasks/:task/tool-calls', { agent: 422, 'another agent': 404, 'an orchestrator': 404 }],
];

const CALLERS = ['agent', 'another agent', 'an orchestrator', 'viewer', 'operator', 'admin', 'nobody'] as const;

/** The answer to each caller, in the order of CALLERS. A body that is wrong on purpose shows that rights come before shape. */
const TABLE: readonly (readonly [call: string, body: object | undefined, answers: readonly number[]])[] = [
  ['POST /v1/tasks', { wrong: 1 }, [422, 422, 422, 403, 403, 403, 401]],
  ['GET /v1/tasks', undefined, [200, 200, 200, 200, 200, 200, 401]],
  ['GET /v1/tasks?owner=team', undefined, [422, 422, 422, 200, 200, 200, 401]],
  ['GET /v1/tasks/:task', undefined, [200, 404, 404, 200, 200, 200, 401]],
  ['GET /v1/tasks/:task/tree', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['POST /v1/tasks/:task/credentials', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/claim', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/delegate', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/reissue', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/extend', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/tool-calls', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/heartbeat', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['POST /v1/tasks/:task/complete', { wrong: 1 }, [422, 404, 404, 403, 403, 403, 401]],
  ['GET /v1/approvals', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/approvals?state=x', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/tasks/:task/approval', undefined, [403, 403, 403, 409, 409, 409, 401]],
  ['POST /v1/tasks/:task/approval', { decision: 'approve' }, [403, 403, 403, 403, 409, 409, 401]],
  ['POST /v1/tasks/tsk_00000000000000000000000000000000/approval', { wrong: 1 }, [403, 403, 403, 403, 404, 404, 401]],
  ['GET /v1/leases', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/leases/:lease', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/leases/:lease/receipt', undefined, [403, 403, 403, 409, 409, 409, 401]],
  ['POST /v1/leases/:lease/acknowledge', { wrong: 1 }, [403, 403, 403, 403, 422, 422, 401]],
  ['GET /v1/receipts/keys', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['POST /v1/leases/:lease/retry', undefined, [403, 403, 403, 403, 202, 202, 401]],
  ['POST /v1/revocations', { selector: {} }, [403, 403, 403, 403, 422, 422, 401]],
  ['GET /v1/revocations/rev_00000000000000000000000000000000', undefined, [403, 403, 403, 404, 404, 404, 401]],
  ['POST /v1/revocations/rev_00000000000000000000000000000000/cancel', undefined, [403, 403, 403, 403, 404, 404, 401]],
  ['POST /v1/agents', { wrong: 1 }, [403, 403, 403, 403, 403, 422, 401]],
  ['GET /v1/agents', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/agents/agt_00000000000000000000000000000000', undefined, [403, 403, 403, 404, 404, 404, 401]],
  ['PATCH /v1/agents/agt_00000000000000000000000000000000', { wrong: 1 }, [403, 403, 403, 403, 403, 422, 401]],
  ['POST /v1/agents/agt_00000000000000000000000000000000/disable', { wrong: 1 }, [403, 403, 403, 403, 422, 422, 401]],
  ['POST /v1/agents/agt_00000000000000000000000000000000/enable', {}, [403, 403, 403, 403, 403, 404, 401]],
  ['POST /v1/locks', { selector: {} }, [403, 403, 403, 403, 422, 422, 401]],
  ['GET /v1/locks', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/locks/lck_00000000000000000000000000000000', undefined, [403, 403, 403, 404, 404, 404, 401]],
  ['DELETE /v1/locks/lck_00000000000000000000000000000000', undefined, [403, 403, 403, 403, 404, 404, 401]],
  ['GET /v1/hold', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['POST /v1/hold/release', { wrong: 1 }, [403, 403, 403, 403, 403, 422, 401]],
  ['POST /v1/reconciliations', { wrong: 1 }, [403, 403, 403, 403, 422, 422, 401]],
  ['GET /v1/reconciliations/rec_00000000000000000000000000000000', undefined, [403, 403, 403, 404, 404, 404, 401]],
  ['GET /v1/overview', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/audit?limit=1', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/audit?limit=x', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/audit/story?agent=agent:refunds', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/audit/story?limit=x', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/audit/export?type=sealer', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['GET /v1/audit/export?format=x', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/audit/proof?record=evt_none', undefined, [403, 403, 403, 404, 404, 404, 401]],
  ['GET /v1/audit/proof', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/audit/consistency?from=900000000', undefined, [403, 403, 403, 409, 409, 409, 401]],
  ['GET /v1/audit/consistency?from=0', undefined, [403, 403, 403, 422, 422, 422, 401]],
  ['GET /v1/webhooks', undefined, [403, 403, 403, 200, 200, 200, 401]],
  ['POST /v1/webhooks/none/enable', { wrong: 1 }, [403, 403, 403, 403, 403, 422, 401]],
  ['POST /v1/webhooks/none/test', {}, [403, 403, 403, 403, 403, 404, 401]],
  ['POST /v1/policy/evaluate', { wrong: 1 }, [403, 403, 403, 422, 422, 422, 401]],
  ['POST /v1/policy/replay', { wrong: 1 }, [403, 403, 403, 422, 422, 422, 401]],
  ['POST /v1/sign-outs', { wrong: 1 }, [403, 403, 403, 403, 403, 422, 401]],
  ['GET /auth/methods', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['GET /auth/sign-in?return_to=//elsewhere.example', undefined, [422, 422, 422, 422, 422, 422, 422]],
  ['GET /auth/callback', undefined, [403, 403, 403, 403, 403, 403, 403]],
  ['POST /auth/sign-out', { wrong: 1 }, [422, 422, 422, 422, 422, 422, 422]],
  ['GET /v1/whoami', undefined, [200, 200, 200, 200, 200, 200, 401]],
  // The development configuration lists the orchestrator as an enforcement point.
  ['POST /access/v1/evaluation', { wrong: 1 }, [403, 403, 400, 400, 400, 400, 401]],
  ['POST /access/v1/evaluations', { wrong: 1 }, [403, 403, 400, 400, 400, 400, 401]],
  ['GET /.well-known/authzen-configuration', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['GET /.well-known/jwks.json', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['GET /livez', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['GET /readyz', undefined, [200, 200, 200, 200, 200, 200, 200]],
  ['GET /v1/nothing', undefined, [404, 404, 404, 404, 404, 404, 404]],
];

describe('who may call what', () => {
  const cases = TABLE.flatMap(([call, body, answers]) => CALLERS.map((caller, index) => [call, caller, at(answers, index), body] as const));

  it.each(cases)('%s by %s answers %i', async (call, caller, expected, body) => {
    const [method = '', path = ''] = call.replace(':task', taskId).replace(':lease', leaseId).split(' ');
    const answer = await broker.call(method, path, tokens[caller] ?? null, body);
    expect(answer.status).toBe(expected);
    if (answer.status >= 400) {
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
      expect(answer.body).toMatchObject({ status: answer.status, type: expect.stringMatching(/^urn:mayfly:problem:/), request_id: expect.any(String) });
    }
  });

  const bySession = cases.filter(([, caller]) => ['viewer', 'operator', 'admin'].includes(caller));

  it.each(bySession)('%s by a signed-in %s answers %i, as by a token', async (call, role, expected, body) => {
    const [method = '', path = ''] = call.replace(':task', taskId).replace(':lease', leaseId).split(' ');
    const answer = await broker.call(method, path, null, body, signedIn[role]?.headers());
    expect([answer.status, answer.body['code']]).toEqual([expected, expected >= 400 ? expect.stringMatching(/^(?!cross_site_request|session_ended)/) : undefined]);
  });

  const changes = bySession.filter(([call]) => !call.startsWith('GET ') && call !== 'POST /auth/sign-out');

  it.each(changes)('%s by a signed-in %s is refused from the page of another site (and answers %i from its own)', async (call, role, _own, body) => {
    const [method = '', path = ''] = call.replace(':task', taskId).replace(':lease', leaseId).split(' ');
    const headers = { ...signedIn[role]?.headers(), 'Sec-Fetch-Site': 'cross-site' };
    expect(await broker.call(method, path, null, body, headers)).toMatchObject({ status: 403, body: { code: 'cross_site_request' } });
  });

  const declaredFor = DECLARED_FOR.flatMap(([call, answers]) => Object.entries(answers).map(([caller, expected]) => [call, caller, expected] as const));

  it.each(declaredFor)('of a task the orchestrator declared, %s by %s answers %i', async (call, caller, expected) => {
    const declaration = { purpose: 'refund-investigation', actions: ['read'], agent: 'agent:refunds', start: 'claim', credentials: [{ name: 'task-reference' }] };
    const declared = await broker.call('POST', '/v1/tasks', tokens['an orchestrator'] ?? null, declaration);
    expect(declared.status).toBe(202);
    const { id } = declared.body['task'] as { id: string };
    const [method = '', path = ''] = call.replace(':task', id).split(' ');
    expect((await broker.call(method, path, tokens[caller] ?? null, method === 'GET' ? undefined : { wrong: 1 })).status).toBe(expected);
  });

  it('shows a list of tasks only to those they belong to', async () => {
    const items = async (caller: string) => (await broker.call('GET', '/v1/tasks', tokens[caller] ?? null)).body['items'] as { id: string }[];
    expect((await items('agent')).map((task) => task.id)).toContain(taskId);
    expect(await items('another agent')).toEqual([]);
  });

  it('binds a task to its agent by issuer and subject: the same name from another issuer is nobody here', async () => {
    const stranger = await broker.stack.operators.sign({ subject: 'agent:refunds', audience: broker.stack.workloads.audience });
    expect((await broker.call('GET', `/v1/tasks/${taskId}`, stranger)).status).toBe(401);
  });

  it('never shows a secret again', async () => {
    const answer = await broker.call('GET', `/v1/tasks/${taskId}`, tokens['agent'] ?? null);
    expect(JSON.stringify(answer.body)).not.toContain('secret');
  });
});

describe('what policy says', () => {
  const declare = (fields: object) => async () =>
    broker.call('POST', '/v1/tasks', tokens['agent'] ?? null, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-token' }], ...fields });

  it.each([
    ['an action it does not permit', { actions: ['write'] }, 403, 'policy_denied'],
    ['a purpose nobody defined', { purpose: 'because' }, 403, 'policy_denied'],
    ['a data class it does not permit', { data_classes: ['financial'] }, 403, 'policy_denied'],
    ['personal data for too long', { data_classes: ['pii'], ttl_seconds: 901 }, 403, 'policy_denied'],
    ['a lifetime above the ceiling', { ttl_seconds: 3_601 }, 422, 'invalid_request'],
    ['a credential nobody configured', { credentials: [{ name: 'root' }] }, 422, 'invalid_request'],
    ['a parameter nobody defined', { credentials: [{ name: 'task-token', params: { x: 1 } }] }, 422, 'invalid_request'],
    ['another agent, without leave to declare for it', { agent: 'agent:payouts' }, 403, 'policy_denied'],
    ['another agent, at once', { agent: 'agent:payouts', start: 'now' }, 422, 'invalid_request'],
    ['an agent of a trust domain nobody configured', { agent: 'spiffe://elsewhere.org/agent' }, 422, 'invalid_request'],
    ['an agent of an issuer nobody configured', { agent: 'agent:payouts', agent_issuer: 'https://elsewhere.org' }, 422, 'invalid_request'],
  ])('refuses %s', async (_name, fields, status, code) => {
    expect(await declare(fields)()).toMatchObject({ status, body: { code } });
  });

  it('gives the decision and the published reason with a denial, and points at unknown words', async () => {
    expect(await declare({ data_classes: ['pii'], ttl_seconds: 901, credentials: [{ name: 'task-reference' }] })()).toMatchObject({
      body: { detail: 'with personal data a credential may live 15 minutes at most', decision: { result: 'deny', policies: ['ttl-pii-quarter-hour'] } },
    });
    expect(await declare({ purpose: 'because' })()).toMatchObject({ body: { errors: [{ pointer: '/purpose' }], decision: { id: expect.stringMatching(/^dec_/) } } });
  });

  it('lets an export wait for a human, without a credential', async () => {
    const answer = await declare({ purpose: 'data-export', actions: ['export'], credentials: [{ name: 'orders-db' }] })();
    expect(answer).toMatchObject({ status: 202, body: { task: { state: 'pending_approval', decision: { result: 'approval_required' } }, credentials: [] } });
  });

  it('decides an extra credential afresh, within the task', async () => {
    const agent = tokens['agent'] ?? '';
    const grant = await broker.grant(['task-token'], { token: agent, ttlSeconds: 60 });
    const extra = (body: object) => broker.call('POST', `/v1/tasks/${grant.id}/credentials`, agent, body);
    expect(await extra({ name: 'task-reference', ttl_seconds: 30, tool_call: { id: 'call_1', tool: 'ledger.post' } })).toMatchObject({ status: 201, body: { credentials: [{ name: 'task-reference' }] } });
    expect(await extra({ name: 'task-reference' })).toMatchObject({ status: 409, body: { code: 'duplicate_credential' } });
    expect(await extra({ name: 'vault-token', ttl_seconds: 61 })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/ttl_seconds' }] } });
    await broker.complete(grant);
    expect(await extra({ name: 'vault-token' })).toMatchObject({ status: 409, body: { code: 'task_not_active' } });
  });

  it('refuses bodies that are not JSON, not UTF-8, too large or of another type', async () => {
    const send = (body: string | Buffer<ArrayBuffer>, type = 'application/json') =>
      fetch(`${broker.url}/v1/tasks`, { method: 'POST', headers: { Authorization: `Bearer ${tokens['agent'] ?? ''}`, 'Content-Type': type }, body });
    const statuses = await Promise.all([
      send('{'),
      send(Buffer.from([0x7b, 0xff, 0x7d])),
      send(JSON.stringify({ justification: 'x'.repeat(65 * 1024) })),
      send('a=b', 'application/x-www-form-urlencoded'),
    ]);
    expect(statuses.map((answer) => answer.status)).toEqual([400, 400, 413, 415]);
  });
});
