import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stringify } from 'yaml';
import { AGENT, ORCHESTRATOR, PEOPLE, SECOND_AGENT, keepTokensFresh, type TokenFiles } from './dev-identities.ts';
import { startAwsEmulator, type AwsEmulator } from './aws-emulator.ts';
import { startDevIssuer, type DevIssuer } from './dev-issuer.ts';
import { startOpenBao, type OpenBaoServer } from './openbao-server.ts';
import { startPostgres, type PostgresServer } from './postgres-server.ts';
import { startRedis, type RedisServer } from './redis-server.ts';
import { freePort } from './run-server.ts';
import type { SeededAws } from './seed-aws.ts';
import { BROKER_RIGHTS, seedOpenBao, type BrokerRight, type LoginFiles } from './seed-openbao.ts';
import { startSpiffeDomain, TRUST_DOMAIN, type SpiffeDomain } from './spiffe-domain.ts';

const REPOSITORY = dirname(import.meta.dirname);

/** What workload tokens must carry in `aud`, and what operator tokens must. */
const AUDIENCE = 'mayfly-dev';
const OPERATOR_AUDIENCE = 'mayfly-dev-operators';
/** What the operator issuer knows the broker by, when people sign in. */
const CLIENT_ID = 'mayfly-dev-dashboard';
/** And what it knows the command line by. */
const COMMAND_LINE_ID = 'mayfly-dev-cli';
/** Audiences of the example's tokens. */
const PAYMENTS = 'https://payments.example.org';
const LEDGER = 'https://ledger.example.org';

export interface StackOptions {
  /** Must exist and be empty; everything the stack has is below it. */
  readonly directory: string;
  /** 0 for a random one. */
  readonly port: number;
  readonly metricsPort: number;
  /** Whether AWS is there too; most tests do without. */
  readonly aws?: boolean;
  /** Written over the generated configuration, for tests. */
  readonly override?: Readonly<Record<string, unknown>>;
  /** Told as parts come up, with how long it took, or why one could not. */
  readonly onPart?: (part: string, outcome: { readonly ok: boolean; readonly seconds: number; readonly why?: string }) => void;
}

/** Everything the broker leans on, running on loopback, and the configuration that says so. A part that could not be had is null. */
export interface Stack {
  readonly directory: string;
  readonly configFile: string;
  readonly auditFile: string;
  readonly deploymentId: string;
  readonly redis: RedisServer;
  readonly postgres: PostgresServer | null;
  readonly openbao: OpenBaoServer | null;
  readonly aws: (AwsEmulator & SeededAws) | null;
  readonly workloads: DevIssuer;
  readonly operators: DevIssuer;
  readonly spiffe: SpiffeDomain;
  /** Where the broker answers over TLS. */
  readonly tlsUrl: string;
  readonly tokenFiles: TokenFiles;
  readonly rootTokenFile: string | null;
  readonly adminUrlFile: string | null;
  /** The key of the workload issuer, PEM. */
  readonly issuerKeyFile: string;
  stop(): Promise<void>;
}

/** Starts the servers and writes the configuration. Throws when Redis or the issuers cannot be had: nothing works without. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { directory } = options;
  const timed = async <T>(part: string, start: () => Promise<T>): Promise<T> => {
    const startedMs = performance.now();
    const value = await start();
    options.onPart?.(part, { ok: true, seconds: (performance.now() - startedMs) / 1000 });
    return value;
  };
  const ifPossible = <T>(part: string, start: () => Promise<T>): Promise<T | null> =>
    timed(part, start).catch((error: unknown) => {
      options.onPart?.(part, { ok: false, seconds: 0, why: error instanceof Error ? error.message : String(error) });
      return null;
    });
  const client = { clientId: CLIENT_ID, clientSecret: randomBytes(32).toString('base64url') };
  const [redis, postgres, openbao, aws, workloads, operators] = await Promise.all([
    timed('Redis', () => startRedis({ directory })),
    ifPossible('PostgreSQL', () => startPostgres({ directory })),
    ifPossible('OpenBao', () => startOpenBao({ directory })),
    options.aws === true ? ifPossible('AWS emulator', () => startAws(directory)) : null,
    timed('workload issuer', () => startDevIssuer({ audience: AUDIENCE })),
    timed('operator issuer', () => startDevIssuer({ audience: OPERATOR_AUDIENCE, signIn: { ...client, redirectUri: `${urlOf(options)}/auth/callback`, people: PEOPLE, commandLineId: COMMAND_LINE_ID } })),
  ]);
  const logins =
    openbao === null
      ? null
      : await timed('OpenBao policies', () =>
          seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: postgres?.openbaoLogin ?? null, directory: join(directory, 'logins') }),
        );

  const secrets = await writeSecrets(directory, { redis, postgres, openbao, workloads, clientSecret: client.clientSecret });
  const spiffe = await startSpiffeDomain(join(directory, 'spiffe'));
  const tlsPort = await freePort();
  const tokens = await keepTokensFresh(secrets.folder, workloads, operators);
  const deploymentId = `dev-${randomBytes(4).toString('hex')}`;
  const configFile = join(directory, 'mayfly.yaml');
  const auditFile = join(directory, 'audit.jsonl');
  const config = { ...configOf({ options, deploymentId, openbao, logins, postgres, aws, workloads, operators, spiffe, tlsPort, secrets, auditFile }), ...options.override };
  await writeFile(configFile, `# Written by the development stack; gone when it stops.\n${stringify(config)}`, { mode: 0o600 });

  return {
    directory,
    configFile,
    auditFile,
    deploymentId,
    redis,
    postgres,
    openbao,
    aws,
    workloads,
    operators,
    spiffe,
    tlsUrl: `https://127.0.0.1:${tlsPort}`,
    tokenFiles: tokens.files,
    rootTokenFile: openbao === null ? null : secrets.rootTokenFile,
    adminUrlFile: postgres === null ? null : secrets.adminUrlFile,
    issuerKeyFile: secrets.issuerKeyFile,
    async stop() {
      tokens.stop();
      spiffe.stop();
      await Promise.all([redis.stop(), postgres?.stop(), openbao?.stop(), aws?.stop(), workloads.stop(), operators.stop()]);
    },
  };
}

async function startAws(directory: string): Promise<AwsEmulator & SeededAws> {
  const emulator = await startAwsEmulator({ directory });
  try {
    // Few stacks have AWS, and its clients take half a second to load.
    const { seedAws } = await import('./seed-aws.ts');
    return { ...emulator, ...(await seedAws(emulator, join(directory, 'logins'))) };
  } catch (error) {
    await emulator.stop();
    throw error;
  }
}

interface SecretFiles {
  readonly folder: string;
  readonly sealKeyFile: string;
  readonly signingKeyFile: string;
  readonly checkpointKeyFile: string;
  readonly receiptKeyFile: string;
  readonly redisUrlFile: string;
  readonly rootTokenFile: string;
  readonly adminUrlFile: string;
  readonly clientSecretFile: string;
  readonly issuerKeyFile: string;
}

async function writeSecrets(directory: string, parts: Pick<Stack, 'redis' | 'postgres' | 'openbao' | 'workloads'> & { readonly clientSecret: string }): Promise<SecretFiles> {
  const folder = join(directory, 'secrets');
  await mkdir(folder, { mode: 0o700 });
  const write = async (name: string, content: string | Buffer): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, content, { mode: 0o600 });
    return file;
  };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    folder,
    sealKeyFile: await write('ledger-seal', randomBytes(32)),
    signingKeyFile: await write('token-signing.pem', privateKey.export({ type: 'pkcs8', format: 'pem' })),
    checkpointKeyFile: await write('checkpoint.pem', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
    receiptKeyFile: await write('receipt.pem', generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })),
    redisUrlFile: await write('redis-url', parts.redis.url),
    rootTokenFile: await write('openbao-root-token', parts.openbao?.rootToken ?? ''),
    adminUrlFile: await write('postgres-admin-url', parts.postgres?.adminUrl ?? ''),
    clientSecretFile: await write('sign-in-client', parts.clientSecret),
    issuerKeyFile: await write('workload-issuer.pem', await parts.workloads.exportKey()),
  };
}

interface ConfigParts {
  readonly options: StackOptions;
  readonly deploymentId: string;
  readonly openbao: OpenBaoServer | null;
  readonly logins: Readonly<Record<BrokerRight, LoginFiles>> | null;
  readonly postgres: PostgresServer | null;
  readonly aws: Stack['aws'];
  readonly workloads: DevIssuer;
  readonly operators: DevIssuer;
  readonly spiffe: SpiffeDomain;
  readonly tlsPort: number;
  readonly secrets: SecretFiles;
  readonly auditFile: string;
}

const urlOf = ({ port }: Pick<StackOptions, 'port'>): string => `http://127.0.0.1:${port}`;

function configOf({ options, deploymentId, openbao, logins, postgres, aws, workloads, operators, spiffe, tlsPort, secrets, auditFile }: ConfigParts): Record<string, unknown> {
  const ours = urlOf(options);
  const vault = openbao === null || logins === null ? null : vaultPart(openbao, logins, postgres !== null);
  const cloud = aws === null ? null : awsPart(aws);
  return {
    environment: 'development',
    deployment_id: deploymentId,
    http: { host: '127.0.0.1', port: options.port, public_url: ours, metrics_port: options.metricsPort },
    tls: { port: tlsPort, public_url: `https://127.0.0.1:${tlsPort}`, certificate: { source: 'files', ...spiffe.broker } },
    identity: {
      audience: AUDIENCE,
      issuers: [{ issuer: workloads.issuer, subjects: ['agent:*', 'orchestrator:*'], instance_claim: 'run_id' }],
      trust_domains: [{ name: TRUST_DOMAIN, bundle_file: spiffe.bundleFile }],
    },
    agents: registeredAgents(workloads.issuer),
    operators: { issuer: operators.issuer, audience: OPERATOR_AUDIENCE, sign_in: { client_id: CLIENT_ID, client_secret_file: secrets.clientSecretFile }, cli: { client_id: COMMAND_LINE_ID } },
    redis: { url_file: secrets.redisUrlFile },
    policy: { directory: join(REPOSITORY, 'config/policies'), risk: { write: 'medium', export: 'high' } },
    audit: { file: auditFile, checkpoint_seconds: 5 },
    keys: { ledger_seal_file: secrets.sealKeyFile, checkpoint_key_files: [secrets.checkpointKeyFile], receipt_key_files: [secrets.receiptKeyFile] },
    providers: { ...vault?.providers, ...cloud?.providers, tokens: { type: 'jwt', issuer: ours, signing_key_files: [secrets.signingKeyFile] } },
    credentials: {
      ...vault?.credentials,
      ...cloud?.credentials,
      'task-token': { kind: 'jwt', provider: 'tokens', owner: 'payments', data_classes: [], audience: PAYMENTS },
      'task-reference': { kind: 'jwt', provider: 'tokens', owner: 'finance', data_classes: [], audience: LEDGER, introspection_required: true },
    },
    authzen: { ...(options.port === 0 ? {} : { url: ours }), callers: [{ issuer: workloads.issuer, subject: ORCHESTRATOR }] },
    introspection: {
      resource_servers: [SECOND_AGENT, ORCHESTRATOR].map((subject) => ({ issuer: workloads.issuer, subject, audiences: [PAYMENTS, LEDGER] })),
    },
  };
}

/** A stack is thrown away at its end; until then, nobody's review is overdue. */
const REVIEW_IN_MS = 90 * 86_400_000;

/** Who answers for the workloads of the example. */
function registeredAgents(issuer: string) {
  const reviewBy = new Date(Date.now() + REVIEW_IN_MS).toISOString().slice(0, 10);
  const registered = (subject: string, owner: string, purposes: readonly string[]) => ({ issuer, subject, owner, purposes, environments: ['development'], review_by: reviewBy });
  return [
    registered(AGENT, 'team-refunds', ['refund-investigation', 'data-export']),
    registered(SECOND_AGENT, 'team-payouts', ['refund-investigation']),
    registered(ORCHESTRATOR, 'team-support', ['refund-investigation', 'data-export']),
  ];
}

function awsPart({ endpoint, region, credentialsFiles, bucket, roleArns }: AwsEmulator & SeededAws) {
  const login = (file: string) => ({ method: 'credentials_file', credentials_file: file });
  return {
    providers: { 'aws-main': { type: 'aws-sts', region, endpoint, login: { api: login(credentialsFiles.api), worker: login(credentialsFiles.worker) } } },
    credentials: {
      'reports-bucket': {
        kind: 'aws.sts',
        provider: 'aws-main',
        owner: 'reports',
        role_arns: roleArns,
        session_policy: [{ for_actions: ['read', 'export'], actions: ['s3:GetObject', 's3:ListBucket'], resources: [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`] }],
        max_ttl_seconds: 3_600,
      },
    },
  };
}

/** What extending a task may make of a credential. */
const LONGEST = { max_ttl_seconds: 3_600, renewable: true };

function vaultPart(openbao: OpenBaoServer, logins: Readonly<Record<BrokerRight, LoginFiles>>, withDatabase: boolean) {
  const login = Object.fromEntries(BROKER_RIGHTS.map((right) => [right, { method: 'approle', ...logins[right] }]));
  const ordersDb = {
    kind: 'vault.dynamic',
    provider: 'vault-main',
    owner: 'orders',
    token_role: 'mayfly-orders-db',
    path: 'database/creds/orders-reader',
    ends_open_sessions: true,
    data_classes: ['pii', 'financial'],
    ...LONGEST,
  };
  const paymentsKey = {
    kind: 'vault.kv',
    provider: 'vault-main',
    owner: 'payments',
    token_role: 'mayfly-payments-api-key',
    mount: 'kv',
    path: 'payments/api-key',
    max_ttl_seconds: 600,
  };
  return {
    providers: { 'vault-main': { type: 'vault', address: openbao.address, login } },
    credentials: {
      ...(withDatabase ? { 'orders-db': ordersDb } : {}),
      'vault-token': { kind: 'vault.token', provider: 'vault-main', owner: 'orders', data_classes: [], token_role: 'mayfly-vault-token', ...LONGEST },
      'payments-api-key': paymentsKey,
    },
  };
}
