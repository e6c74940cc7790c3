import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Server } from 'node:http';
import { createMetrics, serveMetrics, type Metrics, type MetricsSnapshot } from '../../src/telemetry/metrics.ts';

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
  upstreams: [{ name: 'vault-main', up: false }],
  auditLagSeconds: 0.2,
  clockSkewSeconds: -0.01,
};

const servers: Server[] = [];
async function serve(metrics: Metrics, refresh: () => Promise<void> = () => Promise.resolve()): Promise<string> {
  const server = await serveMetrics(metrics, { host: '127.0.0.1', port: 0 }, refresh);
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
    metrics.observeRevocation({ provider: 'p', reason: 'completed', outcome: 'revoked', latenessMs: 300 });
    metrics.observeRequest({ route: '/v1/tasks', method: 'POST', status: 201, seconds: 0.02 });
    metrics.countDecision('deny', []);
    metrics.countOrphan('p');
    metrics.countTampered();
    metrics.countAuditFailure();
    metrics.setSnapshot(SNAPSHOT);
    const page = await metrics.render();
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
    metrics.observeRevocation({ provider: 'p', reason: 'expired', outcome: 'failed', latenessMs: 10 });
    const page = await metrics.render();
    expect(page).toContain('mayfly_revocations_total{provider="p",reason="expired",outcome="failed"} 1');
    expect(page).not.toContain('mayfly_revocation_lateness_seconds_count{');
  });

  it('forget a label that the next snapshot does not have', async () => {
    const metrics = createMetrics('0');
    metrics.setSnapshot(SNAPSHOT);
    expect(await metrics.render()).toContain('mayfly_tasks{state="active"}');
    metrics.setSnapshot({ ...SNAPSHOT, tasks: [] });
    expect(await metrics.render()).not.toContain('mayfly_tasks{state="active"}');
  });

  it('do not share a registry', async () => {
    createMetrics('0').countOrphan('p');
    expect(await createMetrics('0').render()).not.toContain('mayfly_orphans_total{provider="p"}');
  });
});

describe('the metrics server', () => {
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
