import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let viewer: string;
let mine: Awaited<ReturnType<RunningBroker['grant']>>;
let theirs: Awaited<ReturnType<RunningBroker['grant']>>;

beforeAll(async () => {
  broker = await RunningBroker.start();
  viewer = await broker.operatorToken('viewer');
  mine = await broker.grant(['orders-db', 'task-token'], { ttlSeconds: 200 });
  theirs = await broker.grant(['task-token'], { ttlSeconds: 100, token: await broker.agentToken('agent:payouts') });
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const list = async (query: string) => (await broker.call('GET', `/v1/leases?${query}`, viewer)).body as unknown as { items: { id: string; agent: string; owner: string | null; review_overdue: boolean; agent_disabled: boolean }[]; total: number | null; next_cursor: string | null };
const ids = async (query: string) => (await list(query)).items.map(({ id }) => id);
const leases = (grant: typeof mine) => grant.credentials.map(({ lease_id: id }) => id);

describe('the list of leases', () => {
  it('is narrowed by agent, owner, purpose, credential, provider, task and tree', async () => {
    const [payouts] = leases(theirs);
    expect(await ids('live=true&agent=agent:payouts')).toEqual([payouts]);
    expect((await ids(`tree=${mine.id}`)).sort()).toEqual(leases(mine).sort());
    expect((await ids(`task=${theirs.id}&order=due`))).toEqual([payouts]);
    expect(await list('live=true&credential=task-token')).toMatchObject({ items: [{ id: payouts }, { id: at(leases(mine), 1) }], total: 2, next_cursor: null });
    expect(await list('live=true&purpose=refund-investigation')).toMatchObject({ total: 3 });
    expect(await list('live=true&provider=vault-main&limit=1')).toMatchObject({ items: [{ id: at(leases(mine), 0) }], total: 1 });
    expect(await list('agent=agent:nobody&live=true')).toEqual({ items: [], total: 0, next_cursor: null });
  });

  it('takes the largest page, and refuses words that no lease can match together', async () => {
    expect((await list('live=true&limit=5000')).items.length).toBeGreaterThanOrEqual(3);
    const refused = async (query: string) => (await broker.call('GET', `/v1/leases?${query}`, viewer)).body;
    expect(await refused('limit=5001')).toMatchObject({ status: 422, errors: [{ pointer: '/limit' }] });
    expect(await refused('live=true&state=revoked')).toMatchObject({ status: 422, errors: [{ pointer: '/state' }] });
    expect(await refused('order=created')).toMatchObject({ status: 422, errors: [{ pointer: '/order' }] });
    expect(await refused('task=mine')).toMatchObject({ status: 422, errors: [{ pointer: '/task' }] });
  });

  it('says who answers for each agent, and follows the register', async () => {
    const admin = await broker.operatorToken('admin');
    const { owner } = at((await list('agent=agent:refunds')).items, 0);
    expect(owner).not.toBeNull();
    expect((await ids(`owner=${owner ?? ''}&live=true`)).sort()).toEqual(expect.arrayContaining(leases(mine)));
    expect(await list('owner=team-nobody&live=true')).toMatchObject({ items: [], total: 0 });
    // The register is read again within five seconds.
    const registered = (await broker.call('GET', `/v1/agents?owner=${owner ?? ''}`, admin)).body['items'] as { id: string; subject: string }[];
    const { id } = at(registered.filter(({ subject }) => subject === 'agent:payouts' || subject === 'agent:refunds'), 0);
    const disabled = at(registered.filter((one) => one.id === id), 0).subject;
    expect((await broker.call('POST', `/v1/agents/${id}/disable`, await broker.operatorToken(), { reason: 'a test' })).status).toBe(200);
    await until(async () => (await list(`agent=${disabled}`)).items.every(({ agent_disabled: off }) => off), { timeoutMs: 15_000, everyMs: 200 });
  });
});
