import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { createAgentRegister } from './agents/agent-register.ts';
import { tellUnknownPurposes } from './agents/tell-unknown-purposes.ts';
import type { AuditSealerDeps } from './audit/audit-sealer.ts';
import { auditOrigin } from './audit/checkpoint.ts';
import { loadCheckpointSigners } from './audit/checkpoint-signers.ts';
import { createFeedSeal } from './audit/event-feed.ts';
import { BLOCK_MS, FeedReader } from './audit/feed-reader.ts';
import { createEventSealer } from './audit/seal-event.ts';
import { routeDeps } from './broker-routes.ts';
import { brokerTracing } from './broker-tracing.ts';
import { startWorkers, type Workers } from './broker-workers.ts';
import type { Config, TlsConfig } from './config/config-schema.ts';
import { epochFileOf, longestLifeMs } from './config/ledger-loss.ts';
import { redisUrlOf } from './config/redis-url.ts';
import { systemClock, type Clock } from './core/clock.ts';
import { createRedisHold } from './core/redis-hold.ts';
import { deriveKey } from './core/derive-key.ts';
import { SHARDS, type Shard } from './core/ids.ts';
import { createApp, createHealthApp } from './http/create-app.ts';
import { gracefulClose } from './http/graceful-close.ts';
import { createTlsServer } from './http/tls-server.ts';
import { createWorkloadApi, type WorkloadApi } from './identity/workload-api/workload-api.ts';
import { certificateFiles, type CertificateSource } from './identity/x509/certificate-files.ts';
import type { HealthRoutesDeps } from './http/routes/health.ts';
import { openEpochFile } from './ledger/epoch-file.ts';
import { HoldWatch } from './ledger/hold-watch.ts';
import type { CountedKind } from './ledger/ledger-counts.ts';
import type { Ledger } from './ledger/ledger.ts';
import { createRedisLedger } from './ledger/redis-ledger.ts';
import { createRedisTurns } from './ledger/redis-turns.ts';
import { createTamperReport, shardOfRecord } from './ledger/tamper-report.ts';
import { LivePolicies } from './policy/live-policies.ts';
import { reportPolicyChange, reportShadowChange } from './policy/report-policy-change.ts';
import { ShadowPolicies } from './policy/shadow-policies.ts';
import { createAwsStsProvider } from './providers/aws-sts/aws-sts-provider.ts';
import type { CredentialProvider } from './providers/credential-provider.ts';
import { guardProvider } from './providers/guarded-provider.ts';
import { createJwtProvider, type JwtProvider } from './providers/jwt/jwt-provider.ts';
import { createVaultProvider } from './providers/vault/vault-provider.ts';
import { ProviderWatch } from './providers/provider-watch.ts';
import { createBrokerSnapshot, type SeenProvider } from './revocation/broker-snapshot.ts';
import { webhookRecipient } from './webhooks/webhook-recipient.ts';
import { createWebhookRecords } from './webhooks/webhook-records.ts';
import { metricsSnapshot } from './revocation/metrics-snapshot.ts';
import { QueueDepths } from './revocation/queue-depths.ts';
import { RevocationJobs } from './revocation/revocation-jobs.ts';
import type { Logger } from './telemetry/logger.ts';
import { createMetrics, type Metrics } from './telemetry/metrics.ts';
import { serveMetrics } from './telemetry/metrics-server.ts';
import { followTraces } from './telemetry/trace-context.ts';

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
/** Longer than what proxies in front usually keep idle, so that they close first and no request meets a closing socket. */
const KEEP_ALIVE_MS = 75_000;
/** How often the policy folder is looked at. */
const POLICY_LOOK_MS = 1_000;
/** How often to look whether Redis lost records. */
const HOLD_LOOK_MS = 1_000;

/** Builds a broker from its parts and starts it: the only place where adapters are made. */
export async function startBroker({ config, role, log, version }: BrokerOptions): Promise<Broker> {
  followTraces();
  const serves = role !== 'worker';
  const works = role !== 'api';
  const clock = systemClock;
  const metrics = createMetrics(version);
  metrics.expect({ providers: Object.keys(config.providers), recipients: config.notices.map(({ name }) => name), webhooks: config.webhooks.map(({ name }) => name) });
  const tracing = await brokerTracing(config, { version, role, metrics, log });
  const master = readFileSync(config.keys.ledger_seal_file);
  const events = createEventSealer(deriveKey(master, 'audit events'));
  const feedSeal = createFeedSeal(deriveKey(master, 'event feed'));
  // Read before anything is opened: a broken policy set must not leave connections behind.
  const policy = serves ? new LivePolicies({ directory: config.policy.directory, intervalMs: POLICY_LOOK_MS, onChange: (change) => reportPolicyChange(change, { metrics, log, ledger }) }) : undefined;
  const shadow = serves && config.policy.shadow_directory !== undefined ? shadowPolicies(config.policy.shadow_directory, { metrics, log, clock, ledger: () => ledger }) : undefined;

  const checkpoints = checkpointSigning(config);

  const redisUrl = redisUrlOf(config);
  const connections: Redis[] = [];
  const connect = (patient: boolean, more: { readonly commandTimeout?: number; readonly enableAutoPipelining?: boolean } = {}): Redis => {
    const redis = new Redis(redisUrl, { ...(patient ? PATIENT : IMPATIENT), ...more });
    redis.on('error', (error) => log.debug({ err: error }, 'redis'));
    connections.push(redis);
    return redis;
  };
  const ledgerRedis = connect(false);
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

  const workloadApi = config.workload_api.socket === undefined ? undefined : createWorkloadApi({ socket: config.workload_api.socket, clock, log });
  const turns = createRedisTurns(ledgerRedis);
  const rights = { mint: serves, revoke: works, list: works };
  const jwtProviders: JwtProvider[] = [];
  const providers = new Map<string, CredentialProvider>();
  for (const [name, settings] of Object.entries(config.providers)) {
    const credentials = Object.fromEntries(Object.entries(config.credentials).filter(([, credential]) => credential.provider === name));
    const common = { name, credentials, deploymentId: config.deployment_id };
    if (settings.type === 'jwt') {
      const provider = createJwtProvider({ ...common, config: settings });
      jwtProviders.push(provider);
      providers.set(name, provider);
    } else if (settings.type === 'aws-sts') {
      const provider = createAwsStsProvider({ ...common, config: settings, clock, turns, rights, log });
      providers.set(name, guardProvider(provider, { maxInFlight: settings.max_in_flight, mintTimeoutMs: config.minting.timeout_ms }));
    } else {
      const provider = createVaultProvider({ ...common, config: settings, clock, rights, logger: log, jwtSvid: workloadApi?.jwtSvid });
      providers.set(name, guardProvider(provider, { maxInFlight: settings.max_in_flight, mintTimeoutMs: config.minting.timeout_ms }));
    }
  }
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
    workers = startWorkers({ config, clock, ledger, connect, redisTimeMs: () => redisTimeMs(ledgerRedis), providers, watch, jobs, events, feedSeal, checkpoints, webhooks, tracing, metrics, log });
  }

  const feed = serves ? new FeedReader({ redis: connect(false, FOLLOWING), seal: feedSeal, onForged: () => metrics.countTampered(), log }) : undefined;

  const depths = new QueueDepths(connect(false), providers.keys(), log);
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
  const server = createServer(app);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const closeServer = gracefulClose(server, STOP_GRACE_MS);
  const url = await listen(server, config.http.host, config.http.port);
  const tls = config.tls === undefined || !serves ? undefined : await listenTls(app, config.tls, certificateSource(config.tls, workloadApi, log));
  const gauges = metricsSnapshot({ snapshot, agents: register, redisTimeMs: () => redisTimeMs(ledgerRedis), nowMs: () => clock.now() });
  const metricsServer = await serveMetrics(metrics, { host: config.http.host, port: config.http.metrics_port }, async () => {
    const redis = await ledger.ping().then(() => true, () => false);
    metrics.setUpstreams([{ name: 'redis', up: redis }, ...watch.states().map(({ name, ok }) => ({ name, up: ok }))]);
    metrics.setSnapshot(await gauges());
  });
  const closeMetrics = gracefulClose(metricsServer, STOP_GRACE_MS);
  const recordLife = (type: 'broker.started' | 'broker.stopped'): Promise<void> =>
    ledger
      .recordEvent({ shard: SHARDS[0] as Shard, type, by: { issuer: 'mayfly', subject: 'broker' }, facts: { role, version, policy_version: policy?.version ?? null } })
      .catch(() => undefined);
  await Promise.race([once(ledgerRedis, 'ready').then(() => recordLife('broker.started')), new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);

  return {
    url,
    tlsUrl: tls?.url ?? null,
    metricsUrl: `${addressUrl(metricsServer, config.http.host)}/metrics`,
    async stop() {
      stopping = true;
      policy?.stop();
      shadow?.stop();
      process.off('SIGHUP', reloadPolicy);
      feed?.stop();
      await Promise.all([closeServer(), tls?.close()]);
      await workers?.stop(STOP_GRACE_MS);
      await recordLife('broker.stopped');
      await workers?.stopSealing();
      await holdWatch.stop();
      watch.stop();
      await Promise.all([...providers.values()].map((provider) => provider.close()));
      await closeMetrics();
      await depths.close();
      workloadApi?.close();
      // Ending one that has ended keeps the process up for two more seconds: ioredis waits for a socket that is closed already.
      for (const redis of connections) if (redis.status !== 'end') redis.disconnect();
      await tracing?.stop();
    },
  };
}

/** For what must fail at once when Redis is away: a grant, a read. */
const IMPATIENT = { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: 2_000, enableAutoPipelining: true, retryStrategy: retryDelay };
/** For a blocking read, which outlasts what others may take. */
const FOLLOWING = { commandTimeout: 2 * BLOCK_MS, enableAutoPipelining: false };
/** For BullMQ, which waits for Redis as long as it takes. */
const PATIENT = { maxRetriesPerRequest: null, retryStrategy: retryDelay };

function retryDelay(attempts: number): number {
  return Math.min(50 * attempts, 1_000);
}

/** A second set that is asked and never decides. Nothing it does keeps a broker from starting. */
function shadowPolicies(directory: string, deps: { readonly metrics: Metrics; readonly log: Logger; readonly clock: Clock; readonly ledger: () => Ledger }): ShadowPolicies {
  const { metrics, log, clock, ledger } = deps;
  return new ShadowPolicies({
    directory,
    intervalMs: POLICY_LOOK_MS,
    clock,
    onChange: (change) => reportShadowChange(change, { metrics, log, ledger: ledger() }),
    onSuspended: (facts) => log.warn(facts, 'the shadow policies are too slow and are not asked for a while'),
  });
}

/** How the audit log is signed, if it is. Signing needs the file: a stream keeps nothing to sign beside. */
function checkpointSigning(config: Config): AuditSealerDeps['checkpoints'] {
  const [first, ...others] = loadCheckpointSigners(config);
  if (first === undefined || config.audit.sink !== 'file') return undefined;
  return { origin: auditOrigin(config.deployment_id), signers: [first, ...others], everyMs: config.audit.checkpoint_seconds * 1000 };
}

async function ledgerHealth(ledger: Ledger, { hasLooked }: HoldWatch): Promise<{ name: string; ok: boolean; detail: string }> {
  try {
    await ledger.ping();
    return { name: 'redis', ok: hasLooked, detail: hasLooked ? 'answers' : 'answers; no worker has begun the ledger in it yet, so nothing is granted' };
  } catch {
    return { name: 'redis', ok: false, detail: 'does not answer; nothing is granted, what is due is revoked when it is back' };
  }
}

/** The configured providers, and the kinds that each mints, for those who look on. */
function seenProviders(config: Config, providers: ReadonlyMap<string, CredentialProvider>): { readonly providers: readonly SeenProvider[]; readonly kinds: readonly CountedKind[] } {
  const seen = Object.entries(config.providers).map(([name, { type }]) => {
    const minted = Object.entries(config.credentials).flatMap(([credential, { provider }]) => (provider === name ? (providers.get(name)?.capabilities(credential) ?? []) : []));
    return { name, type, revocability: [...new Set(minted.map(({ revocability }) => revocability))], kinds: [...new Set(minted.map(({ kind }) => kind))] };
  });
  return { providers: seen.map(({ name, type, revocability }) => ({ name, type, revocability })), kinds: seen.flatMap(({ name, kinds }) => kinds.map((kind) => ({ provider: name, kind }))) };
}

async function redisTimeMs(redis: Redis): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Number(micros) / 1000;
}

async function listen(server: Server | TlsServer, host: string, port: number): Promise<string> {
  server.listen(port, host);
  await once(server, 'listening');
  return addressUrl(server, host);
}

function certificateSource({ certificate }: TlsConfig, workloadApi: WorkloadApi | undefined, log: Logger): CertificateSource {
  if (certificate.source === 'files') return certificateFiles({ certificateFile: certificate.certificate_file, keyFile: certificate.key_file }, log);
  // The configuration is refused without one.
  if (workloadApi === undefined) throw new TypeError('there is no Workload API');
  return workloadApi.certificate();
}

async function listenTls(app: RequestListener, { host, port, client_certificates }: TlsConfig, source: CertificateSource): Promise<{ readonly url: string; readonly close: () => Promise<void> }> {
  const server = createTlsServer(app, source, client_certificates);
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const close = gracefulClose(server, STOP_GRACE_MS);
  return { url: await listen(server, host, port), close };
}

const addressUrl = (server: Server | TlsServer, host: string): string =>
  `${server instanceof TlsServer ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
