import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startOpenBao, type OpenBaoServer } from '../../../dev/openbao-server.ts';
import { BROKER_RIGHTS, rootClient, seedOpenBao, type RootClient } from '../../../dev/seed-openbao.ts';
import type { CredentialConfig, VaultProviderConfig } from '../../../src/config/config-schema.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { addSeconds, epochMsFrom } from '../../../src/core/time.ts';
import type { Minted } from '../../../src/providers/credential-provider.ts';
import { createVaultProvider, type VaultProvider } from '../../../src/providers/vault/vault-provider.ts';
import { describeProviderContract, intentFor, revoke } from '../../contracts/provider-contract.ts';
import { at } from '../../support/at.ts';
import { startMeddlingProxy, type Fate, type Passing } from '../../support/meddling-proxy.ts';
import { until } from '../../support/until.ts';

const CREDENTIALS: Readonly<Record<string, CredentialConfig>> = {
  key: { kind: 'vault.kv', provider: 'v', owner: 'o', token_role: 'mayfly-payments-api-key', mount: 'kv', path: 'payments/api-key', engine_version: 2, params: {} },
  old: { kind: 'vault.kv', provider: 'v', owner: 'o', token_role: 'old', mount: 'kv1', path: 'shops/{shop}/key', engine_version: 1, params: { shop: { type: 'string', max_length: 64, required: true } } },
  first: { kind: 'vault.kv', provider: 'v', owner: 'o', token_role: 'first', mount: 'kv', path: 'payments/rotated', engine_version: 2, version: 1, params: {} },
  missing: { kind: 'vault.kv', provider: 'v', owner: 'o', token_role: 'missing', mount: 'kv', path: 'payments/missing', engine_version: 2, params: {} },
};
const ALL = { mint: true, revoke: true, list: true };
const NEVER = new AbortController().signal;

let directory: string;
let openbao: OpenBaoServer;
let bao: RootClient;
let config: VaultProviderConfig;
let deployments = 0;
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-kv-'));
  openbao = await startOpenBao({ directory });
  bao = rootClient(openbao);
  const logins = await seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: null, directory: join(directory, 'logins') });
  const login = (right: keyof typeof logins) => ({ method: 'approle', mount: 'approle', ...logins[right] }) as const;
  await bao('POST', 'sys/mounts/kv1', { type: 'kv', options: { version: '1' } });
  await bao('POST', 'kv1/shops/a b/key', { api_key: 'of-a-b' });
  await bao('POST', 'kv/data/payments/rotated', { data: { api_key: 'first' } });
  await bao('POST', 'kv/data/payments/rotated', { data: { api_key: 'second' } });
  const api = (await bao('GET', 'sys/policies/acl/mayfly-api'))['policy'] as string;
  const roles = ['old', 'first', 'missing'];
  await bao('PUT', 'sys/policies/acl/mayfly-api', { policy: api + roles.map((role) => `path "auth/token/create/${role}" { capabilities = ["update"] }\n`).join('') });
  for (const [role, path] of [['old', 'kv1/shops/+/key'], ['first', 'kv/data/payments/rotated'], ['missing', 'kv/data/payments/missing']]) {
    await bao('PUT', `sys/policies/acl/${role}`, { policy: `path "${path}" { capabilities = ["read"] min_wrapping_ttl = "1s" max_wrapping_ttl = "660s" }` });
    await bao('POST', `auth/token/roles/${role}`, { allowed_policies: [role], disallowed_policies: ['root', 'default'], orphan: true, renewable: false, token_type: 'service', token_no_default_policy: true });
  }
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
}, 60_000);

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

afterAll(async () => {
  await openbao.stop();
  await rm(directory, { recursive: true, force: true });
}, 30_000);

/** A provider, under a deployment id of its own unless it shall share that of the last. */
async function start(rights = ALL, overrides: Partial<VaultProviderConfig> = {}, sameDeployment = false): Promise<VaultProvider> {
  if (!sameDeployment) deployments += 1;
  const provider = createVaultProvider({ name: 'v', config: { ...config, ...overrides }, credentials: CREDENTIALS, deploymentId: `kv-${deployments}`, clock: systemClock, rights });
  await until(() => provider.checkHealth(AbortSignal.timeout(1_000)).then(() => true, () => false));
  return provider;
}

async function ready(...args: Parameters<typeof start>): Promise<VaultProvider> {
  const provider = await start(...args);
  ends.push(() => provider.close());
  return provider;
}

const tokenOf = ({ secret }: Minted): string => secret['wrapping_token']?.expose() ?? '';

/** A call as whoever has nothing but this token makes it. */
async function callAs(token: string, method: string, path: string, body?: object): Promise<{ status: number; data: Record<string, unknown> | null }> {
  const answer = await fetch(`${openbao.address}/v1/${path}`, { method, headers: { 'X-Vault-Token': token }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, data: (text === '' ? {} : (JSON.parse(text) as { data?: Record<string, unknown> | null })).data ?? null };
}
const open = (minted: Minted) => callAs(tokenOf(minted), 'POST', 'sys/wrapping/unwrap', {});
const isUnopened = async (minted: Minted): Promise<boolean> => (await callAs(openbao.rootToken, 'POST', 'sys/wrapping/lookup', { token: tokenOf(minted) })).status === 200;
const lookUp = (accessor: unknown) => callAs(openbao.rootToken, 'POST', 'auth/token/lookup-accessor', { accessor });

async function listed(provider: VaultProvider) {
  const found = [];
  for await (const live of provider.list(AbortSignal.timeout(10_000))) found.push(live);
  return found;
}

async function mint(provider: VaultProvider, credential = 'key', ttlSeconds = 60, params = {}) {
  const intent = { ...intentFor({ provider, credential }, ttlSeconds), params };
  return { intent, minted: await provider.mint(intent, NEVER) };
}

describeProviderContract('vault, a wrapped static secret', async () => {
  const provider = await start();
  return { provider, credential: 'key', works: isUnopened, ends: { unopened: true }, stop: () => provider.close() };
});

describe('a static secret', () => {
  it('is opened by its holder, at the target, once', async () => {
    const provider = await ready();
    const { minted } = await mint(provider);
    expect(Object.keys(minted.secret)).toEqual(['wrapping_token']);
    const opened = await open(minted);
    expect(opened).toMatchObject({ status: 200, data: { data: { api_key: expect.stringMatching(/^dev-[0-9a-f]{32}$/) } } });
    expect((await open(minted)).status).toBe(400);
  });

  it('of engine version 1 comes from its own path, with its parameter as one segment', async () => {
    const provider = await ready();
    const { minted } = await mint(provider, 'old', 60, { shop: 'a b' });
    expect(await open(minted)).toMatchObject({ status: 200, data: { api_key: 'of-a-b' } });
    await expect(mint(provider, 'old', 60, { shop: 'a/b' })).rejects.toMatchObject({ failure: 'refused', mayHaveMinted: false });
  });

  it('of a fixed version is that version', async () => {
    const provider = await ready();
    const { minted } = await mint(provider, 'first');
    expect(await open(minted)).toMatchObject({ data: { data: { api_key: 'first' } } });
  });

  it('that is not there is a refusal that leaves nothing', async () => {
    const provider = await ready();
    // On a busy machine undoing runs out of its time, and a worker has to look again: `mayHaveMinted` may be either.
    await expect(mint(provider, 'missing')).rejects.toMatchObject({ failure: 'refused' });
    await until(async () => (await listed(provider)).length === 0);
  });

  it('unopened is revoked: its wrapping token no longer works', async () => {
    const provider = await ready();
    const [{ intent, minted }, control] = await Promise.all([mint(provider), mint(provider)]);
    const startedAtMs = Date.now();
    const [result] = await revoke(provider, { intent, handle: minted.handle });
    expect(result).toMatchObject({ leaseId: intent.id, outcome: 'revoked', evidence: { seenUnopenedAtMs: expect.any(Number) } });
    expect((result as { evidence: { seenUnopenedAtMs: number } }).evidence.seenUnopenedAtMs).toBeGreaterThanOrEqual(startedAtMs);
    expect((await open(minted)).status).toBe(400);
    expect((await open(control.minted)).status).toBe(200);
  });

  it('opened is disclosed, and never called revoked, however often it is asked', async () => {
    const provider = await ready();
    const { intent, minted } = await mint(provider);
    expect((await open(minted)).status).toBe(200);
    // Control: the target answers the revocation of an opened wrap with success, once it is cleaned away.
    await until(async () => (await lookUp(minted.handle['wrap_accessor'])).status === 400);
    expect((await callAs(openbao.rootToken, 'POST', 'auth/token/revoke-accessor', { accessor: minted.handle['wrap_accessor'] })).status).toBe(200);
    for (let round = 0; round < 3; round += 1) {
      expect(await revoke(provider, { intent, handle: minted.handle })).toEqual([{ leaseId: intent.id, outcome: 'disclosed' }]);
    }
    expect(await listed(provider)).toEqual([]);
  });

  it('that ended unseen counts as disclosed: nobody can say that it was not opened', async () => {
    const provider = await ready(ALL, { target_margin_seconds: 1 });
    const { intent, minted } = await mint(provider, 'key', 1);
    await until(async () => !(await isUnopened(minted)), { timeoutMs: 10_000 });
    expect(await revoke(provider, { intent, handle: minted.handle })).toEqual([{ leaseId: intent.id, outcome: 'disclosed' }]);
  });

  it('ends by the clock of the target although Mayfly never comes back', async () => {
    const provider = await ready(ALL, { target_margin_seconds: 1 });
    const { intent, minted } = await mint(provider, 'key', 1);
    expect(minted.targetExpiresAtMs).toBeGreaterThanOrEqual(intent.dueAtMs);
    expect(minted.targetExpiresAtMs).toBeLessThanOrEqual(addSeconds(intent.dueAtMs, 5));
    expect(minted.lapsesAtMs).toBeNull();
    await until(async () => !(await isUnopened(minted)), { timeoutMs: 10_000 });
    expect((await open(minted)).status).toBe(400);
  });

  it('is found and ended by its lease alone, opened or not', async () => {
    const provider = await ready();
    const [unopened, opened] = await Promise.all([mint(provider), mint(provider)]);
    expect((await open(opened.minted)).status).toBe(200);
    expect(await revoke(provider, { intent: unopened.intent, handle: null })).toMatchObject([{ leaseId: unopened.intent.id, outcome: 'revoked' }]);
    expect(await revoke(provider, { intent: opened.intent, handle: null })).toMatchObject([{ leaseId: opened.intent.id, outcome: 'disclosed' }]);
    expect((await open(unopened.minted)).status).toBe(400);
  });

  it('whose record was lost is listed with all that is needed to end it', async () => {
    const provider = await ready();
    const { intent, minted } = await mint(provider);
    const found = at(await listed(provider), 0);
    expect(found).toMatchObject({ leaseId: intent.id, handle: minted.handle });
    const unknown = { ...intent, credential: 'unknown', kind: 'vault.token', revocability: 'exact', dueAtMs: epochMsFrom(intent.createdAtMs) } as const;
    expect(await revoke(provider, { intent: unknown, handle: found.handle })).toMatchObject([{ outcome: 'revoked' }]);
    expect((await open(minted)).status).toBe(400);
    expect(await listed(provider)).toEqual([]);
  });

  it('is not called gone because another server does not know it', async () => {
    const provider = await ready();
    const { intent, minted } = await mint(provider);
    expect(await revoke(provider, { intent, handle: { ...minted.handle, cluster_id: 'another' } })).toMatchObject([{ outcome: 'failed', error: { failure: 'refused' } }]);
    expect((await open(minted)).status).toBe(200);
  });

  it('is left to a worker, which looks first, by a process that only mints', async () => {
    const provider = await ready({ mint: true, revoke: false, list: false });
    const { intent, minted } = await mint(provider);
    expect(await revoke(provider, { intent, handle: minted.handle })).toMatchObject([{ outcome: 'failed', error: { failure: 'unavailable' } }]);
    expect(await isUnopened(minted)).toBe(true);
    await bao('POST', 'auth/token/revoke-accessor', { accessor: minted.handle['wrap_accessor'] });
  });

  it('leaves its wrapping token nowhere but in the hand-over', async () => {
    const provider = await ready();
    const { intent, minted } = await mint(provider);
    const kept = JSON.stringify([minted, await listed(provider), await lookUp(minted.handle['accessor']), await lookUp(minted.handle['wrap_accessor'])]) + inspect(minted, { depth: 9 });
    expect(kept).not.toContain(tokenOf(minted));
    expect(kept + tokenOf(minted)).toContain(tokenOf(minted));
    await revoke(provider, { intent, handle: minted.handle });
  });

  it('takes nobody with it: its tokens are used up or unused, and both are gone in the end', async () => {
    const provider = await ready();
    const { intent, minted } = await mint(provider);
    expect(await lookUp(minted.handle['accessor'])).toMatchObject({ data: { num_uses: 1, orphan: true, policies: ['mayfly-payments-api-key'], meta: { mayfly_lease: intent.id } } });
    expect(await listed(provider)).toHaveLength(1);
    await revoke(provider, { intent, handle: minted.handle });
    expect((await lookUp(minted.handle['accessor'])).status).toBe(400);
    expect((await lookUp(minted.handle['wrap_accessor'])).status).toBe(400);
  });
});

describe('a mint that breaks off after the secret was wrapped', () => {
  const CREATE = '/v1/auth/token/create/mayfly-payments-api-key';
  const READ = '/v1/kv/data/payments/api-key';

  /** A mint through a network that does so to the creation of the token that stands for the wrap. */
  async function brokenMint(fate: Fate, undoing: Fate = 'pass') {
    const meddle = ({ path, before }: Passing): Fate => (path === CREATE && before === 1 ? fate : path === '/v1/auth/token/revoke-accessor' && before === 0 ? undoing : 'pass');
    const proxy = await startMeddlingProxy(openbao.address, meddle);
    ends.push(() => proxy.stop());
    const minter = await ready({ mint: true, revoke: false, list: false }, { address: proxy.address });
    const intent = intentFor({ provider: minter, credential: 'key' });
    const error: unknown = await minter.mint(intent, NEVER).catch((cause: unknown) => cause);
    const provider = await ready(ALL, {}, true);
    const { wrap_info: wrap } = JSON.parse(at(proxy.answersTo('GET', READ), 0)) as { wrap_info: { token: string; accessor: string } };
    const opens = async (): Promise<boolean> => (await callAs(wrap.token, 'POST', 'sys/wrapping/unwrap', {})).status === 200;
    return { provider, intent, error, opens };
  }

  it('for certain has its wrap revoked, and leaves nothing', async () => {
    const { provider, error, opens } = await brokenMint({ status: 403 });
    expect(error).toMatchObject({ failure: 'refused', mayHaveMinted: false });
    expect(await opens()).toBe(false);
    expect(await listed(provider)).toEqual([]);
  });

  it('without an answer is found by its lease, and revoked as what nobody opened', async () => {
    const { provider, intent, error, opens } = await brokenMint('swallow_answer');
    expect(error).toMatchObject({ failure: 'unavailable', mayHaveMinted: true });
    expect(await listed(provider)).toMatchObject([{ leaseId: intent.id }]);
    expect(await revoke(provider, { intent, handle: null })).toMatchObject([{ outcome: 'revoked' }]);
    expect(await opens()).toBe(false);
    expect(await listed(provider)).toEqual([]);
  });

  it('and cannot be undone either lapses with its wrap, which nobody holds (control: it would open)', async () => {
    const { provider, intent, error, opens } = await brokenMint({ status: 403 }, { status: 503 });
    expect(error).toMatchObject({ mayHaveMinted: true });
    expect(await revoke(provider, { intent, handle: null })).toEqual([{ leaseId: intent.id, outcome: 'lapses', atMs: addSeconds(intent.dueAtMs, 6) }]);
    expect(await opens()).toBe(true);
  });
});

describe('a revocation whose answer is lost', () => {
  it('is tried again, and then says disclosed: that nobody opened it can no longer be shown', async () => {
    const meddle = ({ path, before }: Passing): Fate => (path === '/v1/auth/token/revoke-accessor' && before === 0 ? 'swallow_answer' : 'pass');
    const proxy = await startMeddlingProxy(openbao.address, meddle);
    ends.push(() => proxy.stop());
    const provider = await ready(ALL, { address: proxy.address });
    const { intent, minted } = await mint(provider);
    const order = { intent, handle: minted.handle };
    expect(await revoke(provider, order)).toMatchObject([{ outcome: 'failed', error: { failure: 'unavailable' } }]);
    expect(await revoke(provider, order)).toEqual([{ leaseId: intent.id, outcome: 'disclosed' }]);
    expect((await open(minted)).status).toBe(400);
  });
});

describe('an opening just before a revocation', () => {
  it('is never called revoked, once the holder has the secret', async () => {
    const provider = await ready();
    const outcomes = new Set<string>();
    for (let round = 0; round < 40; round += 1) {
      const { intent, minted } = await mint(provider);
      // At the target the wrapping token is cleaned away a moment after the answer.
      expect((await open(minted)).status).toBe(200);
      for (const result of await revoke(provider, { intent, handle: minted.handle })) outcomes.add(result.outcome);
    }
    expect([...outcomes]).toEqual(['disclosed']);
  }, 60_000);

  it('under way at the same time ends in one of the two, however it falls', async () => {
    const provider = await ready();
    for (let round = 0; round < 40; round += 1) {
      const { intent, minted } = await mint(provider);
      const opening = open(minted);
      const order = { intent, handle: minted.handle };
      const outcome = async (): Promise<string> => at(await revoke(provider, order), 0).outcome;
      const first = await outcome();
      const { status } = await opening;
      expect(['revoked', 'disclosed']).toContain(first === 'failed' ? await outcome() : first);
      // What was not handed to the holder then is not handed out later.
      if (status !== 200) expect((await open(minted)).status).not.toBe(200);
    }
  }, 60_000);
});

describe('the rights to a static secret', () => {
  it('are to read it wrapped, and not otherwise: not plain, not for long, not beside it', async () => {
    const reader = async (): Promise<string> => {
      const answer = await fetch(`${openbao.address}/v1/auth/token/create/mayfly-payments-api-key`, { method: 'POST', headers: { 'X-Vault-Token': openbao.rootToken }, body: JSON.stringify({ ttl: '60s', no_default_policy: true }) });
      return ((await answer.json()) as { auth: { client_token: string } }).auth.client_token;
    };
    const status = async (path: string, wrap?: string): Promise<number> =>
      (await fetch(`${openbao.address}/v1/${path}`, { headers: { 'X-Vault-Token': await reader(), ...(wrap === undefined ? {} : { 'X-Vault-Wrap-TTL': wrap }) } })).status;
    expect(await status('kv/data/payments/api-key', '660s')).toBe(200);
    expect(await status('kv/data/payments/api-key')).toBe(403);
    expect(await status('kv/data/payments/api-key', '661s')).toBe(403);
    expect(await status('kv/data/orders/shipping', '60s')).toBe(403);
    expect(await status('kv/metadata/payments/api-key', '60s')).toBe(403);
  });

  it.each(BROKER_RIGHTS)('are not those of the %s login itself', async (right) => {
    const files = config.login[right];
    if (files.method !== 'approle') throw new Error('not an AppRole');
    const { readFile } = await import('node:fs/promises');
    const [role_id, secret_id] = await Promise.all([readFile(files.role_id_file, 'utf8'), readFile(files.secret_id_file, 'utf8')]);
    const answer = await fetch(`${openbao.address}/v1/auth/approle/login`, { method: 'POST', body: JSON.stringify({ role_id, secret_id }) });
    const { auth } = (await answer.json()) as { auth: { client_token: string } };
    const read = await fetch(`${openbao.address}/v1/kv/data/payments/api-key`, { headers: { 'X-Vault-Token': auth.client_token, 'X-Vault-Wrap-TTL': '60s' } });
    expect(read.status).toBe(403);
  });
});
