import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { startOpenBao, type OpenBaoServer } from '../../../dev/openbao-server.ts';
import { startPostgres, type PostgresServer } from '../../../dev/postgres-server.ts';
import { rootClient, seedOpenBao, type RootClient } from '../../../dev/seed-openbao.ts';
import type { CredentialConfig, VaultProviderConfig } from '../../../src/config/config-schema.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { toRfc3339 } from '../../../src/core/time.ts';
import type { LeaseIntent } from '../../../src/ledger/lease.ts';
import type { Minted, RevocationResult } from '../../../src/providers/credential-provider.ts';
import { createVaultProvider, type VaultProvider } from '../../../src/providers/vault/vault-provider.ts';
import { intentFor, revoke } from '../../contracts/provider-contract.ts';
import { until } from '../../support/until.ts';

const CREDENTIALS: Readonly<Record<string, CredentialConfig>> = {
  'orders-db': { kind: 'vault.dynamic', provider: 'v', owner: 'o', token_role: 'mayfly-orders-db', path: 'database/creds/orders-reader', ends_open_sessions: true, params: {} },
  'vault-token': { kind: 'vault.token', provider: 'v', owner: 'o', token_role: 'mayfly-vault-token', params: {} },
};
const ALL = { mint: true, revoke: true, list: true };
const NEVER = new AbortController().signal;

let directory: string;
let postgres: PostgresServer;
let openbao: OpenBaoServer;
let bao: RootClient;
let config: VaultProviderConfig;
let admin: pg.Client;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-revocation-'));
  [postgres, openbao] = await Promise.all([startPostgres({ directory }), startOpenBao({ directory })]);
  bao = rootClient(openbao);
  const logins = await seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: postgres.openbaoLogin, directory: join(directory, 'logins') });
  const login = (right: keyof typeof logins) => ({ method: 'approle', mount: 'approle', ...logins[right] }) as const;
  config = {
    type: 'vault',
    address: openbao.address,
    login: { api: login('api'), worker: login('worker'), reconciler: login('reconciler') },
    timeout_ms: 2_500,
    max_in_flight: 16,
    revocations_per_second: 1_000,
    revoke_concurrency: 8,
    target_margin_seconds: 5,
  };
  admin = new pg.Client({ connectionString: postgres.adminUrl });
  await admin.connect();
}, 60_000);

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(async () => {
  await admin.end();
  await Promise.all([postgres.stop(), openbao.stop()]);
  await rm(directory, { recursive: true, force: true });
}, 30_000);

async function provider(overrides: Partial<VaultProviderConfig> = {}, rights = ALL, deploymentId = 'test'): Promise<VaultProvider> {
  const made = createVaultProvider({ name: 'v', config: { ...config, ...overrides }, credentials: CREDENTIALS, deploymentId, clock: systemClock, rights });
  ends.push(() => made.close());
  await until(() => made.checkHealth(AbortSignal.timeout(1_000)).then(() => true, () => false));
  return made;
}

async function mint(from: VaultProvider, credential: string, ttlSeconds = 60): Promise<{ intent: LeaseIntent; minted: Minted }> {
  const intent = intentFor({ provider: from, credential }, ttlSeconds);
  return { intent, minted: await from.mint(intent, NEVER) };
}

const userOf = ({ secret }: Minted): string => secret['username']?.expose() ?? '';

/** An open session of a minted login. */
async function session(minted: Minted): Promise<pg.Client> {
  const client = new pg.Client({ host: postgres.host, port: postgres.port, database: 'orders', user: userOf(minted), password: minted.secret['password']?.expose() });
  client.on('error', () => undefined);
  await client.connect();
  ends.push(() => client.end().catch(() => undefined));
  return client;
}

async function roleOf(minted: Minted): Promise<{ canlogin: boolean; until: Date } | undefined> {
  const { rows } = await admin.query<{ canlogin: boolean; until: Date }>('select rolcanlogin as canlogin, rolvaliduntil as until from pg_roles where rolname = $1', [userOf(minted)]);
  return rows[0];
}

const REVOKED = (intent: LeaseIntent): RevocationResult => ({ leaseId: intent.id, outcome: 'revoked' });

describe('a database login from Vault', () => {
  it('carries its lease id, reads what its group may, and no more', async () => {
    const { intent, minted } = await mint(await provider(), 'orders-db');
    expect(userOf(minted)).toContain(intent.id.replace('_', '-'));
    expect(userOf(minted).length).toBeLessThanOrEqual(63);
    const open = await session(minted);
    expect((await open.query('select count(*)::int as n from orders')).rows).toEqual([{ n: 120 }]);
    await expect(open.query("update orders set status = 'paid'")).rejects.toMatchObject({ code: '42501' });
    await expect(open.query('create table mine (id int)')).rejects.toMatchObject({ code: '42501' });
    await expect(open.query('create temporary table mine (id int)')).rejects.toMatchObject({ code: '42501' });
  });

  it('says at the target whose it is', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'vault-token');
    const { meta, explicit_max_ttl, orphan, policies } = await bao('POST', 'auth/token/lookup-accessor', { accessor: minted.handle['accessor'] });
    expect(meta).toEqual({
      mayfly_deployment: 'test',
      mayfly_lease: intent.id,
      mayfly_task: intent.taskId,
      agent: intent.agent.subject,
      agent_issuer: intent.agent.issuer,
      purpose: intent.purpose,
      credential: 'vault-token',
      due_at: toRfc3339(intent.dueAtMs),
    });
    expect({ explicit_max_ttl, orphan, policies }).toEqual({ explicit_max_ttl: 65, orphan: true, policies: ['mayfly-vault-token'] });
    await revoke(from, { intent, handle: minted.handle });
  });

  it('is certainly dead when we say it lapses, and no sooner, by the clock of the database', async () => {
    const { minted } = await mint(await provider(), 'orders-db');
    const validUntilMs = (await roleOf(minted))?.until.getTime() ?? 0;
    expect(minted.lapsesAtMs).toBeGreaterThanOrEqual(validUntilMs - 1_000);
    // VALID UNTIL is in whole seconds, and we count from the answer: a slow mint is not a wrong one.
    expect(minted.lapsesAtMs).toBeLessThanOrEqual(validUntilMs + 5_000);
  });

  it('takes its open sessions with it when it is revoked', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'orders-db');
    const other = await mint(from, 'orders-db');
    const [open, kept] = await Promise.all([session(minted), session(other.minted)]);
    expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
    await expect(open.query('select 1')).rejects.toThrow();
    expect(await roleOf(minted)).toBeUndefined();
    // Control: another lease's session is not touched.
    await expect(kept.query('select 1')).resolves.toBeDefined();
  });

  it('cannot be kept alive by somebody who grants it a right of theirs', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'orders-db');
    await admin.query('create role colluder; grant usage on schema public to colluder; grant select on customers to colluder with grant option');
    await admin.query(`set role colluder; grant select on customers to "${userOf(minted)}"; reset role`);
    // Control: dropping it the plain way fails, and in a transaction it would take the lock back with it.
    await expect(admin.query(`drop owned by "${userOf(minted)}"; drop role "${userOf(minted)}"`)).rejects.toMatchObject({ code: '2BP01' });
    const open = await session(minted);
    expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
    await expect(open.query('select 1')).rejects.toThrow();
    await expect(session(minted)).rejects.toMatchObject({ code: '28P01' });
    expect((await roleOf(minted))?.canlogin).toBe(false);
    await admin.query(`set role colluder; revoke select on customers from "${userOf(minted)}"; reset role; drop role "${userOf(minted)}"; drop owned by colluder; drop role colluder`);
  });

  it('is not called revoked while the database cannot be reached, and is when it is back', async () => {
    const from = await provider({ timeout_ms: 400 });
    const confirmed = await mint(from, 'orders-db');
    const unconfirmed = await mint(from, 'orders-db');
    const orders = [
      { intent: confirmed.intent, handle: confirmed.minted.handle },
      { intent: unconfirmed.intent, handle: null },
    ];
    process.kill(postgres.pid, 'SIGSTOP');
    await stopBackends('SIGSTOP');
    try {
      const results = await revoke(from, ...orders);
      expect(results).toHaveLength(2);
      for (const result of results) expect(result).toMatchObject({ outcome: 'failed', error: { failure: 'unavailable', retryable: true } });
    } finally {
      await stopBackends('SIGCONT');
      process.kill(postgres.pid, 'SIGCONT');
    }
    await until(async () => (await revoke(from, ...orders)).every(({ outcome }) => outcome === 'revoked'));
    expect(await Promise.all([roleOf(confirmed.minted), roleOf(unconfirmed.minted)])).toEqual([undefined, undefined]);
  });

  it('found by listing is ended with what hangs on it, though only its token was known', async () => {
    const from = await provider({}, ALL, 'orphans');
    const { intent, minted } = await mint(from, 'orders-db');
    for await (const live of from.list(AbortSignal.timeout(5_000))) {
      const unknown: LeaseIntent = { ...intentFor({ provider: from, credential: 'vault-token' }), id: live.leaseId, credential: 'unknown', createdAtMs: live.createdAtMs };
      expect(await revoke(from, { intent: unknown, handle: live.handle })).toMatchObject([REVOKED(intent)]);
    }
    expect(await roleOf(minted)).toBeUndefined();
  });
});

describe('ending at Vault', () => {
  it('is a failure, never "gone", for a login that has lost its right', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'vault-token');
    const kept = await bao('GET', 'sys/policies/acl/mayfly-worker');
    await bao('PUT', 'sys/policies/acl/mayfly-worker', { policy: 'path "auth/token/lookup-self" { capabilities = ["read"] }' });
    try {
      expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([{ outcome: 'failed', error: { failure: 'refused', retryable: false } }]);
    } finally {
      await bao('PUT', 'sys/policies/acl/mayfly-worker', { policy: kept['policy'] });
    }
    expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
  });

  it('is a failure for every order when it was given up, and throws nothing', async () => {
    const from = await provider();
    const made = await Promise.all([mint(from, 'orders-db'), mint(from, 'vault-token')]);
    const results: RevocationResult[] = [];
    for await (const result of from.revokeMany(made.map(({ intent, minted }) => ({ intent, handle: minted.handle })), AbortSignal.abort())) results.push(result);
    expect(results.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
    for (const { intent, minted } of made) expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
  });

  it('needs the right to list for what was never confirmed, and says so', async () => {
    const from = await provider({}, { mint: true, revoke: true, list: false });
    const { intent, minted } = await mint(from, 'vault-token');
    expect(await revoke(from, { intent, handle: null })).toMatchObject([{ outcome: 'failed', error: { failure: 'refused' } }]);
    expect(await revoke(from, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
  });

  it('by a process that only mints ends the token, and leaves it to a worker to say so', async () => {
    const [api, worker] = await Promise.all([provider({}, { mint: true, revoke: false, list: false }), provider()]);
    const { intent, minted } = await mint(api, 'vault-token');
    expect(await revoke(api, { intent, handle: minted.handle })).toMatchObject([{ outcome: 'failed', error: { retryable: true } }]);
    await expect(bao('POST', 'auth/token/lookup-accessor', { accessor: minted.handle['accessor'] })).rejects.toThrow('invalid accessor');
    expect(await revoke(worker, { intent, handle: minted.handle })).toMatchObject([REVOKED(intent)]);
  });

  it('of a lease on a mount that was replaced is never called done', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'orders-db');
    const handle = { ...minted.handle, mount_accessor: 'database_00000000', lease_id: 'database/creds/orders-reader/gone' };
    expect(await revoke(from, { intent, handle })).toMatchObject([{ outcome: 'failed', error: { failure: 'refused' } }]);
    // Control: on the recorded mount, an unknown lease is gone.
    expect(await revoke(from, { intent, handle: { ...handle, mount_accessor: minted.handle['mount_accessor'] ?? null } })).toMatchObject([REVOKED(intent)]);
  });
});

describe('a mint that fails half way', () => {
  it('leaves no token behind, and says that nothing was minted', async () => {
    const from = await provider({}, ALL, 'half-way');
    const path = 'sys/policies/acl/mayfly-orders-db';
    const kept = await bao('GET', path);
    await bao('PUT', path, { policy: 'path "database/creds/other" { capabilities = ["read"] }' });
    try {
      await expect(mint(from, 'orders-db')).rejects.toMatchObject({ failure: 'refused', mayHaveMinted: false });
    } finally {
      await bao('PUT', path, { policy: kept['policy'] });
    }
    for await (const live of from.list(AbortSignal.timeout(5_000))) throw new Error(`${live.leaseId} is still live`);
  });

  it('on a token role whose tokens would die with the broker is refused', async () => {
    const from = await provider({}, ALL, 'not-orphan');
    await bao('POST', 'auth/token/roles/mayfly-vault-token', { orphan: false });
    try {
      await expect(mint(from, 'vault-token')).rejects.toThrow('must make orphans');
    } finally {
      await bao('POST', 'auth/token/roles/mayfly-vault-token', { orphan: true });
    }
    for await (const live of from.list(AbortSignal.timeout(5_000))) throw new Error(`${live.leaseId} is still live`);
  });

  it('tells the truth where the token role shortens what was asked', async () => {
    const from = await provider();
    const { intent, minted } = await mint(from, 'vault-token', 86_400);
    expect(minted.targetExpiresAtMs).toBeLessThan(intent.dueAtMs);
    const { expire_time } = await bao('POST', 'auth/token/lookup-accessor', { accessor: minted.handle['accessor'] });
    expect(Math.abs(minted.targetExpiresAtMs - Date.parse(String(expire_time)))).toBeLessThan(1_500);
    await revoke(from, { intent, handle: minted.handle });
  });
});

/** Backends are processes of their own: a stopped postmaster alone would still let pooled connections work. */
async function stopBackends(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'pid=', '--ppid', String(postgres.pid)]);
  for (const pid of stdout.trim().split(/\s+/)) process.kill(Number(pid), signal);
}
