import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { at } from '../support/at.ts';
import { factOf, OtlpCollector, type ReceivedSpan } from '../support/otlp-collector.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let broker: RunningBroker;
let collector: OtlpCollector;
let folder: string;

const API_KEY = 'key-of-the-collector-4711';

beforeAll(async () => {
  collector = await OtlpCollector.start();
  folder = await mkdtemp(join(tmpdir(), 'mayfly-traces-'));
  const headersFile = join(folder, 'headers');
  await writeFile(headersFile, `X-Api-Key: ${API_KEY}\n`, { mode: 0o600 });
  broker = await RunningBroker.start({ telemetry: { traces: { otlp_endpoint: collector.url, headers_file: headersFile, allow_private_addresses: true } } });
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await collector.stop();
  await rm(folder, { recursive: true });
}, 30_000);

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER_SPAN = 'b7ad6b7169203331';
const TEXT = 'the customer says that order 99 never came';

const named = (name: string): ReceivedSpan[] => collector.spans.filter((span) => span.name === name);
/** The names of a span and of all above it, up to the one that came with the request. */
function lineOf(span: ReceivedSpan): string[] {
  const parent = collector.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...(parent === undefined ? [] : lineOf(parent))];
}

describe('spans', () => {
  it('lead from the declaration through policy and Vault to the activation, and to the revocation that jobs do later; none holds a secret', async () => {
    const token = await broker.agentToken();
    const declaration = { purpose: 'refund-investigation', actions: ['read'], justification: TEXT, ticket: 'OPS-4711', credentials: [{ name: 'orders-db' }, { name: 'vault-token' }, { name: 'task-token' }] };
    const { status, body } = await broker.call('POST', '/v1/tasks', token, declaration, { traceparent: `00-${TRACE}-${CALLER_SPAN}-01` });
    expect(status).toBe(201);
    const task = body['task'] as { id: string };
    const credentials = body['credentials'] as { lease_id: string; kind: string; secret: Record<string, string> }[];
    await broker.call('POST', `/v1/tasks/${task.id}/complete`, token, { outcome: 'succeeded', note: TEXT });
    await until(() => named('revoke').length >= 3, { what: 'the ends of all three are told' });

    const ours = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const root = ours.find(({ name }) => name === 'POST /v1/tasks');
    expect(root).toMatchObject({ parentSpanId: CALLER_SPAN, kind: 2 });
    expect(ours.map(({ name }) => name)).toEqual(expect.arrayContaining(['POST /v1/tasks', 'decide', 'mint', 'vault', 'activate']));
    for (const span of ours.filter(({ name }) => ['decide', 'mint', 'activate'].includes(name))) expect(lineOf(span)).toEqual([span.name, 'POST /v1/tasks']);
    expect(ours.filter(({ name }) => name === 'vault').map(lineOf)).toContainEqual(['vault', 'mint', 'POST /v1/tasks']);
    expect(ours.filter(({ name }) => name === 'mint').map((span) => factOf(span, 'mayfly.lease')).sort()).toEqual(credentials.map(({ lease_id: id }) => id).sort());
    expect(factOf(at(named('decide'), 0), 'mayfly.result')).toBe('permit');

    // The work is in the trace of the sweep that found it due, and says which declaration it goes back to.
    const revocations = named('revoke').filter((span) => factOf(span, 'mayfly.task') === task.id);
    expect(revocations).toHaveLength(3);
    for (const span of revocations) {
      expect(span.traceId).not.toBe(TRACE);
      expect(span.links).toEqual([expect.objectContaining({ traceId: TRACE })]);
    }
    const [ofVault] = revocations.filter((span) => factOf(span, 'mayfly.kind') === 'vault.dynamic');
    await until(() => ofVault !== undefined && lineOf(ofVault).length === 4);
    expect(ofVault === undefined ? [] : lineOf(ofVault)).toEqual(['revoke', 'process revoke-vault-main', 'add revoke-vault-main.revoke', 'dispatch due leases']);

    const collected = collector.bodies.join('\n');
    const secrets = credentials.flatMap(({ secret }) => Object.values(secret));
    expect(secrets.length).toBeGreaterThan(3);
    for (const secret of [...secrets, token, API_KEY, TEXT, 'order 99', 'OPS-4711', broker.stack.openbao?.rootToken ?? 'none']) expect(collected).not.toContain(secret);
    // Control: what is told is found by the same search.
    for (const told of [task.id, ...credentials.map(({ lease_id: id }) => id)]) expect(collected).toContain(told);
    expect(collector.headers.every((headers) => headers['x-api-key'] === API_KEY)).toBe(true);
    expect(await broker.log()).not.toContain(API_KEY);
  }, 60_000);

  it('do not tell why something failed in the words of anybody', async () => {
    const token = await broker.agentToken();
    await broker.call('POST', '/v1/tasks', token, { purpose: 'look-up-order-99', justification: TEXT, context: { question: TEXT }, actions: ['read'], credentials: [{ name: 'vault-token' }] }, { traceparent: `00-${'c'.repeat(32)}-${CALLER_SPAN}-01` });
    const denied = (): ReceivedSpan | undefined => collector.spans.find(({ name, traceId }) => name === 'decide' && traceId === 'c'.repeat(32));
    await until(() => denied() !== undefined, { what: 'the denial is told' });
    expect(denied()).toMatchObject({ status: { code: 2 } });
    expect(factOf(denied() as ReceivedSpan, 'error.type')).toBe('policy_denied');
    for (const words of [TEXT, 'look-up-order-99']) expect(collector.bodies.join('\n')).not.toContain(words);
  });

  it('of a caller that is not recorded are not', async () => {
    const trace = 'd'.repeat(32);
    await broker.call('GET', '/v1/whoami', await broker.operatorToken('viewer'), undefined, { traceparent: `00-${trace}-${CALLER_SPAN}-00` });
    const later = 'e'.repeat(32);
    await broker.call('GET', '/v1/whoami', await broker.operatorToken('viewer'), undefined, { traceparent: `00-${later}-${CALLER_SPAN}-01` });
    await until(() => collector.spans.some(({ traceId }) => traceId === later), { what: 'the later one is told' });
    expect(collector.spans.filter(({ traceId }) => traceId === trace)).toEqual([]);
  });

  it('cost nobody anything where the collector hangs, and a stop waits for it no longer than it says', async () => {
    collector.hangs = true;
    const taken = collector.bodies.length;
    const startedMs = performance.now();
    for (let round = 0; round < 5; round += 1) {
      const grant = await broker.grant(['vault-token']);
      await broker.complete(grant);
      await until(async () => ((await broker.call('GET', `/v1/tasks/${grant.id}`, grant.token)).body['task'] as { state: string }).state === 'ended');
    }
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await until(async () => /^mayfly_trace_spans_total\{outcome="lost"\} [1-9]/m.test(await broker.metrics()), { timeoutMs: 20_000, what: 'lost spans are counted' });
    const stoppingMs = performance.now();
    await broker.broker?.stop();
    expect(performance.now() - stoppingMs).toBeLessThan(8_000);
    expect(collector.bodies.length).toBe(taken);
    expect(await broker.log()).toContain('spans are lost');
  }, 60_000);

  it('that are not sent yet are sent at a stop', async () => {
    collector.hangs = false;
    await broker.startBroker();
    const trace = 'f'.repeat(32);
    await broker.call('GET', '/v1/whoami', await broker.operatorToken('viewer'), undefined, { traceparent: `00-${trace}-${CALLER_SPAN}-01` });
    await broker.broker?.stop();
    expect(collector.spans.some(({ traceId, name }) => traceId === trace && name === 'GET /v1/whoami')).toBe(true);
    await broker.startBroker();
  }, 40_000);
});
