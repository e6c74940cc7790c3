import { readFileSync } from 'node:fs';
import { createAgentRegister } from '../agents/agent-register.ts';
import { tellUnknownPurposes } from '../agents/tell-unknown-purposes.ts';
import type { AuditSealerDeps } from '../audit/audit-sealer.ts';
import { auditOrigin } from '../audit/checkpoint.ts';
import { loadCheckpointSigners } from '../audit/checkpoint-signers.ts';
import { createFeedSeal } from '../audit/event-feed.ts';
import { FeedReader } from '../audit/feed-reader.ts';
import { createEventSealer } from '../audit/seal-event.ts';
import { routeDeps } from './route-deps.ts';
import { livePolicies, shadowPolicies } from './broker-policies.ts';
import { brokerTracing } from './broker-tracing.ts';
import { loadProviders, seenProviders } from './credential-providers.ts';
import { listen, listenTls } from './listen.ts';
import { redisTimeMs, RedisConnections, whenReady } from './redis-connections.ts';
import { startWorkers, type Workers } from './start-workers.ts';
import type { Config } from '../config/config-schema.ts';
import { epochFileOf, longestLifeMs } from '../config/ledger-loss.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import { createRedisHold } from '../core/redis-hold.ts';
import { deriveKey } from '../core/derive-key.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import { createApp, createHealthApp } from '../http/create-app.ts';
import type { HealthRoutesDeps } from '../http/routes/health.ts';
import { SIGN_IN_OUTCOMES } from '../identity/sign-in/count-sessions.ts';
import type { WorkloadApi } from '../identity/workload-api/workload-api.ts';
import { openEpochFile } from '../ledger/epoch-file.ts';
import { HoldWatch } from '../ledger/hold-watch.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createRedisLedger } from '../ledger/redis-ledger.ts';
import { createRedisTurns } from '../ledger/redis-turns.ts';
import { createTamperReport, shardOfRecord } from '../ledger/tamper-report.ts';
import { ProviderWatch } from '../providers/provider-watch.ts';
import { createBrokerSnapshot } from '../revocation/broker-snapshot.ts';
import { webhookRecipient } from '../webhooks/webhook-recipient.ts';
import { createWebhookRecords } from '../webhooks/webhook-records.ts';
import { metricsSnapshot } from '../revocation/metrics-snapshot.ts';
import { QueueDepths } from '../revocation/queue-depths.ts';
import { RevocationJobs } from '../revocation/revocation-jobs.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createMetricsApp } from '../telemetry/metrics-app.ts';
import { followTraces } from '../telemetry/trace-context.ts';

export type BrokerRole = 'api' | 'worker' | 'all';

export interface BrokerOptions {
  readonly config: Config;
  readonly role: BrokerRole;
  readonly log: Logger;
  readonly version: string;
}

export interface Broker {
  /** Where it answers, with the port it really has. */
  readonly url: string;
  readonly metricsUrl: string;
  /** Where it answers over TLS; null where it does not. */
  readonly tlsUrl: string | null;
  /** Stops taking requests, finishes what is in flight, and leaves the rest to other workers. */
  stop(): Promise<void>;
}

/** Beyond the mint time-out, this is how long an intent may wait for its activation before it counts as interrupted. */
const MINT_MARGIN_MS = 5_000;
/** Design invariants 10 and 7: how far our clock may be from Redis, and how far behind the audit log may be, for a grant. */
const GUARDS = { maxSkewMs: 5_000, maxAuditLagMs: 30_000 };
/** How long a stop waits for requests and for revocations in flight. */
const STOP_GRACE_MS = 6_000;
/** How often to look whether Redis lost records. */
const HOLD_LOOK_MS = 1_000;

/** Builds a broker from its parts and starts it: the only place where adapters are made. */
export async function startBroker({ config, role, log, version }: BrokerOptions): Promise<Broker> {
  followTraces();
  const serves = role !== 'worker';
  const works = role !== 'api';
  const clock = systemClock;
  const metrics = createMetrics(version);
  metrics.expect({ providers: Object.keys(config.providers), recipients: config.notices.map(({ name }) => name), webhooks: config.webhooks.map(({ name }) => name), signIns: config.operators.sign_in === undefined ? [] : SIGN_IN_OUTCOMES });
  const tracing = await brokerTracing(config, { version, role, metrics, log });
  const master = readFileSync(config.keys.ledger_seal_file);
  const events = createEventSealer(deriveKey(master, 'audit events'));
  const feedSeal = createFeedSeal(deriveKey(master, 'event feed'));
  // Read before anything is opened: a broken policy set must not leave connections behind.
  const policyParts = { metrics, log, clock, ledger: () => ledger };
  const policy = serves ? livePolicies(config, policyParts) : undefined;
  const shadow = serves ? shadowPolicies(config, policyParts) : undefined;
  const checkpoints = checkpointSigning(config);

  // Loaded before there are connections, whose first events would be missed meanwhile.
  const createProviders = await loadProviders(config);
  const workloadApi = await openWorkloadApi(config, { clock, log });

  const redis = new RedisConnections(config, log);
  const ledgerRedis = redis.connect('impatient');
  const tampered = createTamperReport(metrics, log);
  const ledger = createRedisLedger({
    redis: ledgerRedis,
    recordKey: deriveKey(master, 'ledger records'),
    sealEvent: (event) => events.seal(event),
    clock,
    guards: GUARDS,
    mintDeadlineMs: config.minting.timeout_ms + MINT_MARGIN_MS,
    retentionSeconds: config.retention_seconds,
    noticesTo: config.notices.map(({ name }) => name),
    minReplicaAcks: config.redis.min_replica_acks,
    onTampered: (error, shard) => tampered.report(error, shard, ledger),
    epoch: { file: works ? openEpochFile(epochFileOf(config)) : null, begins: works, longestLifeMs: longestLifeMs(config) },
  });
  const holdWatch = new HoldWatch({ ledger, intervalMs: HOLD_LOOK_MS, log });
  holdWatch.start();

  const register = createAgentRegister({ ledger, configured: config.agents, clock });
  const reloadPolicy = (): void => {
    policy?.reload();
    shadow?.reload();
  };
  // In a terminal it means that the terminal was closed.
  if (!process.stdout.isTTY) process.on('SIGHUP', reloadPolicy);
  if (policy !== undefined) {
    metrics.setPolicyVersion(policy.version);
    tellUnknownPurposes(config.agents, { policy }, log);
    policy.start();
  }
  shadow?.start();

  const { all: providers, jwt: jwtProviders } = createProviders({ clock, turns: createRedisTurns(ledgerRedis), rights: { mint: serves, revoke: works, list: works }, workloadApi, log });
  const watch = new ProviderWatch(providers, log);
  watch.start();

  const webhooks = {
    recipients: config.webhooks.map((webhook) => webhookRecipient(webhook, { environment: config.environment, clock })),
    records: createWebhookRecords({ redis: ledgerRedis, seal: feedSeal }),
    hold: createRedisHold(ledgerRedis),
  };

  let workers: Workers | undefined;
  const nudge = (): void => workers?.nudge();
  const jobs = new RevocationJobs({ ledger, clock, leasesPerSecond: config.revocation.bulk_leases_per_second, nudge, log });
  if (works) {
    workers = startWorkers({ config, clock, ledger, redis, redisTimeMs: () => redisTimeMs(ledgerRedis), providers, watch, jobs, events, feedSeal, checkpoints, webhooks, tracing, metrics, log });
  }

  const feed = serves ? new FeedReader({ redis: redis.connect('following'), seal: feedSeal, onForged: () => metrics.countTampered(), log }) : undefined;

  const depths = new QueueDepths(redis.connect('impatient'), providers.keys(), log);
  const snapshot = createBrokerSnapshot({ ledger, held: () => holdWatch.hold !== null, ...seenProviders(config, providers), watch, queues: depths, clock });

  let stopping = false;
  const health: HealthRoutesDeps = {
    essential: async () => [await ledgerHealth(ledger, holdWatch)],
    providers: () => watch.states(),
    held: () => holdWatch.hold !== null,
    stopping: () => stopping,
  };
  const app =
    policy === undefined || feed === undefined
      ? createHealthApp(health)
      : createApp({
          health,
          version,
          ...routeDeps({ config, workloadApi, ledger, policy, shadow, providers, jwtProviders, metrics, log, nudge, jobs, checkpoints, feed, register, webhooks, snapshot, version, dpopNonceKey: deriveKey(master, 'DPoP nonces'), signInKey: deriveKey(master, 'sign-in attempts') }),
          log,
          onTampered: (error) => tampered.report(error, shardOfRecord(error), ledger),
          observeRequest: (observation) => metrics.observeRequest(observation),
        });
  const server = await listen(app, config.http, STOP_GRACE_MS);
  const tlsServer = config.tls === undefined || !serves ? undefined : await listenTls(app, config.tls, { graceMs: STOP_GRACE_MS, workloadApi, log });
  const gauges = metricsSnapshot({ snapshot, agents: register, redisTimeMs: () => redisTimeMs(ledgerRedis), nowMs: () => clock.now() });
  const metricsApp = createMetricsApp(metrics, async () => {
    const up = await ledger.ping().then(() => true, () => false);
    metrics.setUpstreams([{ name: 'redis', up }, ...watch.states().map(({ name, ok }) => ({ name, up: ok }))]);
    metrics.setSnapshot(await gauges());
  });
  const metricsServer = await listen(metricsApp, { host: config.http.host, port: config.http.metrics_port }, STOP_GRACE_MS);
  const recordLife = (type: 'broker.started' | 'broker.stopped'): Promise<void> =>
    ledger
      .recordEvent({ shard: SHARDS[0] as Shard, type, by: { issuer: 'mayfly', subject: 'broker' }, facts: { role, version, policy_version: policy?.version ?? null } })
      .catch(() => undefined);
  const recorded = whenReady(ledgerRedis).then(() => recordLife('broker.started'));
  await Promise.race([recorded, new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);

  return {
    url: server.url,
    tlsUrl: tlsServer?.url ?? null,
    metricsUrl: `${metricsServer.url}/metrics`,
    async stop() {
      stopping = true;
      policy?.stop();
      shadow?.stop();
      process.off('SIGHUP', reloadPolicy);
      feed?.stop();
      await Promise.all([server.close(), tlsServer?.close()]);
      await workers?.stop(STOP_GRACE_MS);
      await recordLife('broker.stopped');
      await workers?.stopSealing();
      await holdWatch.stop();
      watch.stop();
      await Promise.all([...providers.values()].map((provider) => provider.close()));
      await metricsServer.close();
      await depths.close();
      workloadApi?.close();
      redis.close();
      await tracing?.stop();
    },
  };
}

/** How the audit log is signed, if it is. Signing needs the file: a stream keeps nothing to sign beside. */
function checkpointSigning(config: Config): AuditSealerDeps['checkpoints'] {
  const [first, ...others] = loadCheckpointSigners(config);
  if (first === undefined || config.audit.sink !== 'file') return undefined;
  return { origin: auditOrigin(config.deployment_id), signers: [first, ...others], everyMs: config.audit.checkpoint_seconds * 1000 };
}

/** gRPC is much code, for the few who have an agent. It is asked for nothing yet. */
async function openWorkloadApi({ workload_api: { socket } }: Config, { clock, log }: { readonly clock: Clock; readonly log: Logger }): Promise<WorkloadApi | undefined> {
  if (socket === undefined) return undefined;
  const { createWorkloadApi } = await import('../identity/workload-api/workload-api.ts');
  return createWorkloadApi({ socket, clock, log });
}

async function ledgerHealth(ledger: Ledger, { hasLooked }: HoldWatch): Promise<{ name: string; ok: boolean; detail: string }> {
  try {
    await ledger.ping();
    return { name: 'redis', ok: hasLooked, detail: hasLooked ? 'answers' : 'answers; no worker has begun the ledger in it yet, so nothing is granted' };
  } catch {
    return { name: 'redis', ok: false, detail: 'does not answer; nothing is granted, what is due is revoked when it is back' };
  }
}
