import { z } from 'zod';

/**
 * The whole configuration, once. Loading, checking, documentation and types all come from this file.
 * Keys are snake_case as in the YAML. Secrets are never values here: only files (`*_file`) or `MAYFLY_*` variables.
 */

const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'lower-case letters, digits and hyphens, starting with a letter, at most 63');
const filePath = z.string().min(1).describe('path of a file, relative to the configuration file');
const httpUrl = z.url({ protocol: /^https?$/, error: 'an http or https URL' });
const seconds = (min: number, max: number) => z.int().min(min).max(max);

/** JWS algorithms an issuer may be allowed; `none` and HMAC can never be listed (RFC 8725 section 3.1). */
export const SIGNATURE_ALGORITHMS = [
  'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA',
] as const;
const algorithms = z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).default(['ES256']);

const oidcIssuer = z
  .strictObject({
    issuer: httpUrl.describe('compared byte for byte with `iss` and with the discovery document'),
    audience: z.string().min(1).optional().describe('defaults to `identity.audience`'),
    algorithms,
    max_lifetime_seconds: seconds(30, 86_400)
      .default(3_600)
      .describe('a token whose `exp - iat` is longer is refused'),
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
    name: z.string().regex(/^[a-z0-9._-]{1,255}$/, 'a SPIFFE trust domain name, lower case'),
    bundle_file: filePath.describe('SPIFFE trust bundle (JWK Set with `use` of `jwt-svid`); re-read when it changes'),
    max_lifetime_seconds: seconds(30, 86_400).default(3_600),
  })
  .describe('a SPIFFE trust domain whose JWT-SVIDs are accepted');

const vaultLogin = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('approle'),
    mount: z.string().default('approle'),
    role_id_file: filePath,
    secret_id_file: filePath,
  }),
  z.strictObject({
    method: z.literal('jwt'),
    mount: z.string().default('jwt'),
    role: z.string().min(1),
    jwt_file: filePath.describe('re-read at every login'),
  }),
  z.strictObject({
    method: z.literal('kubernetes'),
    mount: z.string().default('kubernetes'),
    role: z.string().min(1),
    token_file: filePath.default('/var/run/secrets/kubernetes.io/serviceaccount/token').describe('re-read at every login'),
  }),
  z.strictObject({ method: z.literal('token_file'), file: filePath.describe('re-read at every login') }),
]);

const vaultProvider = z.strictObject({
  type: z.literal('vault'),
  address: httpUrl,
  namespace: z.string().optional(),
  ca_file: filePath.optional(),
  login: z
    .strictObject({ api: vaultLogin, worker: vaultLogin, reconciler: vaultLogin })
    .describe('one login for each right: minting, revoking, listing'),
  timeout_ms: z.int().min(100).max(30_000).default(2_500).describe('for each request to the target'),
  max_in_flight: z.int().min(1).max(256).default(16).describe('mints at once'),
  revoke_concurrency: z.int().min(1).max(256).default(16),
  target_margin_seconds: seconds(1, 60)
    .default(5)
    .describe("how long after our due time the target's own clock ends the credential"),
});

const jwtProvider = z.strictObject({
  type: z.literal('jwt'),
  issuer: httpUrl.describe('the `iss` of tokens signed here'),
  signing_key_files: z
    .array(filePath)
    .min(1)
    .describe('PEM private keys (P-256 or Ed25519); the first signs, all are published'),
});

const paramSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('string'),
    pattern: z.string().optional().describe('anchored at both ends'),
    max_length: z.int().min(1).max(256).default(128),
    enum: z.array(z.string()).min(1).optional(),
    required: z.boolean().default(true),
  }),
  z.strictObject({
    type: z.literal('integer'),
    min: z.int().optional(),
    max: z.int().optional(),
    required: z.boolean().default(true),
  }),
  z.strictObject({ type: z.literal('boolean'), required: z.boolean().default(true) }),
]);

const credentialCommon = {
  provider: name,
  owner: z.string().min(1).describe('who answers for this credential'),
  description: z.string().optional(),
  max_ttl_seconds: seconds(1, 86_400).optional().describe('below `limits.max_ttl_seconds`'),
  params: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'lower-case letters, digits and underscores, starting with a letter, at most 32'), paramSchema).default({}),
};

const renewable = z
  .boolean()
  .optional()
  .describe("true: extending a task renews the credential at the target, up to `max_ttl_seconds`; otherwise its agent asks for a new one");

const credential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('vault.token'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
  }),
  z.strictObject({
    kind: z.literal('vault.dynamic'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
    path: z.string().min(1).describe('a leased path such as `database/creds/orders-reader`; `{param}` takes one encoded segment'),
    ends_open_sessions: z.boolean().default(false).describe('true where the revocation statements end open sessions'),
  }),
  z.strictObject({
    kind: z.literal('vault.kv'),
    ...credentialCommon,
    token_role: name.describe('the token role, one for each credential'),
    mount: z.string().min(1).describe('where the key-value engine is mounted, such as `kv`'),
    path: z.string().min(1).describe('the path of the secret below the mount; `{param}` takes one encoded segment'),
    engine_version: z.union([z.literal(1), z.literal(2)]).default(2).describe('of the key-value engine'),
    version: z.int().min(1).optional().describe('a version of the secret other than the newest; engine version 2 only'),
  }),
  z.strictObject({
    kind: z.literal('jwt'),
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
    environment: z.enum(['production', 'development']).default('production'),
    deployment_id: name.describe('stamped on every credential at its target; never change it while credentials live'),
    http: z
      .strictObject({
        host: z.string().default('127.0.0.1'),
        port: z.int().min(0).max(65_535).default(8_120),
        metrics_port: z.int().min(0).max(65_535).default(9_120),
      })
      .prefault({}),
    identity: z.strictObject({
      audience: z.string().min(1).describe('what workload tokens must carry in `aud`'),
      issuers: z.array(oidcIssuer).default([]),
      trust_domains: z.array(trustDomain).default([]),
    }),
    operators: z.strictObject({
      issuer: httpUrl,
      audience: z.string().min(1),
      algorithms,
      max_lifetime_seconds: seconds(30, 86_400).default(3_600),
      roles_claim: z.string().default('roles'),
      roles: z
        .strictObject({
          viewer: z.array(z.string()).default(['mayfly-viewer']),
          operator: z.array(z.string()).default(['mayfly-operator']),
          admin: z.array(z.string()).default(['mayfly-admin']),
        })
        .prefault({}),
      ca_file: filePath.optional(),
    }),
    outbound: z
      .strictObject({
        allow_hosts: z.array(z.string()).default([]).describe('hosts beyond those of the configured issuers'),
        allow_private_addresses: z.boolean().default(false).describe('issuers on private addresses; metadata addresses are refused always'),
      })
      .prefault({}),
    redis: z
      .strictObject({
        url: z.url({ protocol: /^rediss?$/ }).optional().describe('without a password; give one by `url_file` or MAYFLY_REDIS_URL'),
        url_file: filePath.optional().describe('a file that holds the whole URL'),
        accept_unsafe_settings: z.boolean().default(false).describe('start in production although Redis may evict or forget; it is logged at every start'),
        min_replica_acks: z.int().min(0).max(16).default(0),
      })
      .prefault({}),
    policy: z.strictObject({ directory: z.string().min(1) }),
    audit: z.strictObject({
      file: filePath.describe('the hash-chained log; with `sink: stdout` only where the chain stands'),
      sink: z.enum(['file', 'stdout']).default('file').describe('`stdout`: records go to standard output for a collector to keep'),
      checkpoint_seconds: seconds(1, 86_400).default(60).describe('how often the chain is signed, where it has grown'),
    }),
    keys: z.strictObject({
      checkpoint_key_files: z
        .array(filePath)
        .min(1)
        .optional()
        .describe('PEM Ed25519 keys that sign checkpoints of the audit log; the first signs, all are accepted. None: nothing is signed'),
      ledger_seal_file: filePath.describe('32 bytes or more; seals records and events against a writer in Redis'),
    }),
    limits: z
      .strictObject({
        default_ttl_seconds: seconds(1, 86_400).default(300),
        max_ttl_seconds: seconds(1, 86_400).default(3_600),
        live_leases_per_agent: z.int().min(1).default(1_000),
        waiting_approvals_per_agent: z.int().min(1).default(20),
        credentials_per_task: z.int().min(1).max(64).default(16),
        waiting_claims_per_agent: z.int().min(1).default(200).describe('tasks of one declarer that wait for their agent'),
        claim_window_seconds: seconds(5, 86_400).default(300).describe('how long a task waits for its agent to claim it'),
        approval_window_seconds: seconds(10, 86_400).default(900),
      })
      .prefault({}),
    minting: z
      .strictObject({
        timeout_ms: z.int().min(100).max(60_000).default(10_000).describe('for the whole mint of one credential'),
      })
      .prefault({}),
    revocation: z
      .strictObject({
        sweep_interval_ms: z.int().min(20).max(5_000).default(200),
        batch_size: z.int().min(1).max(1_000).default(100),
        claim_timeout_ms: z.int().min(1_000).max(600_000).default(30_000).describe('a claimed batch whose job is lost is due again after this'),
        retry_first_ms: z.int().min(10).default(500),
        retry_max_ms: z.int().min(100).default(30_000),
        stuck_after_seconds: seconds(1, 86_400).default(300),
        reconcile_interval_seconds: seconds(1, 3_600).default(60),
        orphan_grace_seconds: seconds(0, 3_600).default(30).describe('added to the mint timeout before an unknown credential counts as orphan'),
      })
      .prefault({}),
    retention_seconds: seconds(60, 31_536_000).default(604_800),
    providers: z.record(name, z.discriminatedUnion('type', [vaultProvider, jwtProvider])),
    credentials: z.record(name, credential),
    introspection: z
      .strictObject({
        resource_servers: z
          .array(
            z.strictObject({
              issuer: z.string().min(1),
              subject: z.string().min(1),
              audiences: z.array(z.string().min(1)).min(1),
            }),
          )
          .default([]),
      })
      .prefault({}),
  })
  .describe('Mayfly configuration');

export type Config = z.infer<typeof configSchema>;
export type VaultProviderConfig = Extract<Config['providers'][string], { type: 'vault' }>;
export type JwtProviderConfig = Extract<Config['providers'][string], { type: 'jwt' }>;
export type VaultLoginConfig = VaultProviderConfig['login']['api'];
export type CredentialConfig = Config['credentials'][string];
export type ParamSchema = CredentialConfig['params'][string];
export type OidcIssuerConfig = Config['identity']['issuers'][number];
export type TrustDomainConfig = Config['identity']['trust_domains'][number];
export type OperatorsConfig = Config['operators'];
