import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { findPrometheus } from '../../dev/find-tools.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const promtool = findPrometheus()?.promtool;
let broker: RunningBroker;

beforeAll(async () => {
  broker = await RunningBroker.start();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
/** Each series of a page, without its value; a status is one of few, and which of them a busy machine answers is not told here. */
const seriesOf = (page: string): string[] =>
  page.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.replace(/ \S+$/, '').replace(/status="\d{3}"/, 'status'));
const openMetrics = async (): Promise<string> => (await fetch(broker.metricsUrl, { headers: { accept: 'application/openmetrics-text;version=1.0.0' } })).text();

describe('the metrics of a running broker', () => {
  /** All that a caller can vary: who it is, what for, which path, which trace. */
  async function vary(round: number): Promise<void> {
    const stranger = await broker.agentToken(`agent:stranger-${round}`);
    const token = await broker.agentToken();
    const declare = (as: string, fields: object) => broker.call('POST', '/v1/tasks', as, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }], ...fields });
    await declare(stranger, {});
    await declare(token, { purpose: `purpose-${round}` });
    await declare(token, { credentials: [{ name: `credential-${round}` }] });
    await broker.call('GET', `/v1/tasks/${round}`, token);
    await fetch(`${broker.url}/nowhere/${round}`);
    const grant = await broker.grant(['vault-token'], { fields: { justification: `because-${round}`, ticket: `OPS-${round}` } });
    await broker.complete(grant);
    await until(async () => ((await broker.call('GET', `/v1/tasks/${grant.id}`, token)).body['task'] as { state: string }).state === 'ended');
  }

  it('have no label that grows with callers, purposes, paths or ids', async () => {
    await vary(0);
    // What was found at the targets is told from the first comparison on.
    const compared = (page: string): boolean => ['vault-main', 'tokens'].every((provider) => page.includes(`mayfly_leases_missing{provider="${provider}"}`));
    await until(async () => compared(await broker.metrics()), { timeoutMs: 30_000, what: 'every provider has been compared' });
    const before = seriesOf(await broker.metrics());
    for (let round = 1; round <= 8; round += 1) await vary(round);
    const page = await broker.metrics();
    const added = seriesOf(page).filter((series) => series.startsWith('mayfly_') && !before.includes(series));
    expect(added).toEqual([]);
    for (const word of ['agent:', 'stranger', 'purpose-', 'credential-', 'because-', 'OPS-', 'tsk_', 'lse_', 'dec_', 'nowhere', AGENT, SECOND_AGENT]) expect(page).not.toContain(word);
    // Control: they were counted.
    expect(page).toMatch(/^mayfly_http_request_seconds_count\{route="other",method="GET",status="404"\} 9$/m);
    expect(page).toMatch(/^mayfly_policy_decisions_total\{decision="deny",rule="none"\} 18$/m);
  }, 60_000);

  (promtool === undefined ? it.skip : it)('are read by promtool, which has nothing against how ours are named', async () => {
    const complaints = (page: string): string[] => {
      const { stdout, stderr } = spawnSync(promtool ?? '', ['check', 'metrics'], { input: page, encoding: 'utf8' });
      // The names of Node's own metrics are the client library's.
      return `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_'));
    };
    expect(complaints(await broker.metrics())).toEqual([]);
    // Control: it complains of a name, and of what is no page.
    expect(complaints('# HELP mayfly_x x\n# TYPE mayfly_x counter\nmayfly_x 1\n')).toEqual([expect.stringContaining('_total')]);
    expect(complaints('mayfly_x {')).toEqual([expect.stringContaining('error while linting')]);
  });

  it('lead from a slow mint, a late revocation and a slow answer to their trace', async () => {
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    const token = await broker.agentToken();
    const { body } = await broker.call('POST', '/v1/tasks', token, { purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'vault-token' }] }, { traceparent });
    await broker.call('POST', `/v1/tasks/${(body['task'] as { id: string }).id}/complete`, token, {});
    const traced = async (metric: string): Promise<boolean> => new RegExp(`^${metric}_bucket\\{[^}]*\\} \\d+ # \\{trace_id="${TRACE}"\\} `, 'm').test(await openMetrics());
    for (const metric of ['mayfly_mint_seconds', 'mayfly_http_request_seconds', 'mayfly_revocation_lateness_seconds']) await until(() => traced(metric), { what: `${metric} names the trace` });
    // Control: another trace is nowhere.
    expect(await openMetrics()).not.toContain('0'.repeat(31));
    expect(await broker.metrics()).not.toContain('trace_id');
  }, 30_000);

  it('tell that Redis is away while it is, and what was last known of the rest', async () => {
    expect(await broker.metrics()).toMatch(/^mayfly_upstream_up\{name="redis"\} 1$/m);
    freeze(broker.stack.redis.pid);
    try {
      await until(async () => /^mayfly_upstream_up\{name="redis"\} 0$/m.test(await broker.metrics()), { timeoutMs: 10_000, what: 'Redis is told to be away' });
      expect(await broker.metrics()).toMatch(/^mayfly_upstream_up\{name="vault-main"\} 1$/m);
    } finally {
      thaw(broker.stack.redis.pid);
    }
    await until(async () => /^mayfly_upstream_up\{name="redis"\} 1$/m.test(await broker.metrics()), { timeoutMs: 10_000, what: 'Redis is told to be back' });
  }, 40_000);
});
