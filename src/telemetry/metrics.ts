import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from '@prometheus-io/client';
import { inFormat, type MetricsFormat } from './metrics-format.ts';
import { activeTraceId } from './trace-context.ts';

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
  readonly auditLagSeconds: number;
  readonly clockSkewSeconds: number;
}

/** What can happen, by the names that the configuration gives it. */
export interface Expected {
  readonly providers: readonly string[];
  readonly recipients: readonly string[];
  readonly webhooks: readonly string[];
  readonly signIns: readonly { readonly outcome: string; readonly reason: string }[];
}

export type Metrics = ReturnType<typeof createMetrics>;

/** Revocations are meant to be seconds late at most: fine buckets below five seconds, coarse ones above. */
const LATENESS_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1_800];
const MINT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Every metric of the broker. Labels are bounded: names from the configuration, never an id. */
export function createMetrics(version: string) {
  // The client takes exemplars for this kind alone.
  const registry = new Registry(Registry.OPENMETRICS_CONTENT_TYPE);
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const mint = new Histogram({ name: 'mayfly_mint_seconds', help: 'Time to mint one credential', labelNames: ['provider', 'outcome'], buckets: MINT_BUCKETS, enableExemplars: true, registers });
  const lateness = new Histogram({ name: 'mayfly_revocation_lateness_seconds', help: 'From the instant a lease should have been dead to its confirmed revocation, or, where that never came, to the end of it at its target', labelNames: ['provider', 'reason'], buckets: LATENESS_BUCKETS, enableExemplars: true, registers });
  const revocations = new Counter({ name: 'mayfly_revocations_total', help: 'Attempts to end a credential, by what came of them', labelNames: ['provider', 'reason', 'outcome'], registers });
  const decisions = new Counter({ name: 'mayfly_policy_decisions_total', help: 'Policy decisions, by the rule that decided', labelNames: ['decision', 'rule'], registers });
  const external = new Histogram({ name: 'mayfly_external_policy_seconds', help: 'Time to ask the external decision point about one grant, by what it said', labelNames: ['verdict'], buckets: HTTP_BUCKETS, registers });
  const http = new Histogram({ name: 'mayfly_http_request_seconds', help: 'Time to answer a request', labelNames: ['route', 'method', 'status'], buckets: HTTP_BUCKETS, enableExemplars: true, registers });
  const tampered = new Counter({ name: 'mayfly_records_tampered_total', help: 'Stored records that failed their seal or vanished', registers });
  const orphans = new Counter({ name: 'mayfly_orphans_total', help: 'Live credentials found at a target and in no record', labelNames: ['provider'], registers });
  const notices = new Counter({ name: 'mayfly_notices_total', help: 'Notices of tasks that wait for a human, by what came of each attempt', labelNames: ['recipient', 'outcome'], registers });
  const webhooks = new Counter({ name: 'mayfly_webhook_deliveries_total', help: 'Attempts to deliver an event to a webhook, by what came of each', labelNames: ['webhook', 'outcome'], registers });
  const signIns = new Counter({ name: 'mayfly_sign_ins_total', help: 'Sign-ins with a browser, and ends of the sessions that they opened, by what came of each', labelNames: ['outcome', 'reason'], registers });
  const auditFailures = new Counter({ name: 'mayfly_audit_write_failures_total', help: 'Failed writes of the audit file', registers });
  const spans = new Counter({ name: 'mayfly_trace_spans_total', help: 'Recorded spans, by whether the collector took them', labelNames: ['outcome'], registers });
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
    /** What there is a count of before anything happened: one that begins with its first event hides that event from `increase()`. */
    expect({ providers, recipients, webhooks: told, signIns: outcomes }: Expected): void {
      for (const provider of providers) {
        orphans.inc({ provider }, 0);
        for (const outcome of ['minted', 'unavailable', 'refused']) mint.zero({ provider, outcome });
        for (const reason of ['completed', 'expired', 'revoked']) lateness.zero({ provider, reason });
      }
      for (const webhook of told) for (const outcome of ['delivered', 'failed', 'given_up', 'gone', 'dropped']) webhooks.inc({ webhook, outcome }, 0);
      for (const { outcome, reason } of outcomes) signIns.inc({ outcome, reason }, 0);
      for (const outcome of ['reloaded', 'refused']) policyReloads.inc({ outcome }, 0);
      for (const recipient of recipients) for (const outcome of ['sent', 'failed', 'gone']) notices.inc({ recipient, outcome }, 0);
    },

    observeMint: ({ provider, outcome, seconds }: { provider: string; outcome: string; seconds: number }): void =>
      observe(mint, { provider, outcome }, seconds, activeTraceId()),
    observeRequest: ({ route, method, status, seconds, traceId }: { route: string; method: string; status: number; seconds: number; traceId: string }): void =>
      observe(http, { route, method, status: String(status) }, seconds, traceId),
    /** `latenessMs`: null where the end says nothing of how late a revocation is. */
    observeRevocation({ provider, reason, outcome, latenessMs, traceId }: { provider: string; reason: string; outcome: string; latenessMs: number | null; traceId: string | null }): void {
      revocations.inc({ provider, reason, outcome });
      if (latenessMs !== null) observe(lateness, { provider, reason }, latenessMs / 1000, traceId ?? undefined);
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
    countSpans: (outcome: 'sent' | 'lost', count: number): void => spans.inc({ outcome }, count),
    countTampered: (): void => tampered.inc(),
    countNotice: (labels: { recipient: string; outcome: string }): void => notices.inc(labels),
    countWebhook: (labels: { webhook: string; outcome: string }): void => webhooks.inc(labels),
    countSignIn: ({ outcome, reason }: { outcome: string; reason: string }): void => signIns.inc({ outcome, reason }),
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

    /** Known without the ledger, so that it is true while that is away. */
    setUpstreams(upstreams: readonly { readonly name: string; readonly up: boolean }[]): void {
      for (const { name, up } of upstreams) gauges.upstream.set({ name }, up ? 1 : 0);
    },

    setSnapshot(snapshot: MetricsSnapshot): void {
      for (const gauge of [gauges.tasks, gauges.active, gauges.expiring, gauges.queues]) gauge.reset();
      for (const { state, count } of snapshot.tasks) gauges.tasks.set({ state }, count);
      for (const { provider, class: kind, count } of snapshot.active) gauges.active.set({ provider, class: kind }, count);
      for (const { provider, within, count } of snapshot.expiring) gauges.expiring.set({ provider, within }, count);
      for (const { queue, state, jobs } of snapshot.queues) gauges.queues.set({ queue, state }, jobs);
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

    /** The whole page. */
    async render(format: MetricsFormat = 'prometheus'): Promise<{ readonly contentType: string; readonly page: string }> {
      const shown = inFormat(format, registry);
      return { contentType: shown.contentType, page: await shown.metrics() };
    },
  };
}

/** Counts it, with the trace in which it happened beside the count: from a slow one a reader finds its request, its task, its leases. */
function observe(histogram: WithExemplars, labels: Readonly<Record<string, string>>, value: number, traceId: string | undefined): void {
  histogram.observe({ labels, value, exemplarLabels: traceId === undefined ? {} : { trace_id: traceId } });
}

/** The client's own type takes for an exemplar only labels that the metric has. */
interface WithExemplars {
  observe(observation: { readonly labels: Readonly<Record<string, string>>; readonly value: number; readonly exemplarLabels: Readonly<Record<string, string>> }): void;
}
