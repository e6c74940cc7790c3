/** Series by their selector, each with its samples, one a step, in the notation of promtool: `0+1x5` is 0 1 2 3 4 5. */
export type Series = Readonly<Record<string, string>>;

/** What makes an alert fire, and what is near to it and must not. */
export interface AlertCase {
  readonly alert: string;
  readonly what: string;
  /** The step; a minute where not given. */
  readonly every?: '10m';
  /** When the alert is looked at. */
  readonly at: string;
  readonly series: Series;
  /** The alerts of this name that fire then, by their labels; none: it is silent. */
  readonly fires: readonly Readonly<Record<string, string>>[];
}

const up = { 'mayfly_build_info{version="1",instance="a"}': '1x6000' };
const page = { severity: 'page' };
const ticket = { severity: 'ticket' };

/** So many steps of a thousand revocations each, of which so many in a hundred thousand are late. */
const lateness = (late: number, steps: number): Series => ({
  'mayfly_revocation_lateness_seconds_bucket{provider="vault-main",reason="expired",le="5"}': `0+${1_000 - late / 100}x${steps}`,
  'mayfly_revocation_lateness_seconds_count{provider="vault-main",reason="expired"}': `0+1000x${steps}`,
});

const gauge = (alert: string, what: string, series: string, values: string, at: string, fires: AlertCase['fires']): AlertCase => ({ alert, what, at, series: { ...up, [series]: values }, fires });

export const ALERT_CASES: readonly AlertCase[] = [
  { alert: 'MayflyLatenessBurnFast', what: '2 % late for an hour', at: '70m', series: lateness(2_000, 80), fires: [{ ...page, burn: '14.4' }, { ...page, burn: '6' }] },
  { alert: 'MayflyLatenessBurnFast', what: '0.7 % late for six hours', at: '370m', series: lateness(700, 380), fires: [{ ...page, burn: '6' }] },
  { alert: 'MayflyLatenessBurnFast', what: '0.5 % late', at: '370m', series: lateness(500, 380), fires: [] },
  { alert: 'MayflyLatenessBurnFast', what: 'minutes after the cause is gone', at: '76m', series: { 'mayfly_revocation_lateness_seconds_bucket{le="5"}': '0+58x60 3480+60x40', 'mayfly_revocation_lateness_seconds_count': '0+60x100' }, fires: [{ ...page, burn: '6' }] },
  { alert: 'MayflyLatenessBurnFast', what: 'nothing revoked at all', at: '70m', series: { 'mayfly_revocation_lateness_seconds_bucket{le="5"}': '7x80', 'mayfly_revocation_lateness_seconds_count': '9x80' }, fires: [] },
  { alert: 'MayflyLatenessBurnFast', what: 'bounds as Prometheus 3 writes them', at: '70m', series: { 'mayfly_revocation_lateness_seconds_bucket{le="5.0"}': '0+60x80', 'mayfly_revocation_lateness_seconds_count': '0+60x80' }, fires: [] },
  { alert: 'MayflyLatenessBurnSlow', what: '0.4 % late for a day', every: '10m', at: '25h', series: lateness(400, 150), fires: [{ ...ticket, burn: '3' }, { ...ticket, burn: '1' }] },
  { alert: 'MayflyLatenessBurnSlow', what: '0.2 % late for three days', every: '10m', at: '73h', series: lateness(200, 440), fires: [{ ...ticket, burn: '1' }] },
  { alert: 'MayflyLatenessBurnSlow', what: '0.05 % late for three days', every: '10m', at: '73h', series: lateness(50, 440), fires: [] },

  gauge('MayflyRevocationOverdue', 'more than a minute', 'mayfly_revocation_oldest_overdue_seconds', '0 20 80', '2m', [page]),
  gauge('MayflyRevocationOverdue', 'less than a minute', 'mayfly_revocation_oldest_overdue_seconds', '0 20 59', '2m', []),
  gauge('MayflyRevocationStuck', 'one, for a minute', 'mayfly_leases_stuck', '0 1 1', '2m', [page]),
  gauge('MayflyRevocationStuck', 'none', 'mayfly_leases_stuck', '0x3', '2m', []),
  gauge('MayflySecretDisclosed', 'one', 'mayfly_leases_disclosed', '0 1', '1m', [ticket]),
  gauge('MayflySecretDisclosed', 'none', 'mayfly_leases_disclosed', '0 0', '1m', []),
  gauge('MayflyOrphanFound', 'the first ever', 'mayfly_orphans_total{provider="vault-main"}', '0x5 1x5', '10m', [{ ...ticket, provider: 'vault-main' }]),
  gauge('MayflyOrphanFound', 'one of long ago', 'mayfly_orphans_total{provider="vault-main"}', '1x100', '90m', []),
  gauge('MayflyRevocationUndone', 'one', 'mayfly_revocations_undone{provider="aws-main"}', '0 1', '1m', [{ ...page, provider: 'aws-main' }]),
  gauge('MayflyRevocationUndone', 'none', 'mayfly_revocations_undone{provider="aws-main"}', '0 0', '1m', []),

  gauge('MayflyProviderDown', 'a minute away, for one of two processes', 'mayfly_upstream_up{name="vault-main",instance="b"}', '1 0 0', '2m', [{ ...page, name: 'vault-main' }]),
  gauge('MayflyProviderDown', 'away for a moment', 'mayfly_upstream_up{name="vault-main"}', '1 0 1', '2m', []),
  gauge('MayflyProviderDown', 'it is Redis', 'mayfly_upstream_up{name="redis"}', '0x5', '2m', []),
  { alert: 'MayflyMintErrors', what: 'one in ten', at: '20m', series: { 'mayfly_mint_seconds_count{provider="vault-main",outcome="minted"}': '0+54x20', 'mayfly_mint_seconds_count{provider="vault-main",outcome="refused"}': '0+6x20' }, fires: [{ ...ticket, provider: 'vault-main' }] },
  { alert: 'MayflyMintErrors', what: 'one in fifty', at: '20m', series: { 'mayfly_mint_seconds_count{provider="vault-main",outcome="minted"}': '0+49x20', 'mayfly_mint_seconds_count{provider="vault-main",outcome="refused"}': '0+1x20' }, fires: [] },
  { alert: 'MayflyQueueStalled', what: 'batches wait, no attempt', at: '15m', series: { 'mayfly_queue_depth{queue="vault-main",state="waiting"}': '3x20', 'mayfly_revocations_total{provider="vault-main",outcome="revoked"}': '9x20' }, fires: [{ ...page, queue: 'vault-main' }] },
  { alert: 'MayflyQueueStalled', what: 'batches wait, nobody ever tried', at: '15m', series: { 'mayfly_queue_depth{queue="vault-main",state="waiting"}': '3x20' }, fires: [{ ...page, queue: 'vault-main' }] },
  { alert: 'MayflyQueueStalled', what: 'batches wait, attempts fail', at: '15m', series: { 'mayfly_queue_depth{queue="vault-main",state="waiting"}': '3x20', 'mayfly_revocations_total{provider="vault-main",outcome="failed"}': '0+1x20' }, fires: [] },
  { alert: 'MayflyQueueStalled', what: 'nothing waits', at: '15m', series: { 'mayfly_queue_depth{queue="vault-main",state="waiting"}': '0x20', 'mayfly_queue_depth{queue="vault-main",state="failed"}': '3x20' }, fires: [] },
  gauge('MayflyRedisDown', 'not reached by one of two', 'mayfly_upstream_up{name="redis",instance="b"}', '1 0 0', '2m', [page]),
  gauge('MayflyRedisDown', 'reached', 'mayfly_upstream_up{name="redis"}', '1x5', '2m', []),
  gauge('MayflyHold', 'held', 'mayfly_hold', '0 1', '1m', [page]),
  gauge('MayflyHold', 'not held', 'mayfly_hold', '0 0', '1m', []),
  gauge('MayflyClockSkew', 'behind by 3 s', 'mayfly_clock_skew_seconds{instance="a"}', '-3x5', '3m', [{ ...ticket, instance: 'a' }]),
  gauge('MayflyClockSkew', 'ahead by 1 s', 'mayfly_clock_skew_seconds{instance="a"}', '1x5', '3m', []),
  { alert: 'MayflyDown', what: 'all gone', at: '8m', series: { 'mayfly_build_info{instance="a"}': '1 1 _x10', 'up{job="mayfly",instance="a"}': '1 1 0x10' }, fires: [page] },
  { alert: 'MayflyDown', what: 'one of two gone', at: '8m', series: { 'mayfly_build_info{instance="a"}': '1 1 _x10', 'mayfly_build_info{instance="b"}': '1x10' }, fires: [] },
  { alert: 'MayflyReplicaDown', what: 'one of two gone', at: '8m', series: { ...up, 'up{job="prod/mayfly-worker",instance="b"}': '1 1 0x10' }, fires: [{ ...ticket, job: 'prod/mayfly-worker', instance: 'b' }] },
  { alert: 'MayflyReplicaDown', what: 'something else gone', at: '8m', series: { ...up, 'up{job="mayor",instance="b"}': '0x10' }, fires: [] },

  gauge('MayflyAuditStalled', 'more than 10 s behind', 'mayfly_audit_lag_seconds', '0 12 15', '2m', [page]),
  gauge('MayflyAuditStalled', 'behind for a moment', 'mayfly_audit_lag_seconds', '0 12 1', '2m', []),
  gauge('MayflyAuditFailing', 'a write failed', 'mayfly_audit_write_failures_total', '0x3 1 1', '4m', [page]),
  gauge('MayflyAuditFailing', 'none lately', 'mayfly_audit_write_failures_total', '4x20', '15m', []),
  gauge('MayflyRecordsTampered', 'one', 'mayfly_records_tampered_total', '0x3 1 1', '4m', [page]),
  gauge('MayflyRecordsTampered', 'none', 'mayfly_records_tampered_total', '0x5', '4m', []),
  gauge('MayflySignInsRefused', 'a burst', 'mayfly_sign_ins_total{outcome="refused",reason="wrong_answer"}', '0x3 5 20 30 30', '6m', [{ ...ticket, outcome: 'refused', reason: 'wrong_answer' }]),
  gauge('MayflySignInsRefused', 'a flood of logout tokens', 'mayfly_sign_ins_total{outcome="logout_refused",reason="limited"}', '0x3 900 900', '4m', [{ ...ticket, outcome: 'logout_refused', reason: 'limited' }]),
  gauge('MayflySignInsRefused', 'one an hour', 'mayfly_sign_ins_total{outcome="refused",reason="no_role"}', '0+1x20', '12m', []),
  gauge('MayflySignInsRefused', 'many who are let in', 'mayfly_sign_ins_total{outcome="signed_in",reason="none"}', '0+100x20', '12m', []),
  gauge('MayflyPolicyRefused', 'one', 'mayfly_policy_reloads_total{outcome="refused"}', '0x3 1 1', '4m', [ticket]),
  gauge('MayflyPolicyRefused', 'changes that were taken', 'mayfly_policy_reloads_total{outcome="reloaded"}', '0+1x5', '4m', []),
  { alert: 'MayflyNoticesFailing', what: 'none goes through', at: '6m', series: { 'mayfly_notices_total{recipient="on-call",outcome="failed"}': '0+1x10', 'mayfly_notices_total{recipient="on-call",outcome="sent"}': '2x10' }, fires: [{ ...ticket, recipient: 'on-call' }] },
  { alert: 'MayflyNoticesFailing', what: 'the recipient is gone', at: '6m', series: { 'mayfly_notices_total{recipient="on-call",outcome="gone"}': '0 0 1x10' }, fires: [{ ...ticket, recipient: 'on-call' }] },
  { alert: 'MayflyNoticesFailing', what: 'the second try goes through', at: '6m', series: { 'mayfly_notices_total{recipient="on-call",outcome="failed"}': '0+1x10', 'mayfly_notices_total{recipient="on-call",outcome="sent"}': '0+1x10' }, fires: [] },
  gauge('MayflyWebhookFailing', 'none goes through', 'mayfly_webhook_deliveries_total{webhook="soc",outcome="failed"}', '0+1x20', '15m', [{ ...ticket, webhook: 'soc' }]),
  gauge('MayflyWebhookFailing', 'it was disabled by a 410', 'mayfly_webhook_deliveries_total{webhook="soc",outcome="gone"}', '0 0 1x20', '15m', [{ ...ticket, webhook: 'soc' }]),
  { alert: 'MayflyWebhookFailing', what: 'later tries go through', at: '15m', series: { 'mayfly_webhook_deliveries_total{webhook="soc",outcome="failed"}': '0+1x20', 'mayfly_webhook_deliveries_total{webhook="soc",outcome="delivered"}': '0+1x20' }, fires: [] },
];
