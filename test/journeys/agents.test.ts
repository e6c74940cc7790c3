import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const VENDOR = 'agent:vendor-triage';

let broker: RunningBroker;
let admin: string;
let operator: string;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start({ unregistered_agents: 'refuse' });
  admin = await broker.operatorToken('admin');
  operator = await broker.operatorToken('operator');
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const declare = (token: string, fields: object = {}): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', token, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }], ...fields });

const audited = async (type: string): Promise<{ facts: Record<string, unknown> }[]> =>
  (await readFile(broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`))
    .map((line) => {
      const record = JSON.parse(line) as { event?: { facts: Record<string, unknown> }; facts: Record<string, unknown> };
      return record.event ?? record;
    });

async function idOf(subject: string): Promise<string> {
  const { body } = await broker.call('GET', `/v1/agents?subject=${encodeURIComponent(subject)}`, operator);
  return at(body['items'] as { id: string }[], 0).id;
}

describe('agents with owners', () => {
  it('one that nobody registered is refused, on the record; registered, policy decides', async () => {
    const vendor = await broker.agentToken(VENDOR);
    expect(await declare(vendor)).toMatchObject({ status: 403, body: { code: 'agent_unregistered' } });
    const body = { issuer: broker.stack.workloads.issuer, subject: VENDOR, owner: 'team-vendors', purposes: ['support-triage'], review_by: '2999-01-01' };
    const registered = await broker.call('POST', '/v1/agents', admin, body);
    expect(registered).toMatchObject({ status: 201, body: { agent: { source: 'api', owner: 'team-vendors', state: 'enabled', review_overdue: false, registered_by: 'olga' } } });
    expect(registered.headers.get('location')).toBe(`/v1/agents/${(registered.body['agent'] as { id: string }).id}`);
    expect(await declare(vendor)).toMatchObject({ status: 403, body: { code: 'policy_denied', decision: { policies: expect.arrayContaining(['agent-purpose-not-registered']) as unknown } } });
    expect(await declare(vendor, { purpose: 'support-triage' })).toMatchObject({ status: 202, body: { task: { state: 'pending_approval' } } });
    await until(async () => (await audited('task.denied')).length >= 2);
    expect(await audited('task.denied')).toMatchObject([{ facts: { refused: 'agent_unregistered' } }, { facts: { registered: true, owner: 'team-vendors', review_overdue: false } }]);
  });

  it('an overdue review stops an agent until an admin has reviewed it', async () => {
    const vendor = await broker.agentToken(VENDOR);
    const path = `/v1/agents/${await idOf(VENDOR)}`;
    expect(await broker.call('PATCH', path, admin, { review_by: '2020-01-01' })).toMatchObject({ status: 200, body: { agent: { review_overdue: true } } });
    expect(await declare(vendor, { purpose: 'support-triage' })).toMatchObject({ status: 403, body: { decision: { policies: expect.arrayContaining(['agent-review-overdue']) as unknown } } });
    expect((await broker.call('GET', '/v1/agents?review_overdue=true', operator)).body['items']).toMatchObject([{ subject: VENDOR }]);
    expect(await (await fetch(broker.metricsUrl)).text()).toContain('mayfly_agents{state="review_overdue"} 1');
    await broker.call('PATCH', path, admin, { review_by: '2999-01-01' });
    expect((await declare(vendor, { purpose: 'support-triage' })).status).toBe(202);
  });

  it('disabling one cuts its open database session, refuses it, and enabling brings it back', async () => {
    const id = await idOf('agent:refunds');
    const grant = await broker.grant(['orders-db'], { token: agent });
    const client = broker.psql(at(grant.credentials, 0));
    await client.connect();
    const cut = new Promise((resolve) => client.once('end', resolve));
    expect((await broker.call('GET', `/v1/agents/${id}`, operator)).body).toMatchObject({ agent: { source: 'configuration', live_leases: 1, live_tasks: 1 } });

    const disabled = await broker.call('POST', `/v1/agents/${id}/disable`, operator, { reason: 'token seen in a log' });
    expect(disabled).toMatchObject({ status: 200, body: { agent: { state: 'disabled', disabled: { reason: 'token seen in a log', by: 'olga' } }, revocation: { progress: { total: 1 } } } });
    await cut;
    // The database ends the session a moment before the target has confirmed it, and the ledger noted it.
    await until(async () => ((await broker.call('GET', `/v1/agents/${id}`, operator)).body['agent'] as { live_leases: number }).live_leases === 0);
    expect(await declare(agent)).toMatchObject({ status: 403, body: { code: 'agent_disabled' } });
    const orchestrator = await broker.agentToken('orchestrator:support-desk');
    expect(await declare(orchestrator, { agent: 'agent:refunds' })).toMatchObject({ status: 403, body: { code: 'agent_disabled' } });
    expect((await declare(await broker.agentToken('agent:payouts'))).status).toBe(201);

    const { items } = (await broker.call('GET', '/v1/locks', operator)).body as { items: { id: string }[] };
    expect(await broker.call('DELETE', `/v1/locks/${at(items, 0).id}`, admin)).toMatchObject({ status: 409, body: { code: 'lock_of_agent' } });
    expect(await broker.call('POST', `/v1/agents/${id}/enable`, operator, {})).toMatchObject({ status: 403 });
    expect(await broker.call('POST', `/v1/agents/${id}/enable`, admin, {})).toMatchObject({ status: 200, body: { agent: { state: 'enabled', disabled: null, live_leases: 0 } } });
    expect((await declare(agent)).status).toBe(201);
    expect(await broker.call('PATCH', `/v1/agents/${id}`, admin, { owner: 'mallory' })).toMatchObject({ status: 409, body: { code: 'agent_configured' } });
  }, 30_000);

  it('a task that a disabled orchestrator declared cannot be claimed', async () => {
    const orchestrator = await broker.agentToken('orchestrator:support-desk');
    const { task } = (await declare(orchestrator, { agent: 'agent:refunds' })).body as { task: { id: string } };
    const id = await idOf('orchestrator:support-desk');
    await broker.call('POST', `/v1/agents/${id}/disable`, operator, { reason: 'a test' });
    expect(await broker.call('POST', `/v1/tasks/${task.id}/claim`, agent, {})).toMatchObject({ status: 403, body: { code: 'agent_disabled' } });
    await broker.call('POST', `/v1/agents/${id}/enable`, admin, {});
    expect((await broker.call('POST', `/v1/tasks/${task.id}/claim`, agent, {})).status).toBe(201);
  });

  it('of 100 declarations that race a disable, none lives afterwards', async () => {
    const id = await idOf('agent:refunds');
    const racing = Array.from({ length: 100 }, () => declare(agent));
    await Promise.race(racing);
    const disabling = broker.call('POST', `/v1/agents/${id}/disable`, operator, { reason: 'a race' });
    const answers = await Promise.all(racing);
    expect((await disabling).status).toBe(200);
    expect(new Set(answers.map(({ status }) => status))).toContain(201);
    const live = async (state: string): Promise<number> => ((await broker.call('GET', `/v1/tasks?state=${state}&limit=500`, agent)).body['items'] as unknown[]).length;
    await until(async () => (await live('active')) + (await live('minting')) + (await live('ending')) === 0, { timeoutMs: 20_000 });
    expect((await broker.call('GET', `/v1/agents/${id}`, operator)).body).toMatchObject({ agent: { live_tasks: 0 } });
    expect((await declare(agent)).body).toMatchObject({ code: 'agent_disabled' });
    await broker.call('POST', `/v1/agents/${id}/enable`, admin, {});
  }, 60_000);
});
