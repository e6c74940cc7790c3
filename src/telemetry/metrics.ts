import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';

/** Gauges that are read when somebody looks, from the ledger and the queues. */
export interface MetricsSnapshot {
  readonly tasks: readonly { state: string; count: number }[];
  readonly active: readonly { provider: string; class: string; count: number }[];
  readonly expiring: readonly { provider: string; within: string; count: number }[];
  /** What falls due in each of the next minutes, by provider. */
  readonly forecast: readonly { provider: string; perMinute: readonly number[] }[];
  readonly overdue: number;
  readonly oldestOverdueSeconds: number;
  readonly lapsing: number;
  readonly stuck: number;
  readonly disclosed: number;
  readonly locks: number;
  readonly agents: { readonly registered: number; readonly disabled: number; readonly reviewOverdue: number };
  readonly held: boolean;
  readonly queues: readonly { queue: string; state: string; jobs: number }[];
  readonly upstreams: readonly { name: string; up: boolean }[];
  readonly auditLagSeconds: number;
  readonly clockSkewSeconds: number;
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Revocations are meant to be seconds late at most: fine buckets below five seconds, coarse ones above. */
const LATENESS_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1_800];
const MINT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Every metric of the broker. Labels are bounded: names from the configuration, never an id. */
export function createMetrics(version: string) {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const mint = new Histogram({ name: 'mayfly_mint_seconds', help: 'Time to mint one credential', labelNames: ['provider', 'outcome'], buckets: MINT_BUCKETS, registers });
  const lateness = new Histogram({ name: 'mayfly_revocation_lateness_seconds', help: 'From the instant a lease should have been dead to its confirmed revocation', labelNames: ['provider', 'reason'], buckets: LATENESS_BUCKETS, registers });
  const revocations = new Counter({ name: 'mayfly_revocations_total', help: 'Attempts to end a credential, by what came of them', labelNames: ['provider', 'reason', 'outcome'], registers });
  const decisions = new Counter({ name: 'mayfly_policy_decisions_total', help: 'Policy decisions, by the rule that decided', labelNames: ['decision', 'rule'], registers });
  const external = new Histogram({ name: 'mayfly_external_policy_seconds', help: 'Time to ask the external decision point about one grant, by what it said', labelNames: ['verdict'], buckets: HTTP_BUCKETS, registers });
  const http = new Histogram({ name: 'mayfly_http_request_seconds', help: 'Time to answer a request', labelNames: ['route', 'method', 'status'], buckets: HTTP_BUCKETS, registers });
  const tampered = new Counter({ name: 'mayfly_records_tampered_total', help: 'Stored records that failed their seal or vanished', registers });
  const orphans = new Counter({ name: 'mayfly_orphans_total', help: 'Live credentials found at a target and in no record', labelNames: ['provider'], registers });
  const notices = new Counter({ name: 'mayfly_notices_total', help: 'Notices of tasks that wait for a human, by what came of each attempt', labelNames: ['recipient', 'outcome'], registers });
  const auditFailures = new Counter({ name: 'mayfly_audit_write_failures_total', help: 'Failed writes of the audit file', registers });
  const policyReloads = new Counter({ name: 'mayfly_policy_reloads_total', help: 'Changes of the policy folder, by what came of them', labelNames: ['outcome'], registers });
  const policyVersion = new Gauge({ name: 'mayfly_policy_info', help: 'Always 1; the version in force is in the label', labelNames: ['version'], registers });
  const shadow = new Counter({ name: 'mayfly_policy_shadow_total', help: 'Decisions by what the policies in force answered and what the shadow policies would have; none while they have no answer', labelNames: ['live', 'shadow'], registers });
  const shadowVersion = new Gauge({ name: 'mayfly_policy_shadow_info', help: 'Always 1; the version of the shadow policies is in the label, none while none load', labelNames: ['version'], registers });
  const eventStreams = new Gauge({ name: 'mayfly_event_streams', help: 'Readers of /v1/events on this process', registers });
  new Gauge({ name: 'mayfly_build_info', help: 'Always 1; the version is in the label', labelNames: ['version'], registers }).set({ version }, 1);

  const gauges = {
    tasks: new Gauge({ name: 'mayfly_tasks', help: 'Tasks by state', labelNames: ['state'], registers }),
    active: new Gauge({ name: 'mayfly_credentials_active', help: 'Live credentials', labelNames: ['provider', 'class'], registers }),
    expiring: new Gauge({ name: 'mayfly_credentials_expiring', help: 'Live credentials that fall due within a time; the overdue are not among them', labelNames: ['provider', 'within'], registers }),
    forecast: new Gauge({ name: 'mayfly_expiries_forecast', help: 'Live credentials that fall due in one of the next 60 minutes; minute 0 is this one', labelNames: ['provider', 'minute'], registers }),
    overdue: new Gauge({ name: 'mayfly_revocations_overdue', help: 'Leases past the time by which they had to be dead that are not', registers }),
    oldest: new Gauge({ name: 'mayfly_revocation_oldest_overdue_seconds', help: 'How late the latest of them is', registers }),
    lapsing: new Gauge({ name: 'mayfly_leases_lapsing', help: 'Leases that were to end and that only the clock of their target ends; not among the overdue before it does', registers }),
    stuck: new Gauge({ name: 'mayfly_leases_stuck', help: 'Revocations overdue past their budget or refused for good', registers }),
    disclosed: new Gauge({ name: 'mayfly_leases_disclosed', help: 'Static secrets that were opened and that only a rotation ends, within the retention time', registers }),
    locks: new Gauge({ name: 'mayfly_locks', help: 'Locks in force: what they cover is not granted', registers }),
    agents: new Gauge({ name: 'mayfly_agents', help: 'Registered agents; those disabled and those whose review is overdue are among them', labelNames: ['state'], registers }),
    hold: new Gauge({ name: 'mayfly_hold', help: '1 while nothing is granted because the ledger lost records', registers }),
    undone: new Gauge({ name: 'mayfly_revocations_undone', help: 'Revocations that somebody had undone at the target, when it was last compared; they were made again', labelNames: ['provider'], registers }),
    waiting: new Gauge({ name: 'mayfly_unaccounted', help: 'Live credentials in no record that wait for the end of a hold', labelNames: ['provider'], registers }),
    missing: new Gauge({ name: 'mayfly_leases_missing', help: 'Leases recorded as live whose credential the target does not have', labelNames: ['provider'], registers }),
    queues: new Gauge({ name: 'mayfly_queue_depth', help: 'Revocation batches in the queues', labelNames: ['queue', 'state'], registers }),
    upstream: new Gauge({ name: 'mayfly_upstream_up', help: 'Whether a part we depend on answers', labelNames: ['name'], registers }),
    auditLag: new Gauge({ name: 'mayfly_audit_lag_seconds', help: 'Age of the oldest event that is not in the audit file', registers }),
    clockSkew: new Gauge({ name: 'mayfly_clock_skew_seconds', help: 'Our clock minus that of Redis', registers }),
  };

  return {
    observeMint: (o: { provider: string; outcome: string; seconds: number }): void => mint.observe({ provider: o.provider, outcome: o.outcome }, o.seconds),
    observeRequest: (o: { route: string; method: string; status: number; seconds: number }): void =>
      http.observe({ route: o.route, method: o.method, status: String(o.status) }, o.seconds),
    observeRevocation(o: { provider: string; reason: string; outcome: string; latenessMs: number }): void {
      revocations.inc({ provider: o.provider, reason: o.reason, outcome: o.outcome });
      if (o.outcome === 'revoked') lateness.observe({ provider: o.provider, reason: o.reason }, o.latenessMs / 1000);
    },
    countDecision(decision: string, rules: readonly string[]): void {
      for (const rule of rules.length > 0 ? rules : ['none']) decisions.inc({ decision, rule });
    },
    countShadow: (live: string, answer: string): void => shadow.inc({ live, shadow: answer }),
    setShadowVersion(version: string): void {
      shadowVersion.reset();
      shadowVersion.set({ version }, 1);
    },
    observeExternalPolicy: (o: { verdict: string; tookMs: number }): void => external.observe({ verdict: o.verdict }, o.tookMs / 1000),
    setEventStreams: (open: number): void => eventStreams.set(open),
    countTampered: (): void => tampered.inc(),
    countNotice: (labels: { recipient: string; outcome: string }): void => notices.inc(labels),
    countOrphan: (provider: string): void => orphans.inc({ provider }),
    countPolicyReload: (outcome: 'reloaded' | 'refused'): void => policyReloads.inc({ outcome }),
    setPolicyVersion(version: string): void {
      policyVersion.reset();
      policyVersion.set({ version }, 1);
    },
    countAuditFailure: (): void => auditFailures.inc(),

    setFindings(findings: readonly { readonly provider: string; readonly outcome: string; readonly waiting: number; readonly missing: number; readonly undone: number }[]): void {
      for (const { provider, waiting, missing, undone } of findings.filter(({ outcome }) => outcome !== 'failed')) {
        gauges.undone.set({ provider }, undone);
        gauges.waiting.set({ provider }, waiting);
        gauges.missing.set({ provider }, missing);
      }
    },

    setSnapshot(snapshot: MetricsSnapshot): void {
      for (const gauge of [gauges.tasks, gauges.active, gauges.expiring, gauges.queues]) gauge.reset();
      for (const { state, count } of snapshot.tasks) gauges.tasks.set({ state }, count);
      for (const { provider, class: kind, count } of snapshot.active) gauges.active.set({ provider, class: kind }, count);
      for (const { provider, within, count } of snapshot.expiring) gauges.expiring.set({ provider, within }, count);
      for (const { queue, state, jobs } of snapshot.queues) gauges.queues.set({ queue, state }, jobs);
      for (const { name, up } of snapshot.upstreams) gauges.upstream.set({ name }, up ? 1 : 0);
      for (const { provider, perMinute } of snapshot.forecast) for (const [minute, count] of perMinute.entries()) gauges.forecast.set({ provider, minute: String(minute) }, count);
      gauges.overdue.set(snapshot.overdue);
      gauges.oldest.set(snapshot.oldestOverdueSeconds);
      gauges.lapsing.set(snapshot.lapsing);
      gauges.stuck.set(snapshot.stuck);
      gauges.disclosed.set(snapshot.disclosed);
      gauges.locks.set(snapshot.locks);
      gauges.agents.set({ state: 'registered' }, snapshot.agents.registered);
      gauges.agents.set({ state: 'disabled' }, snapshot.agents.disabled);
      gauges.agents.set({ state: 'review_overdue' }, snapshot.agents.reviewOverdue);
      gauges.hold.set(snapshot.held ? 1 : 0);
      gauges.auditLag.set(snapshot.auditLagSeconds);
      gauges.clockSkew.set(snapshot.clockSkewSeconds);
    },

    /** The whole page in the Prometheus text format. */
    render: (): Promise<string> => registry.metrics(),
    contentType: registry.contentType,
  };
}

/** Serves `/metrics`, alone, on a port of its own. `refresh` runs before each page. */
export async function serveMetrics(
  metrics: Metrics,
  listen: { readonly host: string; readonly port: number },
  refresh: () => Promise<void>,
): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    // A lost Redis must not take the metrics with it: what cannot be refreshed keeps its last value.
    void refresh()
      .catch(() => undefined)
      .then(() => metrics.render())
      .then((page) => response.writeHead(200, { 'Content-Type': metrics.contentType }).end(page))
      .catch(() => response.writeHead(500).end());
  });
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  return server;
}
