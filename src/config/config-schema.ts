import { z } from 'zod';

/**
 * The whole configuration, once. Loading, checking, documentation and types all come from this file.
 * Keys are snake_case as in the YAML. Secrets are never values here: only files (`*_file`) or `MAYFLY_*` variables.
 */

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, starting with a letter, at most 63');
const filePath = z.string().min(1).describe('path of a file, relative to the configuration file');
const httpUrl = z.url({ protocol: /^https?$/, error: 'an http or https URL' }).meta({ pattern: '^https?://' });
const seconds = (min: number, max: number) => z.int().min(min).max(max);

/** JWS algorithms an issuer may be allowed; `none` and HMAC can never be listed (RFC 8725 section 3.1). */
export const SIGNATURE_ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA',
] as const;
const algorithms = z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).default(['ES256']).describe('signature algorithms that are accepted, and no others');
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
  })
  .describe('an OpenID Connect issuer of workload tokens');

const trustDomain = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9._-]{1,255}$/, 'a SPIFFE trust domain name, lower case').describe('the trust domain, as in `spiffe://<name>/...`'),
    bundle_file: filePath.describe('SPIFFE trust bundle (JWK Set with `use` of `jwt-svid`); re-read when it changes'),
    max_lifetime_seconds: maxLifetime,
  })
  .describe('a SPIFFE trust domain whose JWT-SVIDs are accepted');

const vaultLogin = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('approle').describe('log in by AppRole'),
    mount: z.string().default('approle').describe('where the AppRole method is mounted'),
    role_id_file: filePath.describe('holds the role id'),
    secret_id_file: filePath.describe('holds the secret id'),
  }),
  z.strictObject({
    method: z.literal('jwt').describe('log in by a JWT'),
    mount: z.string().default('jwt').describe('where the JWT method is mounted'),
    role: z.string().min(1).describe('the role to log in to'),
    jwt_file: filePath.describe('re-read at every login'),
  }),
  z.strictObject({
    method: z.literal('kubernetes').describe('log in by a service-account token'),
    mount: z.string().default('kubernetes').describe('where the Kubernetes method is mounted'),
    role: z.string().min(1).describe('the role to log in to'),
    token_file: filePath.default('/var/run/secrets/kubernetes.io/serviceaccount/token').describe('re-read at every login'),
  }),
  z.strictObject({ method: z.literal('token_file').describe('use a token from a file'), file: filePath.describe('holds the token; re-read at every login') }),
]);

const vaultProvider = z.strictObject({
  type: z.literal('vault').describe('OpenBao 2.x or Vault 1.x'),
  address: httpUrl.describe('where it answers; https in production'),
  namespace: z.string().optional().describe('the namespace everything happens in'),
  ca_file: filePath.optional().describe('PEM certificates to trust for this address instead of the system store'),
  login: z
    .strictObject({ api: vaultLogin.describe('mints'), worker: vaultLogin.describe('revokes'), reconciler: vaultLogin.describe('lists what is live') })
    .describe('one login for each right: minting, revoking, listing'),
  timeout_ms: z.int().min(100).max(30_000).default(2_500).describe('for each request to the target'),
  max_in_flight: z.int().min(1).max(256).default(16).describe('mints at once'),
  revocations_per_second: z.int().min(1).max(100_000).default(1_000).describe('how many credentials it can end in a second. A grant that would fall due with more than that is refused for now'),
  revoke_concurrency: z.int().min(1).max(256).default(16).describe('revocations at once, for each batch'),
  target_margin_seconds: seconds(1, 60)
    .default(5)
    .describe("how long after our due time the target's own clock ends the credential"),
});

const jwtProvider = z.strictObject({
  type: z.literal('jwt').describe('tokens signed by Mayfly itself'),
  issuer: httpUrl.describe('the `iss` of tokens signed here'),
  signing_key_files: z
    .array(filePath)
    .min(1)
    .describe('PEM private keys (P-256 or Ed25519); the first signs, all are published'),
});

const roleArn = z.string().regex(/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/, 'the ARN of an IAM role');

const awsLogin = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('web_identity').describe('sessions of a role for a token of this workload, as a Kubernetes service account has one'),
    role_arn: roleArn.describe('the role of the broker itself'),
    token_file: filePath.describe('holds the token; re-read for every session'),
  }),
  z.strictObject({
    method: z.literal('credentials_file').describe('a shared credentials file'),
    credentials_file: filePath.describe('in the format of `~/.aws/credentials`'),
    profile: z.string().min(1).default('default').describe('which of its profiles'),
  }),
  z.strictObject({ method: z.literal('environment').describe("the AWS SDK's own chain: environment, container or instance role") }),
]);

const awsStsProvider = z.strictObject({
  type: z.literal('aws-sts').describe('AWS STS: sessions of IAM roles'),
  region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d$/, 'an AWS Region such as eu-central-1').describe('whose STS is asked'),
  endpoint: httpUrl.optional().describe("of STS and IAM, where they are not AWS's own; https in production"),
  login: z
    .strictObject({ api: awsLogin.describe('takes sessions'), worker: awsLogin.describe('writes the denies that end them early') })
    .describe('one login for each right: minting, revoking'),
  timeout_ms: z.int().min(100).max(30_000).default(5_000).describe('for each request to AWS'),
  max_in_flight: z.int().min(1).max(256).default(16).describe('mints at once'),
  write_interval_ms: z.int().min(0).max(60_000).default(1_000).describe('between two writes to one role by one process; what is revoked meanwhile goes into one write'),
  propagation_seconds: seconds(0, 3_600).default(60).describe('how long AWS may take to enforce a deny everywhere; told with every lease'),
  on_full: z
    .enum(['wait', 'widen'])
    .default('wait')
    .describe('when a role has no room for one more deny. `wait`: tried again as older ones end; the session is dead at its due time all the same. `widen`: every session of that role that was issued until now is denied'),
});

const required = z.boolean().default(true).describe('whether a declaration must give it');
const paramSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('string').describe('a text'),
    pattern: z.string().optional().describe('anchored at both ends'),
    max_length: z.int().min(1).max(256).default(128).describe('in characters'),
    enum: z.array(z.string()).min(1).optional().describe('the values that may be given'),
    required,
  }),
  z.strictObject({
    type: z.literal('integer').describe('a whole number'),
    min: z.int().optional().describe('the least'),
    max: z.int().optional().describe('the most'),
    required,
  }),
  z.strictObject({ type: z.literal('boolean').describe('true or false'), required }),
]);

const credentialCommon = {
  provider: name.describe('the name of the provider that mints it'),
  owner: z.string().min(1).describe('who answers for this credential'),
  description: z.string().optional().describe('what it gives access to, for people'),
  max_ttl_seconds: seconds(1, 86_400).optional().describe('below `limits.max_ttl_seconds`'),
  params: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'lower-case letters, digits and underscores, starting with a letter, at most 32'), paramSchema).default({}).describe('what a declaration may choose, by name; anything else is refused'),
};

const renewable = z
  .boolean()
  .optional()
  .describe("true: extending a task renews the credential at the target, up to `max_ttl_seconds`; otherwise its agent asks for a new one");

const credential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('vault.token').describe('a Vault token with the policies of its token role'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
  }),
  z.strictObject({
    kind: z.literal('vault.dynamic').describe('what a leased path answers, such as a database login'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
    path: z.string().min(1).describe('a leased path such as `database/creds/orders-reader`; `{param}` takes one encoded segment'),
    ends_open_sessions: z.boolean().default(false).describe('true where the revocation statements end open sessions'),
  }),
  z.strictObject({
    kind: z.literal('vault.kv').describe('a static secret, handed over wrapped, to be opened once'),
    ...credentialCommon,
    token_role: name.describe('the token role, one for each credential'),
    mount: z.string().min(1).describe('where the key-value engine is mounted, such as `kv`'),
    path: z.string().min(1).describe('the path of the secret below the mount; `{param}` takes one encoded segment'),
    engine_version: z.union([z.literal(1), z.literal(2)]).default(2).describe('of the key-value engine'),
    version: z.int().min(1).optional().describe('a version of the secret other than the newest; engine version 2 only'),
  }),
  z.strictObject({
    kind: z.literal('aws.sts').describe('a session of an IAM role, with no more than its session policy says'),
    ...credentialCommon,
    role_arns: z
      .array(roleArn)
      .min(1)
      .max(16)
      .describe('roles of the same rights: sessions are spread over them, since each has room for some 300 early revocations at a time'),
    session_policy: z
      .array(
        z.strictObject({
          for_actions: z.array(z.string().min(1)).min(1).optional().describe('only for tasks that declare one of these actions; for every task when absent'),
          actions: z.array(z.string().regex(/^[a-z0-9-]+:[A-Za-z0-9*]+$/, 'an AWS action such as s3:GetObject')).min(1).describe('AWS actions that are allowed'),
          resources: z.array(z.string().regex(/^(\*|arn:.+)$/, 'an ARN, or *')).min(1).describe('on which resources; `{param}` takes one value, without its wildcards'),
        }),
      )
      .min(1)
      .max(16)
      .describe('what a session may do, within what its role may; `sts:*` and `iam:*` are denied whatever stands here'),
  }),
  z.strictObject({
    kind: z.literal('jwt').describe('a signed token, or an opaque reference'),
    ...credentialCommon,
    audience: z.string().min(1).describe("the token's `aud`; never Mayfly's own"),
    introspection_required: z
      .boolean()
      .default(false)
      .describe('true: an opaque reference, valid only as long as introspection says so, so revocation is exact'),
  }),
]);

export const configSchema = z
  .strictObject({
    environment: z.enum(['production', 'development']).default('production').describe('`development` refuses to reach beyond this machine; `production` refuses what only development may do'),
    deployment_id: name.describe('stamped on every credential at its target; never change it while credentials live'),
    http: z
      .strictObject({
        host: z.string().default('127.0.0.1').describe('the address to bind to; TLS ends in front of it'),
        port: z.int().min(0).max(65_535).default(8_120).describe('of the interface; 0 takes any free port'),
        metrics_port: z.int().min(0).max(65_535).default(9_120).describe('of `/metrics`; 0 takes any free port'),
      })
      .prefault({})
      .describe('where the broker answers'),
    identity: z.strictObject({
      audience: z.string().min(1).describe('what workload tokens must carry in `aud`'),
      issuers: z.array(oidcIssuer).default([]).describe('OpenID Connect issuers of workload tokens'),
      trust_domains: z.array(trustDomain).default([]).describe('SPIFFE trust domains whose JWT-SVIDs are accepted'),
    }).describe('which workloads may call'),
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
        accept_unsafe_settings: z.boolean().default(false).describe('start in production although Redis may evict or forget; it is logged at every start'),
        min_replica_acks: z.int().min(0).max(16).default(0).describe('replicas that must have an intent before anything is minted'),
      })
      .prefault({})
      .describe('where records are kept; never a secret'),
    policy: z.strictObject({ directory: z.string().min(1).describe('folder of the Cedar policies and their schema') }).describe('who may have what'),
    audit: z
      .strictObject({
        file: filePath.describe('the hash-chained record, its folder writable; with `sink: stdout` only where the chain stands'),
        sink: z.enum(['file', 'stdout']).default('file').describe('`stdout`: records go to standard output for a collector to keep'),
        checkpoint_seconds: seconds(1, 86_400).default(60).describe('how often the chain is signed, where it has grown'),
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
    providers: z.record(name, z.discriminatedUnion('type', [vaultProvider, awsStsProvider, jwtProvider])).describe('systems that mint, by name'),
    credentials: z.record(name, credential).describe('what can be minted, by name; policy decides for whom'),
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
  })
  .describe('Mayfly configuration');

export type Config = z.infer<typeof configSchema>;
export type VaultProviderConfig = Extract<Config['providers'][string], { type: 'vault' }>;
export type JwtProviderConfig = Extract<Config['providers'][string], { type: 'jwt' }>;
export type AwsStsProviderConfig = Extract<Config['providers'][string], { type: 'aws-sts' }>;
export type AwsLoginConfig = AwsStsProviderConfig['login']['api'];
export type VaultLoginConfig = VaultProviderConfig['login']['api'];
export type CredentialConfig = Config['credentials'][string];
/** A credential that a Vault token role bounds. */
export type VaultCredentialConfig = Extract<CredentialConfig, { token_role: string }>;
export type AwsStsCredentialConfig = Extract<CredentialConfig, { kind: 'aws.sts' }>;
export type ParamSchema = CredentialConfig['params'][string];
export type OidcIssuerConfig = Config['identity']['issuers'][number];
export type TrustDomainConfig = Config['identity']['trust_domains'][number];
export type OperatorsConfig = Config['operators'];
