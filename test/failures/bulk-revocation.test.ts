import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const MANY = 60;
const PER_SECOND = 10;

let broker: RunningBroker;
let operator: string;

beforeAll(async () => {
  broker = await RunningBroker.start({ revocation: { bulk_leases_per_second: PER_SECOND } });
  operator = await broker.operatorToken();
}, 60_000);

afterEach(async () => {
  // What a test left live must not be in the way of the next.
  for (const { id } of ((await broker.call('GET', '/v1/leases?state=active&limit=500', operator)).body['items'] as { id: string }[])) {
    await broker.call('POST', '/v1/revocations', operator, { selector: { lease: id }, reason: 'tidy' });
  }
}, 30_000);

afterAll(() => broker.stop(), 30_000);

interface Revocation {
  readonly id: string;
  readonly state: string;
  readonly progress: { readonly total: number; readonly ended: number; readonly pending: number; readonly not_asked: number; readonly tasks: number };
  readonly results: readonly { readonly lease_id: string; readonly state: string }[];
  readonly next_cursor: string | null;
}
const revocationOf = ({ body }: HttpAnswer): Revocation => body['revocation'] as Revocation;
const request = async (selector: object): Promise<Revocation> => revocationOf(await broker.call('POST', '/v1/revocations', operator, { selector, reason: 'drill' }));
const look = async ({ id }: Revocation, query = ''): Promise<Revocation> => revocationOf(await broker.call('GET', `/v1/revocations/${id}${query}`, operator));
const grantMany = async (): Promise<string[]> => {
  const grants = [];
  for (let i = 0; i < MANY; i += 1) grants.push(await broker.grant(['task-reference']));
  return grants.map(({ credentials }) => at(credentials, 0).lease_id);
};

describe('a bulk revocation', () => {
  it('is gone on with after kill -9, by the process that comes next, until every lease has ended', async () => {
    const leases = await grantMany();
    const started = await request({ provider: 'tokens' });
    expect(started.state).toBe('running');
    expect(started.progress.not_asked).toBeGreaterThan(0);
    await broker.kill();
    await broker.startBroker();
    const after = await look(started);
    expect(after.progress.not_asked).toBeGreaterThan(0);
    await until(async () => (await look(started)).state === 'done', { timeoutMs: 30_000, what: 'the revocation is done' });
    const { progress, results } = await look(started);
    expect(progress).toMatchObject({ total: MANY, ended: MANY, pending: 0, not_asked: 0 });
    expect(new Set(results.map((one) => one.lease_id))).toEqual(new Set(leases));
    expect(new Set(results.map((one) => one.state))).toEqual(new Set(['revoked']));
  }, 60_000);

  it('can be stopped half-way; what it had not asked for lives on', async () => {
    await grantMany();
    const started = await request({ provider: 'tokens' });
    const cancelled = revocationOf(await broker.call('POST', `/v1/revocations/${started.id}/cancel`, operator));
    expect(cancelled.state).toBe('cancelled');
    expect(cancelled.progress.not_asked).toBeGreaterThan(0);
    await until(async () => (await look(started)).progress.pending === 0);
    const { progress, results } = await look(started);
    expect(progress.ended + progress.not_asked).toBe(MANY);
    expect(results.filter(({ state }) => state === 'active')).toHaveLength(progress.not_asked);
  }, 30_000);

  it('is counted without being done, and told in pages', async () => {
    const token = await broker.agentToken('agent:payouts');
    for (let i = 0; i < 5; i += 1) await broker.grant(['task-reference'], { token });
    const dry = revocationOf(await broker.call('POST', '/v1/revocations', operator, { selector: { agent: 'agent:payouts' }, reason: 'drill', dry_run: true }));
    expect(dry).toMatchObject({ state: 'dry_run', progress: { total: 5, tasks: 5 } });
    const started = await request({ agent: 'agent:payouts' });
    const first = await look(started, '?limit=2');
    const second = await look(started, `?limit=4&cursor=${first.next_cursor ?? ''}`);
    expect([first.results.length, second.results.length, second.next_cursor]).toEqual([2, 3, null]);
    expect(new Set([...first.results, ...second.results].map((one) => one.lease_id)).size).toBe(5);
  }, 30_000);

  it.each([
    ['nothing', {}], ['an unknown word', { colour: 'red' }], ['everything and a word', { all: true, agent: 'x' }], ['not quite everything', { all: false }],
    ['an instant that is none', { before: 'yesterday' }], ['an id that is none', { subtree: 'tsk_1' }],
  ])('of %s is refused', async (_name, selector) => {
    expect(await broker.call('POST', '/v1/revocations', operator, { selector, reason: 'drill' })).toMatchObject({ status: 422, body: { code: 'invalid_request' } });
  });
});
