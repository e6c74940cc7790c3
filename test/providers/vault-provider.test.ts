import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { startOpenBao, type OpenBaoServer } from '../../dev/openbao-server.ts';
import { startPostgres, type PostgresServer } from '../../dev/postgres-server.ts';
import { freePort } from '../../dev/run-server.ts';
import { rootClient, seedOpenBao } from '../../dev/seed-openbao.ts';
import type { CredentialConfig, VaultProviderConfig } from '../../src/config/config-schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { ProviderError, type Minted } from '../../src/providers/credential-provider.ts';
import { createVaultProvider, type VaultProvider } from '../../src/providers/vault/vault-provider.ts';
import { describeProviderContract, intentFor, revoke } from '../contracts/provider-contract.ts';
import { freeze, thaw } from '../support/freeze.ts';
import { until } from '../support/until.ts';

let directory: string;
let postgres: PostgresServer;
let openbao: OpenBaoServer;
let config: VaultProviderConfig;

const CREDENTIALS: Readonly<Record<string, CredentialConfig>> = {
  'orders-db': { kind: 'vault.dynamic', provider: 'v', owner: 'o', token_role: 'mayfly-orders-db', path: 'database/creds/orders-reader', ends_open_sessions: true, params: {} },
  'vault-token': { kind: 'vault.token', provider: 'v', owner: 'o', token_role: 'mayfly-vault-token', params: {} },
};
const NEVER = new AbortController().signal;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-vault-'));
  [postgres, openbao] = await Promise.all([startPostgres({ directory }), startOpenBao({ directory })]);
  const logins = await seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: postgres.openbaoLogin, directory: join(directory, 'logins') });
  config = {
    type: 'vault',
    address: openbao.address,
    login: {
      api: { method: 'approle', mount: 'approle', ...logins.api },
      worker: { method: 'approle', mount: 'approle', ...logins.worker },
      reconciler: { method: 'approle', mount: 'approle', ...logins.reconciler },
    },
    timeout_ms: 2_500,
    max_in_flight: 16,
    revocations_per_second: 1_000,
    revoke_concurrency: 8,
    target_margin_seconds: 5,
  };
}, 60_000);

afterAll(async () => {
  await Promise.all([postgres.stop(), openbao.stop()]);
  await rm(directory, { recursive: true, force: true });
}, 30_000);

async function ready(overrides: Partial<VaultProviderConfig> = {}, rights = { mint: true, revoke: true, list: true }, deploymentId = 'test'): Promise<VaultProvider> {
  const provider = createVaultProvider({ name: 'v', config: { ...config, ...overrides }, credentials: CREDENTIALS, deploymentId, clock: systemClock, rights });
  await until(() => provider.checkHealth(AbortSignal.timeout(1_000)).then(() => true, () => false));
  return provider;
}

async function canLogIn({ secret }: Minted): Promise<boolean> {
  const client = new pg.Client({ host: postgres.host, port: postgres.port, database: postgres.database, user: secret['username']?.expose(), password: secret['password']?.expose() });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function tokenWorks({ secret }: Minted): Promise<boolean> {
  const answer = await fetch(`${openbao.address}/v1/kv/data/orders/shipping`, { headers: { 'X-Vault-Token': secret['token']?.expose() ?? '' } });
  return answer.ok;
}

describeProviderContract('vault, a database login', async () => {
  const provider = await ready();
  return { provider, credential: 'orders-db', works: canLogIn, stop: () => provider.close() };
});

describeProviderContract('vault, a token', async () => {
  const provider = await ready({}, { mint: true, revoke: true, list: true }, 'test-tokens');
  return { provider, credential: 'vault-token', works: tokenWorks, stop: () => provider.close() };
});

describe('what was ended at Vault', () => {
  it.each([['orders-db', canLogIn], ['vault-token', tokenWorks]] as const)('%s no longer works', async (credential, works) => {
    const provider = await ready();
    const intent = intentFor({ provider, credential });
    const minted = await provider.mint(intent, NEVER);
    expect(await works(minted)).toBe(true);
    await revoke(provider, { intent, handle: minted.handle });
    expect(await works(minted)).toBe(false);
    await provider.close();
  });

  it('is found by its lease alone where the mint was never confirmed', async () => {
    const provider = await ready();
    const intent = intentFor({ provider, credential: 'orders-db' });
    const minted = await provider.mint(intent, NEVER);
    expect(await revoke(provider, { intent, handle: null })).toEqual([{ leaseId: intent.id, outcome: 'revoked' }]);
    expect(await canLogIn(minted)).toBe(false);
    await provider.close();
  });

  it('ends by its own clock although Mayfly never comes back', async () => {
    const provider = await ready({ target_margin_seconds: 1 });
    const minted = await provider.mint(intentFor({ provider, credential: 'orders-db' }, 1), NEVER);
    await provider.close();
    await until(async () => !(await canLogIn(minted)), { timeoutMs: 10_000 });
    expect(Date.now()).toBeGreaterThanOrEqual(minted.targetExpiresAtMs - 1_000);
  });

  it('of another deployment is not listed, and not ours to end by name', async () => {
    const [ours, theirs] = await Promise.all([ready(), ready({}, { mint: true, revoke: true, list: true }, 'theirs')]);
    const intent = intentFor({ provider: theirs, credential: 'vault-token' });
    const minted = await theirs.mint(intent, NEVER);
    const listed: string[] = [];
    for await (const { leaseId } of ours.list(AbortSignal.timeout(5_000))) listed.push(leaseId);
    expect(listed).not.toContain(intent.id);
    await revoke(ours, { intent, handle: null });
    expect(await tokenWorks(minted)).toBe(true);
    await revoke(theirs, { intent, handle: minted.handle });
    await Promise.all([ours.close(), theirs.close()]);
  });

  it('is found beside accessors without a token, which a creation that was broken off leaves behind', async () => {
    const provider = await ready();
    const bao = rootClient(openbao);
    const accessors = async (): Promise<string[]> => ((await bao('LIST', 'auth/token/accessors'))['keys'] ?? []) as string[];
    const readable = (accessor: string): Promise<boolean> => bao('POST', 'auth/token/lookup-accessor', { accessor }).then(() => true, () => false);
    const breakOff = (ms: number): Promise<unknown> =>
      fetch(`${openbao.address}/v1/auth/token/create`, { method: 'POST', headers: { 'X-Vault-Token': openbao.rootToken }, body: '{"ttl":"60s"}', signal: AbortSignal.timeout(ms) }).catch(() => undefined);
    // Control: such an accessor cannot be looked at, not even by root.
    await until(async () => {
      await Promise.all(Array.from({ length: 60 }, (_, index) => breakOff(1 + (index % 15))));
      return (await Promise.all((await accessors()).map(readable))).includes(false);
    });
    const intent = intentFor({ provider, credential: 'vault-token' });
    const minted = await provider.mint(intent, NEVER);
    const listed: string[] = [];
    for await (const { leaseId } of provider.list(AbortSignal.timeout(10_000))) listed.push(leaseId);
    expect(listed).toContain(intent.id);
    expect(await revoke(provider, { intent, handle: null })).toEqual([{ leaseId: intent.id, outcome: 'revoked' }]);
    expect(await tokenWorks(minted)).toBe(false);
    await provider.close();
  });

  it('is not called gone because another server does not know it', async () => {
    const provider = await ready();
    const intent = intentFor({ provider, credential: 'vault-token' });
    const minted = await provider.mint(intent, NEVER);
    const handle = { ...minted.handle, cluster_id: 'another-cluster', accessor: 'unknown-accessor' };
    expect(await revoke(provider, { intent, handle })).toMatchObject([{ outcome: 'failed' }]);
    await revoke(provider, { intent, handle: minted.handle });
    await provider.close();
  });
});

describe('a failing Vault', () => {
  it('is a failure that can be tried again, from every call, and names the provider', async () => {
    const port = await freePort();
    const provider = createVaultProvider({ name: 'v', config: { ...config, address: `http://127.0.0.1:${port}` }, credentials: CREDENTIALS, deploymentId: 'test', clock: systemClock, rights: { mint: true, revoke: true, list: true } });
    const intent = intentFor({ provider, credential: 'orders-db' });
    await expect(provider.mint(intent, NEVER)).rejects.toMatchObject({ provider: 'v', failure: 'unavailable', mayHaveMinted: false });
    await expect(provider.checkHealth(NEVER)).rejects.toThrow(ProviderError);
    expect(await revoke(provider, { intent, handle: null })).toMatchObject([{ outcome: 'failed', error: { retryable: true } }]);
    await provider.close();
  });

  it('that does not answer is a mint that may have happened', async () => {
    const provider = await ready({ timeout_ms: 300 });
    freeze(openbao.pid);
    try {
      await expect(provider.mint(intentFor({ provider, credential: 'orders-db' }), NEVER)).rejects.toMatchObject({ failure: 'unavailable', mayHaveMinted: true });
    } finally {
      thaw(openbao.pid);
    }
    await provider.close();
  });

  it('that says no is a refusal, whose error holds neither token nor answer', async () => {
    const bao = rootClient(openbao);
    await bao('PUT', 'sys/policies/acl/mayfly-api', { policy: 'path "auth/token/lookup-self" { capabilities = ["read"] }' });
    const provider = await ready({}, { mint: true, revoke: false, list: false });
    const error: unknown = await provider.mint(intentFor({ provider, credential: 'orders-db' }), NEVER).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ provider: 'v', failure: 'refused' });
    const printed = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error);
    expect(printed).not.toMatch(/s\.[A-Za-z0-9]{20,}|permission denied/);
    await provider.close();
    const { readFile } = await import('node:fs/promises');
    await bao('PUT', 'sys/policies/acl/mayfly-api', { policy: await readFile(new URL('../../config/vault/api.hcl', import.meta.url), 'utf8') });
  });
});

describe("the broker's rights", () => {
  const login = async (right: 'api' | 'worker' | 'reconciler'): Promise<string> => {
    const { readFile } = await import('node:fs/promises');
    const files = config.login[right];
    if (files.method !== 'approle') throw new Error('not an AppRole');
    const [role, secret] = await Promise.all([readFile(files.role_id_file, 'utf8'), readFile(files.secret_id_file, 'utf8')]);
    const answer = await fetch(`${openbao.address}/v1/auth/approle/login`, { method: 'POST', body: JSON.stringify({ role_id: role, secret_id: secret }) });
    return ((await answer.json()) as { auth: { client_token: string } }).auth.client_token;
  };
  const status = async (token: string, method: string, path: string, body?: object): Promise<number> =>
    (await fetch(`${openbao.address}/v1/${path}`, { method, headers: { 'X-Vault-Token': token }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })).status;

  it.each([
    ['api', 'POST', 'auth/token/create', {}],
    ['api', 'POST', 'auth/token/create/other-role', {}],
    ['api', 'LIST', 'auth/token/accessors', undefined],
    ['api', 'POST', 'auth/token/lookup-accessor', { accessor: 'x' }],
    ['api', 'GET', 'database/creds/orders-reader', undefined],
    ['api', 'GET', 'kv/data/payments/api-key', undefined],
    ['api', 'GET', 'sys/policies/acl', undefined],
    ['worker', 'POST', 'auth/token/create/mayfly-orders-db', {}],
    ['worker', 'LIST', 'auth/token/accessors', undefined],
    ['worker', 'GET', 'database/creds/orders-reader', undefined],
    ['reconciler', 'POST', 'auth/token/create/mayfly-orders-db', {}],
    ['reconciler', 'POST', 'auth/token/revoke-accessor', { accessor: 'x' }],
    ['reconciler', 'GET', 'kv/data/orders/shipping', undefined],
  ] as const)('%s may not %s %s', async (right, method, path, body) => {
    expect(await status(await login(right), method, path, body)).toBe(403);
    expect(await status(openbao.rootToken, method, path, body)).not.toBe(403);
  });
});
