import { z } from 'zod';
import { registeredAgent } from './agent-schemas.ts';
import { filePath, httpUrl, name, network, RISKS, seconds, signatureAlgorithms as algorithms } from './config-words.ts';
import { credential } from './credential-schemas.ts';
import { profileKeys } from './profile-schemas.ts';
import { bundleSources, workloadApi } from './spiffe-schemas.ts';
import { tlsListener } from './tls-schemas.ts';
import { oauth } from './oauth-schemas.ts';
import { provider } from './provider-schemas.ts';
import { signals } from './signal-schemas.ts';
import { commandLineSignIn, signIn } from './sign-in-schemas.ts';
import { telemetry } from './telemetry-schemas.ts';
import { webhooks } from './webhook-schemas.ts';

/**
 * The whole configuration, once. Loading, checking, documentation and types all come from here.
 * Keys are snake_case as in the YAML. Secrets are never values here: only files (`*_file`) or `MAYFLY_*` variables.
 */

const maxLifetime = seconds(30, 86_400).default(3_600).describe('a token whose `exp - iat` is longer is refused');

const oidcIssuer = z
  .strictObject({
    issuer: httpUrl.describe('compared byte for byte with `iss` and with the discovery document'),
    audience: z.string().min(1).optional().describe('defaults to `identity.audience`'),
    algorithms,
    max_lifetime_seconds: maxLifetime,
    subjects: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('subjects this issuer may vouch for: exact, or a prefix ending in `*`; all that do not start with `spiffe://` when absent'),
    instance_claim: z.string().min(1).optional().describe('claim that names the instance, such as `run_id`'),
    ca_file: filePath.optional().describe('PEM certificates to trust for this issuer instead of the system store'),
    sender_binding: z.enum(['optional', 'required']).default('optional').describe('`required`: a token that is bound to no key of its sender is refused. A bound one needs proof always'),
    dpop_nonces: z.boolean().default(false).describe("whether DPoP proofs must carry a nonce of the broker's"),
    ...profileKeys,
    single_use: z.boolean().default(false).describe('whether each token is good for one call; for issuers that give out a token for each'),
  })
  .describe('an OpenID Connect issuer of workload tokens');

const trustDomain = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9._-]{1,255}$/, 'a SPIFFE trust domain name, lower case').describe('the trust domain, as in `spiffe://<name>/...`'),
    ...bundleSources,
    max_lifetime_seconds: maxLifetime,
  })
  .describe('a SPIFFE trust domain whose SVIDs are accepted');

const users = z
  .strictObject({
    issuer: httpUrl.describe('the OpenID Connect issuer of people for whom agents act; never that of workloads or of operators'),
    audience: z.string().min(1).describe('what their tokens must carry in `aud`; of its own, so that no other token of theirs passes for consent'),
    algorithms,
    max_lifetime_seconds: maxLifetime,
    consent: z
      .enum(['bound', 'token'])
      .default('bound')
      .describe('`bound`: the token names the agent (`may_act`) or the declaration (`declaration_digest`); `token`: having it is enough'),
    ca_file: filePath.optional().describe('PEM certificates to trust for this issuer instead of the system store'),
  })
  .describe('people on whose behalf agents act: their tokens are evidence, and call nothing');

const externalPolicy = z
  .strictObject({
    kind: z.enum(['authzen', 'opa']).describe('what it speaks: AuthZEN 1.0, or the data API of Open Policy Agent'),
    url: httpUrl.describe('`opa`: of the decision, as `https://opa.example.org/v1/data/mayfly/allow`; `authzen`: of the evaluation endpoint, or without a path, to find it by discovery'),
    timeout_ms: z.int().min(50).max(5_000).default(1_000).describe('for all questions of one grant; then nothing is granted'),
    token_file: filePath.optional().describe('a bearer token to ask with; read at each question'),
    ca_file: filePath.optional().describe('PEM certificates to trust for it instead of the system store'),
  })
  .describe('another decision point, asked after Cedar permits: it can refuse, never permit. Without an answer nothing is granted');

export const configSchema = z
  .strictObject({
    environment: z.enum(['production', 'development']).default('production').describe('`development` refuses to reach beyond this machine; `production` refuses what only development may do'),
    deployment_id: name.describe('stamped on every credential at its target; never change it while credentials live'),
    http: z
      .strictObject({
        host: z.string().default('127.0.0.1').describe('the address to bind to, without TLS: that ends in front of it, or at `tls`'),
        port: z.int().min(0).max(65_535).default(8_120).describe('of the interface; 0 takes any free port'),
        public_url: httpUrl.optional().describe('where clients reach the broker, such as `https://mayfly.example.org`: DPoP proofs are compared with it, never with what a request says of its host. None: tokens bound to a key are refused'),
        trusted_proxies: z.array(network).default([]).describe('addresses and networks (CIDR) of the proxies in front of the broker: from them, and from nobody else, `X-Forwarded-For` is believed. What strangers may ask is counted by the address so found; nothing is ever allowed by it'),
        metrics_port: z.int().min(0).max(65_535).default(9_120).describe('of `/metrics`; 0 takes any free port'),
      })
      .prefault({})
      .describe('where the broker answers'),
    tls: tlsListener.optional(),
    workload_api: workloadApi,
    identity: z.strictObject({
      audience: z.string().min(1).describe('what workload tokens must carry in `aud`'),
      issuers: z.array(oidcIssuer).default([]).describe('OpenID Connect issuers of workload tokens'),
      users: users.optional(),
      trust_domains: z.array(trustDomain).default([]).describe('SPIFFE trust domains whose SVIDs are accepted'),
    }).describe('which workloads may call'),
    agents: z.array(registeredAgent).default([]).describe('agents that somebody answers for; others can be registered by the API'),
    unregistered_agents: z.enum(['policy', 'refuse']).default('policy').describe('`refuse`: an agent that nobody registered is granted nothing; `policy`: policy sees that it is not registered, and decides'),
    operators: z.strictObject({
      issuer: httpUrl.describe('the OpenID Connect issuer of operators; never one of workloads'),
      audience: z.string().min(1).describe('what operator tokens must carry in `aud`; never that of workloads'),
      algorithms,
      max_lifetime_seconds: maxLifetime,
      roles_claim: z.string().default('roles').describe('the claim that lists the roles'),
      roles: z
        .strictObject({
          viewer: z.array(z.string()).default(['mayfly-viewer']).describe('values of the claim that make a viewer: reads'),
          operator: z.array(z.string()).default(['mayfly-operator']).describe('values that make an operator: also revokes and retries'),
          admin: z.array(z.string()).default(['mayfly-admin']).describe('values that make an admin: also changes policy'),
        })
        .prefault({})
        .describe('which values of the claim stand for which role'),
      ca_file: filePath.optional().describe('PEM certificates to trust for this issuer instead of the system store'),
      sign_in: signIn.optional(),
      cli: commandLineSignIn.optional(),
    }).describe('which people may call'),
    outbound: z
      .strictObject({
        allow_hosts: z.array(z.string()).default([]).describe('hosts beyond those of the configured issuers'),
        allow_private_addresses: z.boolean().default(false).describe('issuers on private addresses; metadata addresses are refused always'),
      })
      .prefault({})
      .describe('what the broker may fetch'),
    redis: z
      .strictObject({
        url: z.url({ protocol: /^rediss?$/ }).optional().describe('without a password; give one by `url_file` or MAYFLY_REDIS_URL'),
        url_file: filePath.optional().describe('a file that holds the whole URL'),
        epoch_file: filePath.optional().describe('what a worker knows of Redis outside of it, so that lost records are noticed; its folder writable and lasting. `audit.file` with `.epoch` after it when absent'),
        accept_unsafe_settings: z.boolean().default(false).describe('start in production although Redis may evict or forget; it is logged at every start'),
        min_replica_acks: z.int().min(0).max(16).default(0).describe('replicas that must have an intent before anything is minted'),
      })
      .prefault({})
      .describe('where records are kept; never a secret'),
    policy: z
      .strictObject({
        directory: z.string().min(1).describe('folder of the Cedar policies and their schema'),
        shadow_directory: z.string().min(1).optional().describe('folder of a second set, with a schema of its own: asked the same questions, its answers recorded and counted, deciding nothing'),
        risk: z.record(z.string(), z.enum(RISKS)).default({}).describe('how much harm each action can do, by action of the policy schema; `low` where it is not listed. Policies compare it as `context.risk`'),
        external: externalPolicy.optional(),
      })
      .describe('who may have what'),
    audit: z
      .strictObject({
        file: filePath.describe('the hash-chained record, its folder writable; with `sink: stdout` only where the chain stands'),
        sink: z.enum(['file', 'stdout']).default('file').describe('`stdout`: records go to standard output for a collector to keep'),
        checkpoint_seconds: seconds(1, 86_400).default(60).describe('how often the log is signed, where it has grown'),
        rotate_mebibytes: z.int().min(1).max(1_048_576).optional().describe('a file that has grown to so many is moved aside, and the log goes on in a new one; never by itself when absent'),
      })
      .describe('the record of every step'),
    keys: z.strictObject({
      checkpoint_key_files: z
        .array(filePath)
        .min(1)
        .optional()
        .describe('PEM Ed25519 keys that sign checkpoints of the audit log; the first signs, all are accepted. None: nothing is signed'),
      receipt_key_files: z
        .array(filePath)
        .min(1)
        .optional()
        .describe('PEM private keys (P-256 or Ed25519) that sign receipts of ended leases; the first signs, all are published. None: receipts are not signed'),
      ledger_seal_file: filePath.describe('32 bytes or more; seals records and events against a writer in Redis'),
    }).describe('keys of the broker itself'),
    limits: z
      .strictObject({
        default_ttl_seconds: seconds(1, 86_400).default(300).describe('where a declaration names no lifetime'),
        max_ttl_seconds: seconds(1, 86_400).default(3_600).describe('the longest a task may live in all'),
        live_leases_per_agent: z.int().min(1).default(1_000).describe('leases an agent may hold at once'),
        waiting_approvals_per_agent: z.int().min(1).default(20).describe('tasks of one declarer that may wait for approval at once'),
        expiry_jitter_percent: z.number().min(0).max(50).default(0).describe('by how much a credential may live shorter than asked for, at random, so that what is granted together does not fall due together'),
        credentials_per_task: z.int().min(1).max(64).default(16).describe('credentials a declaration may ask for'),
        waiting_claims_per_agent: z.int().min(1).default(200).describe('tasks of one declarer that may wait for their agent at once'),
        claim_window_seconds: seconds(5, 86_400).default(300).describe('how long a task waits for its agent to claim it'),
        delegation_depth: z.int().min(0).max(16).default(3).describe('how many times a task can be handed on; 0: not at all'),
        delegations_per_tree: z.int().min(1).max(256).default(64).describe('delegated tasks in one tree, ended ones included'),
        registered_agents: z.int().min(1).max(100_000).default(10_000).describe('agents that can be registered by the API'),
        approval_window_seconds: seconds(10, 86_400).default(900).describe('how long a task waits for a human'),
      })
      .prefault({})
      .describe('bounds of what can be asked for'),
    minting: z
      .strictObject({
        timeout_ms: z.int().min(100).max(60_000).default(10_000).describe('for the whole mint of one credential'),
      })
      .prefault({})
      .describe('how credentials are made'),
    revocation: z
      .strictObject({
        sweep_interval_ms: z.int().min(20).max(5_000).default(200).describe('how often to look for what is due'),
        batch_size: z.int().min(1).max(1_000).default(100).describe('how many leases one job carries'),
        claim_timeout_ms: z.int().min(1_000).max(600_000).default(30_000).describe('a claimed batch whose job is lost is due again after this'),
        retry_first_ms: z.int().min(10).default(500).describe('the delay before the first retry of a failed revocation'),
        retry_max_ms: z.int().min(100).default(30_000).describe('the longest delay between retries'),
        stuck_after_seconds: seconds(1, 86_400).default(300).describe('an overdue revocation is called stuck after this; it is still retried'),
        bulk_leases_per_second: z.int().min(1).max(100_000).default(1_000).describe('how many leases of one provider a bulk revocation asks to end in a second'),
        reconcile_interval_seconds: seconds(1, 3_600).default(60).describe('how often to compare what is live at the targets with the records'),
        orphan_grace_seconds: seconds(0, 3_600).default(30).describe('added to the mint timeout before an unknown credential counts as orphan'),
      })
      .prefault({})
      .describe('how credentials are ended'),
    retention_seconds: seconds(60, 31_536_000).default(604_800).describe('how long ended tasks and leases can be looked up; the audit file is not touched'),
    providers: z.record(name, provider).describe('systems that mint, by name'),
    credentials: z.record(name, credential).describe('what can be minted, by name; policy decides for whom'),
    notices: z
      .array(
        z.strictObject({
          name: name.describe('of the recipient, for metrics and the log'),
          kind: z.enum(['webhook', 'slack']).describe('`webhook`: Standard Webhooks, signed; `slack`: an incoming webhook of Slack, or of what takes the same'),
          url_file: filePath.describe('a file that holds the address: whoever has it can post there'),
          secret_file: filePath.optional().describe('for `webhook`: a file that holds the shared secret, `whsec_` and base64'),
          allow_private_addresses: z.boolean().default(false).describe('a recipient on a private address; metadata addresses are refused always'),
        }),
      )
      .default([])
      .describe('who is told when a task begins to wait for a human'),
    webhooks,
    signals,
    telemetry,
    authzen: z
      .strictObject({
        url: httpUrl.optional().describe('where enforcement points find this broker, without a path; `http.public_url` when absent, if that has none. Without either there is no discovery document'),
        callers: z
          .array(z.strictObject({ issuer: z.string().min(1).describe('of the enforcement point, as its own token says'), subject: z.string().min(1).describe('of the enforcement point') }))
          .default([])
          .describe('workloads that may ask; operators always may'),
      })
      .prefault({})
      .describe('the broker as a policy decision point of AuthZEN'),
    introspection: z
      .strictObject({
        resource_servers: z
          .array(
            z.strictObject({
              issuer: z.string().min(1).describe('of the service that asks, as its own token says'),
              subject: z.string().min(1).describe('of the service that asks'),
              audiences: z.array(z.string().min(1)).min(1).describe('the audiences whose tokens it may ask about'),
            }),
          )
          .default([])
          .describe('services that may ask whether a token still lives'),
      })
      .prefault({})
      .describe('who may ask about minted tokens'),
    oauth,
  })
  .describe('Mayfly configuration');

export type Config = z.infer<typeof configSchema>;
export type VaultProviderConfig = Extract<Config['providers'][string], { type: 'vault' }>;
export type JwtProviderConfig = Extract<Config['providers'][string], { type: 'jwt' }>;
export type AwsStsProviderConfig = Extract<Config['providers'][string], { type: 'aws-sts' }>;
export type AwsLoginConfig = AwsStsProviderConfig['login']['api'];
export type VaultLoginConfig = VaultProviderConfig['login']['api'];
export type ExternalPolicyConfig = NonNullable<Config['policy']['external']>;
export type CredentialConfig = Config['credentials'][string];
/** A credential that a Vault token role bounds. */
export type VaultCredentialConfig = Extract<CredentialConfig, { token_role: string }>;
export type AwsStsCredentialConfig = Extract<CredentialConfig, { kind: 'aws.sts' }>;
export type ParamSchema = CredentialConfig['params'][string];
export type ConfiguredAgent = Config['agents'][number];
export type OidcIssuerConfig = Config['identity']['issuers'][number];
export type TrustDomainConfig = Config['identity']['trust_domains'][number];
export type TlsConfig = NonNullable<Config['tls']>;
export type OperatorsConfig = Config['operators'];
export type SignInConfig = NonNullable<OperatorsConfig['sign_in']>;
export type UsersConfig = NonNullable<Config['identity']['users']>;
export type OAuthClientConfig = Config['oauth']['clients'][number];
