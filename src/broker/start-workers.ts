import { AuditSealer, type AuditSealerDeps } from '../audit/audit-sealer.ts';
import { createFeedWriter, type FeedSeal } from '../audit/event-feed.ts';
import type { EventSealer } from '../audit/seal-event.ts';
import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { NoticeSender } from '../grant/notice-sender.ts';
import type { RedisHold } from '../core/redis-hold.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { CredentialProvider } from '../providers/credential-provider.ts';
import type { ProviderWatch } from '../providers/provider-watch.ts';
import { DueSweep } from '../revocation/due-sweep.ts';
import { Reconciler } from '../revocation/reconciler.ts';
import type { RevocationJobs } from '../revocation/revocation-jobs.ts';
import { RevocationQueues } from '../revocation/revocation-queues.ts';
import { SweepClock } from '../revocation/sweep-clock.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Tracing } from '../telemetry/tracing.ts';
import { WebhookCourier } from '../webhooks/webhook-courier.ts';
import type { WebhookRecipient } from '../webhooks/webhook-recipient.ts';
import type { WebhookRecords } from '../webhooks/webhook-records.ts';
import type { RedisConnections } from './redis-connections.ts';

/** Batches of one provider worked on at once. */
const BATCHES_PER_PROVIDER = 4;
/** For one pass of the reconciler over one provider. */
const RECONCILE_TIMEOUT_MS = 60_000;

export interface WorkerParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly redis: RedisConnections;
  readonly redisTimeMs: () => Promise<number>;
  readonly providers: ReadonlyMap<string, CredentialProvider>;
  readonly watch: ProviderWatch;
  readonly jobs: RevocationJobs;
  readonly events: EventSealer;
  readonly feedSeal: FeedSeal;
  readonly checkpoints: AuditSealerDeps['checkpoints'];
  readonly webhooks: { readonly recipients: readonly WebhookRecipient[]; readonly records: WebhookRecords; readonly hold: RedisHold };
  readonly tracing: Tracing | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

export interface Workers {
  /** Tells the sweep that there is something to end now. */
  readonly nudge: () => void;
  /** Ends the work, but for the sealing of what is recorded meanwhile. */
  stop(graceMs: number): Promise<void>;
  stopSealing(): Promise<void>;
}

const MEBIBYTE = 1_048_576;

/** What a process does that ends things and seals the audit log, whether or not it serves. */
export function startWorkers({ config, clock, ledger, redis, redisTimeMs, providers, watch, jobs, events, feedSeal, checkpoints, webhooks, tracing, metrics, log }: WorkerParts): Workers {
  const sealerRedis = redis.connect('impatient');
  const sealer = new AuditSealer({
    redis: sealerRedis,
    feed: createFeedWriter(sealerRedis, feedSeal, log),
    file: config.audit.file,
    ...(config.audit.sink === 'stdout' ? { stream: process.stdout } : {}),
    ...(config.audit.rotate_mebibytes === undefined ? {} : { rotateBytes: config.audit.rotate_mebibytes * MEBIBYTE }),
    ...(checkpoints === undefined ? {} : { checkpoints }),
    events,
    clock,
    onFailure: () => metrics.countAuditFailure(),
    onNotice(notice) {
      if (notice.type === 'audit.forged' || notice.type === 'audit.gap') metrics.countTampered();
      log.warn({ notice }, 'the audit stream is not as the broker wrote it');
    },
    log,
  });
  const queues = new RevocationQueues({
    ledger,
    clock,
    retry: {
      firstMs: config.revocation.retry_first_ms,
      maxMs: config.revocation.retry_max_ms,
      stuckAfterMs: config.revocation.stuck_after_seconds * 1000,
    },
    observe: (observation) => metrics.observeRevocation(observation),
    connection: redis.connect('patient'),
    providers,
    telemetry: tracing?.jobs,
    isAway: (provider) => watch.isAway(provider),
    concurrency: BATCHES_PER_PROVIDER,
    batchTimeoutMs: config.revocation.claim_timeout_ms,
    log,
  });
  const sweep = new DueSweep({
    ledger,
    clock,
    sweepClock: new SweepClock(clock, redisTimeMs),
    dispatch: (provider, batch) => queues.dispatch(provider, batch),
    settings: {
      intervalMs: config.revocation.sweep_interval_ms,
      batchSize: config.revocation.batch_size,
      claimTimeoutMs: config.revocation.claim_timeout_ms,
    },
    observe: (observation) => metrics.observeRevocation(observation),
    log,
  });
  const reconciler = new Reconciler({
    ledger,
    providers,
    clock,
    settings: {
      intervalMs: config.revocation.reconcile_interval_seconds * 1000,
      orphanAgeMs: config.minting.timeout_ms + config.revocation.orphan_grace_seconds * 1000,
      timeoutMs: RECONCILE_TIMEOUT_MS,
    },
    onOrphan: (provider) => metrics.countOrphan(provider),
    onFindings: (findings) => metrics.setFindings(findings),
    log,
  });
  const notices = new NoticeSender({
    ledger,
    notices: config.notices,
    environment: config.environment,
    publicUrl: config.http.public_url,
    risk: config.policy.risk,
    clock,
    observe: (observation) => metrics.countNotice(observation),
    log,
  });
  const couriers = webhooks.recipients.map(
    (recipient) =>
      new WebhookCourier({
        recipient,
        records: webhooks.records,
        hold: webhooks.hold,
        ledger,
        deploymentId: config.deployment_id,
        clock,
        observe: (observation) => metrics.countWebhook(observation),
        onForged: () => metrics.countTampered(),
        log,
      }),
  );
  queues.start();
  notices.start();
  sweep.start();
  reconciler.start();
  jobs.start();
  for (const courier of couriers) courier.start();
  sealer.start();

  return {
    nudge: () => sweep.nudge(),
    async stop(graceMs) {
      await Promise.all([sweep.stop(), reconciler.stop(), jobs.stop(), notices.stop(), ...couriers.map((courier) => courier.stop())]);
      await queues.stop(graceMs);
    },
    stopSealing: () => sealer.stop(),
  };
}
