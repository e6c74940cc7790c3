import { createAgentDirectory } from '../agents/agent-directory.ts';
import type { AgentRegister } from '../agents/agent-register.ts';
import type { AuditSealerDeps } from '../audit/audit-sealer.ts';
import type { FeedReader } from '../audit/feed-reader.ts';
import { signInParts } from './sign-in-parts.ts';
import { authzenUrlOf } from '../config/authzen-url.ts';
import type { Config } from '../config/config-schema.ts';
import { longestTaskMs } from '../config/longest-task.ts';
import { systemClock } from '../core/clock.ts';
import { createCredentialCatalog } from '../grant/credential-catalog.ts';
import type { GrantDeps } from '../grant/grant-deps.ts';
import { PolicyReplay } from '../grant/replay-policy.ts';
import { endpointOf } from '../http/oauth/metadata.ts';
import type { WebhookRoutesDeps } from '../http/routes/webhooks.ts';
import { createAuthenticator } from '../identity/authenticate.ts';
import { createClientAssertions } from '../identity/client-assertions.ts';
import { createDpopNonces } from '../identity/dpop/dpop-nonces.ts';
import { createDpopVerifier } from '../identity/dpop/dpop-verifier.ts';
import { createEvidenceVerifier } from '../identity/evidence-verifier.ts';
import { countSessions } from '../identity/sign-in/count-sessions.ts';
import { createIssuerFetch } from '../identity/issuer-fetch.ts';
import { createKeySources } from '../identity/key-sources.ts';
import type { WorkloadApi } from '../identity/workload-api/workload-api.ts';
import { createSecurityEventVerifier, transmitterKeys } from '../identity/security-event.ts';
import { SVID_ALGORITHMS } from '../identity/token-kinds.ts';
import { loadSigningKeys } from '../keys/signing-keys.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createExternalPolicy, createPolicyFetch } from '../policy/external-policy.ts';
import type { LivePolicies } from '../policy/live-policies.ts';
import type { ShadowPolicies } from '../policy/shadow-policies.ts';
import type { CredentialProvider } from '../providers/credential-provider.ts';
import type { JwtProvider } from '../providers/jwt/jwt-provider.ts';
import type { BrokerSnapshot } from '../revocation/broker-snapshot.ts';
import type { RevocationJobs } from '../revocation/revocation-jobs.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface RouteParts {
  readonly config: Config;
  readonly workloadApi: WorkloadApi | undefined;
  readonly ledger: Ledger;
  readonly policy: LivePolicies;
  readonly shadow: ShadowPolicies | undefined;
  readonly providers: ReadonlyMap<string, CredentialProvider>;
  readonly jwtProviders: readonly JwtProvider[];
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly nudge: () => void;
  readonly jobs: RevocationJobs;
  readonly checkpoints: AuditSealerDeps['checkpoints'];
  readonly feed: FeedReader;
  readonly register: AgentRegister;
  readonly webhooks: Pick<WebhookRoutesDeps, 'recipients' | 'records'>;
  readonly snapshot: () => Promise<BrokerSnapshot>;
  readonly version: string;
  /** 32 bytes, derived for the nonces of DPoP alone. */
  readonly dpopNonceKey: Buffer;
  /** The same, for attempts to sign in. */
  readonly signInKey: Buffer;
}

/** What each group of routes needs. */
export function routeDeps({ config, workloadApi, ledger: uncounted, policy, shadow, providers, jwtProviders, metrics, log, nudge, jobs, checkpoints, feed, register, webhooks, snapshot, version, dpopNonceKey, signInKey }: RouteParts) {
  const clock = systemClock;
  const ledger = countSessions(uncounted, metrics.countSignIn);
  const outboundFetch = createIssuerFetch(config);
  const useOnce: Ledger['useOnce'] = (what, untilMs) => ledger.useOnce(what, untilMs);
  const { public_url: publicUrl } = config.http;
  const dpop = publicUrl === undefined ? undefined : createDpopVerifier({ publicUrl, nonces: createDpopNonces(dpopNonceKey, clock), useOnce, clock });
  const { identity, operators } = config;
  const verifying = { identity, operators, keys: createKeySources(identity.trust_domains, { outboundFetch, clock, log, workloadApi }), outboundFetch, clock };
  const people = signInParts({ config, ledger, keys: verifying.keys, outboundFetch, attemptKey: signInKey, count: metrics.countSignIn, log });
  const authenticator = createAuthenticator({ ...verifying, dpop, sessions: people?.callers, useOnce });
  const issuers = new Set([...identity.issuers.map(({ issuer }) => issuer), ...identity.trust_domains.map(({ name }) => `spiffe://${name}`)]);
  const { external } = config.policy;
  const grant: GrantDeps = {
    ledger,
    clock,
    policy,
    shadow,
    evidence: createEvidenceVerifier(verifying),
    ...(external === undefined ? {} : { externalPolicy: createExternalPolicy(external, { fetch: createPolicyFetch(external, config), clock, observe: (answer) => metrics.observeExternalPolicy(answer) }) }),
    catalog: createCredentialCatalog(config.credentials, providers),
    limits: config.limits,
    environment: config.environment,
    risk: config.policy.risk,
    issuers,
    agents: { standingOf: (workload) => register.standingOf(workload), refuseUnregistered: config.unregistered_agents === 'refuse' },
    revocationsPerSecond: (provider) => {
      const settings = config.providers[provider];
      return settings?.type === 'vault' ? settings.revocations_per_second : Number.MAX_SAFE_INTEGER;
    },
    nudge,
    mintTimeoutMs: config.minting.timeout_ms,
    observeMint: (observation) => metrics.observeMint(observation),
    observeDecision({ summary, shadow: answer }) {
      metrics.countDecision(summary.result, summary.policies);
      if (shadow !== undefined) metrics.countShadow(summary.result, answer?.result ?? 'none');
    },
    log,
  };
  const auditFile = config.audit.sink === 'file' ? config.audit.file : null;
  const directory = createAgentDirectory(register);
  const revocation = { ledger, jobs, clock };
  const reconciliation = { ledger, clock };
  return {
    offersDpop: dpop !== undefined,
    trustedProxies: config.http.trusted_proxies,
    tasks: { authenticator, ledger, agents: directory, grant, complete: { ledger, clock, nudge } },
    approvals: { authenticator, ledger, decide: { ledger, clock, claimWindowSeconds: config.limits.claim_window_seconds }, risk: config.policy.risk },
    audit: { authenticator, file: auditFile, clock, longestTaskMs: longestTaskMs(config), deploymentId: config.deployment_id, version, verifierKeys: checkpoints?.signers.map(({ verifierKey }) => verifierKey) ?? [] },
    leases: {
      ...{ authenticator, ledger, clock, nudge, deploymentId: config.deployment_id, agents: directory },
      receiptKeys: config.keys.receipt_key_files === undefined ? undefined : loadSigningKeys(config.keys.receipt_key_files),
    },
    policy: { authenticator, evaluate: { ...grant, policy, clock }, replay: new PolicyReplay({ policy }), auditFile },
    authzen: { authenticator, evaluate: { ...grant, policy, clock }, authzen: { callers: config.authzen.callers, url: authzenUrlOf(config) } },
    overview: { authenticator, snapshot, version, deploymentId: config.deployment_id },
    revocations: { authenticator, ledger, revocation },
    agents: { authenticator, ledger, clock, agents: { ledger, register, revocation, issuers, policy, most: config.limits.registered_agents } },
    locks: { authenticator, ledger, locks: { ledger, clock, revocation } },
    hold: { authenticator, ledger, reconciliation },
    reconciliations: { authenticator, ledger, reconciliation },
    oauth: { authenticator, ledger, clock, jwtProviders, resourceServers: config.introspection.resource_servers, publicUrl, mtlsUrl: config.tls?.public_url, takesCertificates: config.tls !== undefined && config.tls.client_certificates !== 'none', grant, nudge, dpop, ...oauthFace({ config, ledger, jwtProviders, log }) },
    signIn: { authenticator, records: ledger, people, operators, publicUrl },
    webhooks: { authenticator, ledger, clock, deploymentId: config.deployment_id, ...webhooks },
    securityEvents: {
      verify: createSecurityEventVerifier({ transmitters: config.signals.transmitters, keysOf: (transmitter) => transmitterKeys(transmitter, { fetch: outboundFetch, clock, log }), clock }),
      signals: { ledger, revocation, usersIssuer: identity.users?.issuer, operatorsIssuer: operators.issuer, clock },
    },
    events: { authenticator, feed, clock, observeStreams: (open: number) => metrics.setEventStreams(open) },
  };
}

/** What the OAuth face calls itself, and who its clients are. */
function oauthFace({ config, ledger, jwtProviders, log }: Pick<RouteParts, 'config' | 'ledger' | 'jwtProviders' | 'log'>) {
  const { oauth } = config;
  const issuer = oauth.issuer ?? jwtProviders[0]?.issuer ?? null;
  const audiences = issuer === null ? [] : [issuer, endpointOf(issuer, '/oauth2/token')];
  const assertions = createClientAssertions({ oauth, audiences, useOnce: (what, untilMs) => ledger.useOnce(what, untilMs), clock: systemClock, log });
  const workloadAlgorithms = config.identity.issuers.flatMap(({ algorithms }) => algorithms);
  const assertionAlgorithms = [...oauth.clients.flatMap(({ algorithms }) => algorithms), ...workloadAlgorithms, ...(config.identity.trust_domains.length > 0 ? SVID_ALGORITHMS : [])];
  return { issuer, assertions, assertionAlgorithms, transactionTokens: oauth.experimental_transaction_tokens };
}
