import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SECOND_AGENT } from '../../dev/dev-identities.ts';
import { at } from '../support/at.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;
const declaration = (credential: string) => ({ purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 300, credentials: [{ name: credential }] });

interface Recorded {
  readonly event: { readonly type: string; readonly trace_id: string | null; readonly by: { readonly issuer: string } };
}
const recordsOf = async (task: string): Promise<Recorded['event'][]> => {
  const { body } = await broker.call('GET', `/v1/audit?task=${task}&order=oldest`, await broker.operatorToken('viewer'));
  return (body['items'] as Recorded[]).map(({ event }) => event);
};
const leasesIn = async (trace: string): Promise<{ id: string; trace_id: string }[]> => {
  const { body } = await broker.call('GET', `/v1/leases?trace_id=${trace}`, await broker.operatorToken('viewer'));
  return body['items'] as { id: string; trace_id: string }[];
};

describe('a trace that a caller is in', () => {
  it('is told by the task, finds its leases, and stands on the record of all that became of them', async () => {
    const token = await broker.agentToken();
    const other = await broker.grant(['vault-token'], { token });
    const { status, headers, body } = await broker.call('POST', '/v1/tasks', token, declaration('vault-token'), { traceparent });
    expect(status).toBe(201);
    expect(headers.get('traceparent')).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    const task = body['task'] as { id: string };
    const [credential] = body['credentials'] as { lease_id: string }[];
    expect(task).toMatchObject({ trace_id: TRACE });
    expect(await leasesIn(TRACE)).toEqual([expect.objectContaining({ id: credential?.lease_id, trace_id: TRACE })]);
    // Another trace has its own leases, and none of these (control).
    const { lease_id: othersLease } = at(other.credentials, 0);
    const { lease } = (await broker.call('GET', `/v1/leases/${othersLease}`, await broker.operatorToken('viewer'))).body as { lease: { trace_id: string } };
    expect((await leasesIn(lease.trace_id)).map(({ id }) => id)).toEqual([othersLease]);

    const completing = await broker.call('POST', `/v1/tasks/${task.id}/complete`, token, {});
    const ofCompletion = at((completing.headers.get('traceparent') ?? '').split('-'), 1);
    expect(ofCompletion).not.toBe(TRACE);
    await until(async () => (await recordsOf(task.id)).some(({ type }) => type === 'task.ended'));
    const events = await recordsOf(task.id);
    const traceOf = (type: string): string | null | undefined => events.find((event) => event.type === type)?.trace_id;
    expect(traceOf('task.declared')).toBe(TRACE);
    expect(traceOf('task.activated')).toBe(TRACE);
    // Whoever asked for the end was in a trace of its own; the worker that saw to it is in nobody's, so it tells the task's.
    expect(traceOf('task.ending')).toBe(ofCompletion);
    expect(traceOf('lease.revoked')).toBe(TRACE);
  });

  it('is in the problem and in the log of a request that fails', async () => {
    const response = await fetch(`${broker.url}/v1/tasks`, {
      method: 'POST',
      headers: { traceparent, Authorization: `Bearer ${await broker.agentToken()}`, 'Content-Type': 'application/json' },
      body: '{"purpose":',
    });
    expect(await response.json()).toMatchObject({ code: 'malformed_body', trace_id: TRACE });
    await until(async () => (await broker.log()).split('\n').some((line) => line.includes('malformed_body') && line.includes(`"trace_id":"${TRACE}"`)));
  });

  it('is of the child that is delegated in it, whatever trace its parent came in', async () => {
    const parent = await broker.grant(['orders-db']);
    const { status, body } = await broker.call('POST', `/v1/tasks/${parent.id}/delegate`, parent.token, { ...declaration('orders-db'), agent: SECOND_AGENT, ttl_seconds: 60 }, { traceparent });
    expect({ status, body }).toMatchObject({ status: 202, body: { task: { trace_id: TRACE } } });
    await broker.complete(parent);
  });
});

describe('a request without a trace', () => {
  it.each([
    ['says nothing of one', {}],
    ['says something malformed', { traceparent: `00-${TRACE}-0000000000000000-01` }],
  ])('begins its own where it %s', async (_how, headers) => {
    const answers = await Promise.all([0, 1].map(() => broker.call('GET', '/livez', null, undefined, headers)));
    const traces = answers.map((answer) => answer.headers.get('traceparent'));
    // Nobody records it: it is not marked as recorded.
    for (const one of traces) expect(one).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(new Set(traces).size).toBe(2);
    expect(String(traces)).not.toContain(TRACE);
  });

  it('is told what a trace id is', async () => {
    const { status, body } = await broker.call('GET', '/v1/leases?trace_id=mine', await broker.operatorToken('viewer'));
    expect({ status, body }).toMatchObject({ status: 422, body: { errors: [{ pointer: '/trace_id' }] } });
  });
});
