import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';

let broker: RunningBroker;
let viewer: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  viewer = await broker.operatorToken('viewer');
}, 60_000);

afterAll(() => broker.stop(), 30_000);

interface Listed {
  readonly items: readonly { readonly id: string; readonly state: string; readonly parent: string | null; readonly owner?: string | null; readonly agent_disabled?: boolean }[];
  readonly total?: number | null;
  readonly next_cursor: string | null;
}

const list = async (query: string, token = viewer): Promise<Listed> => (await broker.call('GET', `/v1/tasks?${query}`, token)).body as unknown as Listed;

describe('tasks, as operators see them', () => {
  it('are those of everybody, by agent, owner, purpose and state, with who answers for the agent', async () => {
    const ours = await broker.grant(['task-token']);
    const theirs = await broker.grant(['task-token'], { token: await broker.agentToken('agent:payouts') });
    expect((await list('')).items.map(({ id }) => id)).toEqual([theirs.id, ours.id]);
    expect(await list('agent=agent:payouts')).toMatchObject({ items: [{ id: theirs.id, agent_disabled: false }], total: 1 });
    expect(await list('state=active&limit=1')).toMatchObject({ items: [{ id: theirs.id }], total: 2, next_cursor: expect.any(String) });
    const { owner } = at((await list('agent=agent:refunds')).items, 0);
    expect((await list(`owner=${owner ?? ''}&live=true`)).items.map(({ id }) => id)).toContain(ours.id);
    expect(await list('purpose=data-export')).toMatchObject({ items: [] });
    await broker.complete(theirs);
    expect((await list('live=true')).items.map(({ id, state }) => [id, state])).toContainEqual([ours.id, 'active']);
    const { body } = await broker.call('GET', `/v1/tasks/${theirs.id}`, viewer);
    expect(body).toMatchObject({ task: { id: theirs.id, owner: expect.anything() }, credentials: [{ name: 'task-token' }] });
  });

  it('show the whole tree of a task, from any of it', async () => {
    const parent = await broker.grant(['orders-db']);
    const part = { agent: 'agent:payouts', actions: ['read'], credentials: [{ name: 'orders-db', ttl_seconds: 60 }] };
    const { body } = await broker.call('POST', `/v1/tasks/${parent.id}/delegate`, parent.token, part);
    const { id } = body['task'] as { id: string };
    expect((await list(`root=${parent.id}`)).items.map((task) => [task.id, task.parent])).toEqual([[parent.id, null], [id, parent.id]]);
    const tree = (await broker.call('GET', `/v1/tasks/${id}/tree`, viewer)).body['tree'] as { task: { id: string }; credentials: unknown[] }[];
    expect(tree.map(({ task, credentials }) => [task.id, credentials.length])).toEqual([[parent.id, 1], [id, 0]]);
    expect((await broker.call('GET', `/v1/tasks?root=${parent.id}&state=active`, viewer)).body).toMatchObject({ status: 422, errors: [{ pointer: '/root' }] });
  });

  it('never tell an agent of its registration, nor of the tasks of others', async () => {
    const token = await broker.agentToken();
    const own = await list('', token);
    expect(own.items.length).toBeGreaterThan(0);
    expect(own.items.filter((task) => 'owner' in task)).toEqual([]);
    expect((await broker.call('GET', '/v1/tasks?live=true', token)).body).toMatchObject({ status: 422, errors: [{ pointer: '/live' }] });
  });
});

describe('a revocation of a selection', () => {
  it('ends just these leases; their tasks go on', async () => {
    const operator = await broker.operatorToken();
    const grants = await Promise.all([broker.grant(['task-reference', 'vault-token']), broker.grant(['task-reference'])]);
    const [first, kept, second] = [at(at(grants, 0).credentials, 0), at(at(grants, 0).credentials, 1), at(at(grants, 1).credentials, 0)].map(({ lease_id: id }) => id);
    const selector = { leases: [first, second] };
    expect((await broker.call('POST', '/v1/revocations', operator, { selector, reason: 'a test', dry_run: true })).body['revocation']).toMatchObject({ progress: { total: 2, tasks: 0 }, results: [{}, {}] });
    expect((await broker.call('POST', '/v1/revocations', operator, { selector, reason: 'a test' })).body['revocation']).toMatchObject({ progress: { total: 2 } });
    const stateOf = async (id: string | undefined) => ((await broker.call('GET', `/v1/leases/${id ?? ''}`, operator)).body['lease'] as { state: string }).state;
    expect(await stateOf(kept)).toBe('active');
    expect(['revoking', 'revoked']).toContain(await stateOf(first));
    expect((await broker.call('GET', `/v1/tasks/${at(grants, 1).id}`, operator)).body).toMatchObject({ task: { state: 'active' } });
    expect((await broker.call('POST', '/v1/revocations', operator, { selector: { leases: [] }, reason: 'a test' })).status).toBe(422);
  });
});
