import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { at } from '../support/at.ts';
import { RunningBroker, type GrantedCredential, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let orchestrator: string;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start({ limits: { claim_window_seconds: 5, waiting_claims_per_agent: 5 } });
  orchestrator = await broker.agentToken('orchestrator:support-desk');
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly end_reason: string | null;
  readonly expires_at: string;
  readonly waits_until: string | null;
  readonly claim_ticket?: string;
}
const taskOf = ({ body }: HttpAnswer): TaskAnswer => body['task'] as TaskAnswer;
const credentialsOf = ({ body }: HttpAnswer): readonly GrantedCredential[] => body['credentials'] as GrantedCredential[];

const declare = (fields: object = {}, token = orchestrator): Promise<HttpAnswer> =>
  broker.call('POST', '/v1/tasks', token, {
    purpose: 'refund-investigation',
    actions: ['read'],
    agent: 'agent:refunds',
    start: 'claim',
    ttl_seconds: 120,
    credentials: [{ name: 'orders-db' }],
    ...fields,
  });
const claim = (id: string, token = agent, body: object = {}): Promise<HttpAnswer> => broker.call('POST', `/v1/tasks/${id}/claim`, token, body);
const audit = async (type: string, task: string): Promise<{ by: { subject: string } }[]> =>
  (await readFile(broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`) && line.includes(task))
    .map((line) => (JSON.parse(line) as { event: { by: { subject: string } } }).event);

describe('a task declared for another agent', () => {
  it('mints nothing until that agent claims it, and its lifetime begins then', async () => {
    const declared = await declare();
    expect(declared).toMatchObject({ status: 202, body: { task: { state: 'pending_claim', agent: 'agent:refunds', declarer: 'orchestrator:support-desk' }, credentials: [] } });
    expect(await broker.liveTokens()).toEqual([]);
    const waiting = taskOf(declared);
    const claimed = await claim(waiting.id);
    expect(claimed).toMatchObject({ status: 201, body: { task: { state: 'active', waits_until: null } } });
    expect(Date.parse(taskOf(claimed).expires_at) - Date.now()).toBeGreaterThan(110_000);
    // While it waits, the task says the latest it can end.
    expect(Date.parse(taskOf(claimed).expires_at)).toBeLessThanOrEqual(Date.parse(waiting.expires_at));
    expect(await broker.canLogIn(at(credentialsOf(claimed), 0))).toBe(true);
    expect(await broker.call('POST', `/v1/tasks/${waiting.id}/complete`, orchestrator, {})).toMatchObject({ status: 200, body: { credentials: [{ state: 'revoked' }] } });
    expect(await broker.canLogIn(at(credentialsOf(claimed), 0))).toBe(false);
  });

  it('is not started by another agent or its declarer, and who tried is on the record', async () => {
    const { id } = taskOf(await declare());
    const other = await broker.agentToken('agent:payouts');
    expect((await claim(id, other)).status).toBe(404);
    expect((await claim(id, orchestrator)).status).toBe(404);
    expect((await claim(id)).status).toBe(201);
    expect(await claim(id)).toMatchObject({ status: 409, body: { code: 'already_claimed' } });
    await until(async () => (await audit('task.claim_refused', id)).length === 3);
    expect((await audit('task.claim_refused', id)).map(({ by }) => by.subject)).toEqual(['agent:payouts', 'orchestrator:support-desk', 'agent:refunds']);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
  });

  it('is claimed once, however many try at once', async () => {
    const { id } = taskOf(await declare());
    const answers = await Promise.all(Array.from({ length: 20 }, () => claim(id)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(await broker.liveTokens()).toHaveLength(1);
    await broker.call('POST', `/v1/tasks/${id}/complete`, agent, {});
    await until(async () => (await broker.liveTokens()).length === 0);
  });

  it('needs policy to let the declarer declare for that agent', async () => {
    expect(await declare({ agent: 'agent:payouts' })).toMatchObject({ status: 403, body: { code: 'policy_denied' } });
    expect(await declare({ agent: 'orchestrator:support-desk' }, agent)).toMatchObject({ status: 403 });
  });

  it('is bound to the instance that claims it', async () => {
    const replica = (uid: string): Promise<string> => broker.stack.workloads.sign({ subject: 'agent:refunds', claims: { run_id: uid } });
    const [first, second] = await Promise.all([replica('run-1'), replica('run-2')]);
    const { id } = taskOf(await declare({ credentials: [{ name: 'task-reference' }] }));
    expect((await claim(id, first)).status).toBe(201);
    expect((await claim(id, second)).status).toBe(404);
    expect((await broker.call('GET', `/v1/tasks/${id}`, second)).status).toBe(404);
    expect((await broker.call('GET', `/v1/tasks/${id}`, first)).status).toBe(200);
  });

  it('ends unclaimed when its window has passed', async () => {
    const { id } = taskOf(await declare());
    await until(async () => taskOf(await broker.call('GET', `/v1/tasks/${id}`, orchestrator)).state === 'ended', { timeoutMs: 20_000, everyMs: 200 });
    expect(taskOf(await broker.call('GET', `/v1/tasks/${id}`, orchestrator)).end_reason).toBe('unclaimed');
    expect(await claim(id)).toMatchObject({ status: 409, body: { code: 'not_claimable' } });
  }, 30_000);
});

describe('a claim ticket', () => {
  it('is handed over once, and nobody claims without it', async () => {
    const declared = taskOf(await declare({ claim_ticket: true, credentials: [{ name: 'task-reference' }] }));
    expect(declared.claim_ticket).toMatch(/^[\w-]{43}$/);
    expect(taskOf(await broker.call('GET', `/v1/tasks/${declared.id}`, orchestrator))).not.toHaveProperty('claim_ticket');
    expect(await claim(declared.id)).toMatchObject({ status: 403, body: { code: 'claim_refused' } });
    expect(await claim(declared.id, agent, { claim_ticket: 'x'.repeat(43) })).toMatchObject({ status: 403 });
    expect(await claim(declared.id, agent, { claim_ticket: 'short' })).toMatchObject({ status: 422, body: { errors: [{ pointer: '/claim_ticket' }] } });
    expect((await claim(declared.id, agent, { claim_ticket: declared.claim_ticket })).status).toBe(201);
  });
});

describe('an agent that starts its own task later', () => {
  it('declares with start: claim and claims it itself', async () => {
    const own = await declare({ agent: undefined, credentials: [{ name: 'task-reference' }] }, agent);
    expect(own.status).toBe(202);
    expect((await claim(taskOf(own).id)).status).toBe(201);
  });
});

describe('waiting tasks', () => {
  it('are bounded for each declarer, and room comes back when one is completed', async () => {
    const declarer = await broker.agentToken('agent:payouts');
    const own = (): Promise<HttpAnswer> => declare({ agent: undefined, credentials: [{ name: 'task-reference' }] }, declarer);
    const waiting: string[] = [];
    for (let i = 0; i < 5; i += 1) waiting.push(taskOf(await own()).id);
    expect(await own()).toMatchObject({ status: 429, body: { code: 'limit_exceeded' } });
    expect((await broker.call('POST', `/v1/tasks/${at(waiting, 0)}/complete`, declarer, { outcome: 'cancelled' })).status).toBe(200);
    expect((await own()).status).toBe(202);
  });
});
