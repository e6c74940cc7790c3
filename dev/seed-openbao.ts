import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresLogin } from './postgres-server.ts';

export interface SeedOptions {
  readonly address: string;
  readonly rootToken: string;
  /** What OpenBao makes database logins as; null where there is no PostgreSQL. */
  readonly postgres: PostgresLogin | null;
  /** Where the broker's login files go, each 0600. Made when missing. */
  readonly directory: string;
  /** How long a database login can live at the most, by the database's own clock, seconds. */
  readonly databaseTtlSeconds?: number;
}

/** The files of one AppRole, as `login` in the configuration names them. */
export interface LoginFiles {
  readonly role_id_file: string;
  readonly secret_id_file: string;
}

export const BROKER_RIGHTS = ['api', 'worker', 'reconciler'] as const;
export type BrokerRight = (typeof BROKER_RIGHTS)[number];

/** How often and how long a new key-value mount is waited for. */
const KV_ATTEMPTS = 250;
const KV_PAUSE_MS = 20;

const POLICIES = join(import.meta.dirname, '../config/vault');

/** The longest task (`limits.max_ttl_seconds`) and the widest margin (`target_margin_seconds`). */
const LONGEST_TOKEN_SECONDS = 3_600 + 60;

/**
 * Prepares a fresh development OpenBao: the engines, the broker's three policies from `config/vault` and their AppRoles,
 * and for each credential a token role and a policy. Runs once for each server. Answers the login files by right.
 */
export async function seedOpenBao(options: SeedOptions): Promise<Record<BrokerRight, LoginFiles>> {
  const bao = rootClient(options);
  const policies = [
    ...BROKER_RIGHTS.map((right) => [`mayfly-${right}`, right] as const),
    ['mayfly-orders-db', 'credential-orders-db'] as const,
    ['mayfly-vault-token', 'credential-vault-token'] as const,
    ['mayfly-payments-api-key', 'credential-payments-api-key'] as const,
  ];
  await Promise.all([
    ...policies.map(async ([name, file]) => bao('PUT', `sys/policies/acl/${name}`, { policy: await readFile(join(POLICIES, `${file}.hcl`), 'utf8') })),
    ...['mayfly-orders-db', 'mayfly-vault-token', 'mayfly-payments-api-key'].map((name) => bao('POST', `auth/token/roles/${name}`, tokenRole(name))),
    bao('POST', 'sys/auth/approle', { type: 'approle' }),
    seedKv(bao),
    seedDatabase(bao, options.postgres, options.databaseTtlSeconds ?? 3_600),
  ]);

  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const files = await Promise.all(BROKER_RIGHTS.map(async (right) => [right, await makeLogin(bao, right, options.directory)] as const));
  return Object.fromEntries(files) as Record<BrokerRight, LoginFiles>;
}

async function seedKv(bao: RootClient): Promise<void> {
  await bao('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
  await kvReady(bao);
  await bao('POST', 'kv/data/orders/shipping', { data: { carrier: 'Northern Post', cutoff: '16:00' } });
  await bao('POST', 'kv/data/payments/api-key', { data: { api_key: `dev-${randomBytes(16).toString('hex')}` } });
}

/** A new versioned mount refuses writes for a moment, until it has set itself up. */
async function kvReady(bao: RootClient): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await bao('POST', 'kv/data/ready', { data: {} });
      await bao('DELETE', 'kv/metadata/ready');
      return;
    } catch (error) {
      if (attempt === KV_ATTEMPTS) throw error;
      await sleep(KV_PAUSE_MS);
    }
  }
}

/**
 * A token role for one credential. Orphan, or the tokens would die with the broker's own; no default policy, which would
 * let a holder look around; one policy by its whole name, for a glob would also fit what is added later.
 */
const tokenRole = (policy: string): object => ({
  allowed_policies: [policy],
  disallowed_policies: ['root', 'default'],
  orphan: true,
  renewable: true,
  token_type: 'service',
  token_no_default_policy: true,
  token_explicit_max_ttl: LONGEST_TOKEN_SECONDS,
});

async function seedDatabase(bao: RootClient, postgres: PostgresLogin | null, ttlSeconds: number): Promise<void> {
  await bao('POST', 'sys/mounts/database', { type: 'database' });
  if (postgres === null) return;
  await bao('POST', 'database/config/orders', {
    plugin_name: 'postgresql-database-plugin',
    // Without connect_timeout a hanging database would hang revocation with it.
    connection_url: `postgresql://{{username}}:{{password}}@${postgres.host}:${postgres.port}/${postgres.database}?sslmode=disable&connect_timeout=2`,
    username: postgres.username,
    password: postgres.password,
    allowed_roles: ['orders-reader'],
    max_open_connections: 8,
    // The password is hashed by OpenBao: the database and its log see a SCRAM verifier only.
    password_authentication: 'scram-sha-256',
    // The display name of the token is `token-<lease id>`: the login carries the lease id (57 of PostgreSQL's 63 characters).
    username_template: '{{ printf "v-%s-%s" (.DisplayName | truncate 42) (random 12) }}',
  });
  await bao('POST', 'database/roles/orders-reader', {
    db_name: 'orders',
    creation_statements: [`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' IN ROLE orders_reader;`],
    revocation_statements: [`SELECT mayfly.end_login('{{name}}');`],
    rollback_statements: [`SELECT mayfly.end_login('{{name}}');`],
    default_ttl: ttlSeconds,
    max_ttl: ttlSeconds,
  });
}

async function makeLogin(bao: RootClient, right: BrokerRight, directory: string): Promise<LoginFiles> {
  const role = `auth/approle/role/mayfly-${right}`;
  const loopback = ['127.0.0.1/32'];
  await bao('POST', role, {
    token_policies: [`mayfly-${right}`],
    token_no_default_policy: true,
    token_type: 'service',
    token_ttl: 1_200,
    token_bound_cidrs: loopback,
    secret_id_bound_cidrs: loopback,
  });
  const { role_id } = await bao('GET', `${role}/role-id`);
  const { secret_id } = await bao('POST', `${role}/secret-id`, {});
  const files = { role_id_file: join(directory, `${right}-role-id`), secret_id_file: join(directory, `${right}-secret-id`) };
  await writeFile(files.role_id_file, String(role_id), { mode: 0o600 });
  await writeFile(files.secret_id_file, String(secret_id), { mode: 0o600 });
  return files;
}

export type RootClient = (method: string, path: string, body?: object) => Promise<Record<string, unknown>>;

/** Calls OpenBao with the root token; answers `data` of the answer. For seeding, and for tests that look in from outside. */
export function rootClient({ address, rootToken }: Pick<SeedOptions, 'address' | 'rootToken'>): RootClient {
  return async (method, path, body) => {
    const answer = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': rootToken, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`OpenBao answered ${answer.status} to ${method} ${path}: ${text}`);
    const { data } = (text === '' ? {} : JSON.parse(text)) as { data?: Record<string, unknown> | null };
    return data ?? {};
  };
}
