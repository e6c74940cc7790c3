import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { createMetrics, type Metrics, type MetricsSnapshot } from '../../src/telemetry/metrics.ts';
import { createMetricsApp } from '../../src/telemetry/metrics-app.ts';

const SNAPSHOT: MetricsSnapshot = {
  tasks: [{ state: 'active', count: 3 }],
  active: [{ provider: 'vault-main', class: 'vault.dynamic', count: 4 }],
  expiring: [{ provider: 'vault-main', within: '5m', count: 2 }],
  forecast: [{ provider: 'vault-main', perMinute: [3, 0] }],
  overdue: 1,
  oldestOverdueSeconds: 7.5,
  locks: 2,
  agents: { registered: 3, disabled: 1, reviewOverdue: 2 },
  held: true,
  disclosed: 2,
  lapsing: 4,
  stuck: 1,
  queues: [{ queue: 'vault-main', state: 'waiting', jobs: 9 }],
  auditLagSeconds: 0.2,
  clockSkewSeconds: -0.01,
};

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const servers: Server[] = [];
async function serve(metrics: Metrics, refresh: () => Promise<void> = () => Promise.resolve()): Promise<string> {
  const server = createServer(createMetricsApp(metrics, refresh)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(async () => {
  await Promise.all(
    servers.splice(0).map(async (server) => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    }),
  );
});

describe('the metrics', () => {
  it('carry every promised name', async () => {
    const metrics = createMetrics('1.2.3');
    metrics.observeMint({ provider: 'p', outcome: 'minted', seconds: 0.1 });
    metrics.observeRevocation({ provider: 'p', reason: 'completed', outcome: 'revoked', latenessMs: 300, traceId: TRACE });
    metrics.observeRequest({ route: '/v1/tasks', method: 'POST', status: 201, seconds: 0.02, traceId: TRACE });
    metrics.countDecision('deny', []);
    metrics.countOrphan('p');
    metrics.countTampered();
    metrics.countAuditFailure();
    metrics.setUpstreams([{ name: 'vault-main', up: false }]);
    metrics.setSnapshot(SNAPSHOT);
    const page = (await metrics.render()).page;
    for (const line of [
      'mayfly_tasks{state="active"} 3',
      'mayfly_leases_stuck 1',
      'mayfly_leases_lapsing 4',
      'mayfly_leases_disclosed 2',
      'mayfly_credentials_active{provider="vault-main",class="vault.dynamic"} 4',
      'mayfly_credentials_expiring{provider="vault-main",within="5m"} 2',
      'mayfly_mint_seconds_count{provider="p",outcome="minted"} 1',
      'mayfly_revocation_lateness_seconds_bucket{le="0.5",provider="p",reason="completed"} 1',
      'mayfly_revocation_lateness_seconds_bucket{le="0.25",provider="p",reason="completed"} 0',
      'mayfly_revocations_total{provider="p",reason="completed",outcome="revoked"} 1',
      'mayfly_revocations_overdue 1',
      'mayfly_revocation_oldest_overdue_seconds 7.5',
      'mayfly_policy_decisions_total{decision="deny",rule="none"} 1',
      'mayfly_upstream_up{name="vault-main"} 0',
      'mayfly_queue_depth{queue="vault-main",state="waiting"} 9',
      'mayfly_audit_write_failures_total 1',
      'mayfly_audit_lag_seconds 0.2',
      'mayfly_clock_skew_seconds -0.01',
      'mayfly_records_tampered_total 1',
      'mayfly_orphans_total{provider="p"} 1',
      'mayfly_http_request_seconds_count{route="/v1/tasks",method="POST",status="201"} 1',
      'mayfly_build_info{version="1.2.3"} 1',
    ]) {
      expect(page).toContain(`\n${line}\n`);
    }
    expect(page).toMatch(/^process_cpu_seconds_total \d/m);
  });

  it('count a failed revocation without calling it on time', async () => {
    const metrics = createMetrics('0');
    metrics.observeRevocation({ provider: 'p', reason: 'expired', outcome: 'failed', latenessMs: null, traceId: null });
    const page = (await metrics.render()).page;
    expect(page).toContain('mayfly_revocations_total{provider="p",reason="expired",outcome="failed"} 1');
    expect(page).not.toContain('mayfly_revocation_lateness_seconds_count{');
  });

  it('forget a label that the next snapshot does not have', async () => {
    const metrics = createMetrics('0');
    metrics.setSnapshot(SNAPSHOT);
    expect((await metrics.render()).page).toContain('mayfly_tasks{state="active"}');
    metrics.setSnapshot({ ...SNAPSHOT, tasks: [] });
    expect((await metrics.render()).page).not.toContain('mayfly_tasks{state="active"}');
  });

  it('do not share a registry', async () => {
    createMetrics('0').countOrphan('p');
    expect((await createMetrics('0').render()).page).not.toContain('mayfly_orphans_total{provider="p"}');
  });
});

describe('a count with a trace beside it', () => {
  const page = async (format: 'prometheus' | 'openmetrics'): Promise<string> => {
    const metrics = createMetrics('0');
    metrics.observeRequest({ route: '/v1/tasks', method: 'POST', status: 201, seconds: 0.02, traceId: TRACE });
    metrics.observeRevocation({ provider: 'p', reason: 'expired', outcome: 'revoked', latenessMs: 300, traceId: TRACE });
    metrics.observeRevocation({ provider: 'q', reason: 'expired', outcome: 'revoked', latenessMs: 300, traceId: null });
    metrics.countTampered();
    return (await metrics.render(format)).page;
  };

  it('has it in OpenMetrics, where somebody asks for that, and nowhere else', async () => {
    const open = await page('openmetrics');
    expect(open).toMatch(new RegExp(`^mayfly_http_request_seconds_bucket\\{le="0.025",route="/v1/tasks",method="POST",status="201"\\} 1 # \\{trace_id="${TRACE}"\\} 0.02 \\d+(\\.\\d+)?$`, 'm'));
    expect(open).toMatch(new RegExp(`^mayfly_revocation_lateness_seconds_bucket\\{le="0.5",provider="p",reason="expired"\\} 1 # \\{trace_id="${TRACE}"\\} 0.3 `, 'm'));
    expect(open).toMatch(/^mayfly_revocation_lateness_seconds_bucket\{le="0.5",provider="q",reason="expired"\} 1$/m);
    expect(open).toMatch(/^# TYPE mayfly_records_tampered counter\nmayfly_records_tampered_total 1$/m);
    expect(open.endsWith('\n# EOF\n')).toBe(true);
    const plain = await page('prometheus');
    expect(plain).not.toContain(TRACE);
    expect(plain).toContain('\nmayfly_records_tampered_total 1\n');
  });

  it('changes nothing of the other format by being asked for', async () => {
    const metrics = createMetrics('0');
    metrics.countTampered();
    const before = (await metrics.render()).page;
    await metrics.render('openmetrics');
    const names = (text: string): string[] => [...text.matchAll(/^(\w+)/gm)].map(([, name = '']) => name);
    expect(names((await metrics.render()).page)).toEqual(names(before));
  });
});

describe('what is expected', () => {
  it('is there with nothing in it, so that its first event shows as a rise', async () => {
    const metrics = createMetrics('0');
    expect((await metrics.render()).page).not.toMatch(/^mayfly_orphans_total\{/m);
    metrics.expect({ providers: ['vault-main'], recipients: ['on-call'], webhooks: ['soc'], signIns: [{ outcome: 'refused', reason: 'no_role' }] });
    const { page } = await metrics.render();
    for (const line of [
      'mayfly_orphans_total{provider="vault-main"} 0',
      'mayfly_mint_seconds_count{provider="vault-main",outcome="unavailable"} 0',
      'mayfly_revocation_lateness_seconds_count{provider="vault-main",reason="expired"} 0',
      'mayfly_notices_total{recipient="on-call",outcome="failed"} 0',
      'mayfly_sign_ins_total{outcome="refused",reason="no_role"} 0',
      'mayfly_webhook_deliveries_total{webhook="soc",outcome="failed"} 0',
    ]) {
      expect(page).toContain(`\n${line}\n`);
    }
  });
});

describe('the metrics server', () => {
  it('answers in the format that is asked for', async () => {
    const url = await serve(createMetrics('0'));
    const typeFor = async (accept: string): Promise<string | null> => (await fetch(`${url}/metrics`, { headers: { accept } })).headers.get('content-type');
    // As Prometheus asks.
    expect(await typeFor('application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5,*/*;q=0.1')).toContain('application/openmetrics-text; version=1.0.0');
    expect(await typeFor('*/*')).toContain('text/plain');
    expect(await typeFor('application/openmetrics-text;q=0, text/plain')).toContain('text/plain');
  });

  it('reads the snapshot when somebody looks', async () => {
    const metrics = createMetrics('0');
    let looks = 0;
    const url = await serve(metrics, () => {
      looks += 1;
      metrics.setSnapshot({ ...SNAPSHOT, overdue: looks });
      return Promise.resolve();
    });
    await (await fetch(`${url}/metrics`)).text();
    const answer = await fetch(`${url}/metrics`);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    expect(await answer.text()).toContain('mayfly_revocations_overdue 2');
  });

  it('answers while the ledger does not', async () => {
    const metrics = createMetrics('0');
    metrics.countOrphan('p');
    const url = await serve(metrics, () => Promise.reject(new Error('redis is away')));
    const answer = await fetch(`${url}/metrics`);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('mayfly_orphans_total{provider="p"} 1');
  });

  it('serves nothing else', async () => {
    const url = await serve(createMetrics('0'));
    expect((await fetch(`${url}/`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });
});
