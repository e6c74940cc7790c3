import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startOpenBao, type OpenBaoServer } from '../../../dev/openbao-server.ts';
import { rootClient, seedOpenBao, type LoginFiles, type RootClient } from '../../../dev/seed-openbao.ts';
import type { VaultLoginConfig } from '../../../src/config/config-schema.ts';
import { systemClock } from '../../../src/core/clock.ts';
import * as answers from '../../../src/providers/vault/vault-answers.ts';
import { VaultClient } from '../../../src/providers/vault/vault-client.ts';
import { VaultLogin, LOOKUP_SELF_PATH } from '../../../src/providers/vault/vault-login.ts';
import { until } from '../../support/until.ts';

let directory: string;
let openbao: OpenBaoServer;
let files: LoginFiles;
let bao: RootClient;
const ends: (() => unknown)[] = [];
const signal = (): AbortSignal => AbortSignal.timeout(5_000);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-login-'));
  openbao = await startOpenBao({ directory });
  ({ worker: files } = await seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: null, directory: join(directory, 'logins') }));
  bao = rootClient(openbao);
}, 30_000);

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

afterAll(async () => {
  await openbao.stop();
  await rm(directory, { recursive: true, force: true });
}, 20_000);

const approle = (changes: Partial<LoginFiles> = {}): VaultLoginConfig => ({ method: 'approle', mount: 'approle', ...files, ...changes });

function logIn(config: VaultLoginConfig): VaultLogin {
  const client = new VaultClient({ address: openbao.address, timeoutMs: 1_000 });
  const login = new VaultLogin({ provider: 'vault-main', right: 'worker', config, client, clock: systemClock });
  ends.push(() => login.close(), () => client.close());
  return login;
}

/** The accessor of the token the session stands on. */
const standing = async (login: VaultLogin): Promise<string> =>
  (await login.call({ method: 'GET', path: LOOKUP_SELF_PATH, answer: answers.ownToken, signal: signal() })).data.accessor;
const endToken = (accessor: string): Promise<unknown> => bao('POST', 'auth/token/revoke-accessor', { accessor });

describe('a login at Vault', () => {
  it('by AppRole stands on the policy of its right, and no other', async () => {
    const found = await bao('POST', 'auth/token/lookup-accessor', { accessor: await standing(logIn(approle())) });
    expect(found['policies']).toEqual(['mayfly-worker']);
  });

  it('is made anew, unseen by the caller, when its token was revoked', async () => {
    const login = logIn(approle());
    const first = await standing(login);
    await endToken(first);
    const second = await standing(login);
    expect(second).not.toBe(first);
  });

  it('is made anew once for many calls that find its token dead together', async () => {
    const login = logIn(approle());
    await endToken(await standing(login));
    const found = await Promise.all(Array.from({ length: 10 }, () => standing(login)));
    expect(new Set(found).size).toBe(1);
  });

  it('is left alone by a refusal that is about rights', async () => {
    const login = logIn(approle());
    const first = await standing(login);
    const forbidden = login.call({ method: 'GET', path: 'kv/data/orders/shipping', answer: answers.nothing, signal: signal() });
    await expect(forbidden).rejects.toMatchObject({ name: 'VaultFailure', status: 403 });
    expect(await standing(login)).toBe(first);
  });

  it('is renewed before it ends, and made anew where renewing is worth little', async () => {
    await bao('POST', 'auth/approle/role/mayfly-worker', { token_ttl: 2, token_max_ttl: 4 });
    const login = logIn(approle());
    const first = await standing(login);
    const startedMs = performance.now();
    // Never a moment without a standing, over several lifetimes; the same token for more than its first lifetime.
    let keptMs = 0;
    await until(async () => {
      const now = await standing(login);
      if (now === first) keptMs = performance.now() - startedMs;
      return now !== first;
    }, { timeoutMs: 10_000 });
    expect(keptMs).toBeGreaterThan(2_000);
    await bao('POST', 'auth/approle/role/mayfly-worker', { token_ttl: 1_200, token_max_ttl: 0 });
  });

  it('says at once, and clearly, that its secret-id file is missing; the path is for the log alone', async () => {
    const missing = join(directory, 'nowhere', 'secret-id');
    const login = logIn(approle({ secret_id_file: missing }));
    const error: unknown = await standing(login).catch((cause: unknown) => cause);
    expect(error).toMatchObject({
      name: 'ProviderError',
      provider: 'vault-main',
      failure: 'unavailable',
      message: 'not logged in for worker: its secret_id_file cannot be read (ENOENT)',
    });
    expect(inspect(error, { depth: 9 })).toContain(missing);
    const askedMs = performance.now();
    await expect(standing(login)).rejects.toThrow('secret_id_file');
    expect(performance.now() - askedMs).toBeLessThan(100);
  });

  it('comes up by itself when its file appears', async () => {
    const late = join(directory, 'late-secret-id');
    const login = logIn(approle({ secret_id_file: late }));
    await expect(standing(login)).rejects.toThrow('secret_id_file');
    await writeFile(late, await readFile(files.secret_id_file, 'utf8'), { mode: 0o600 });
    await until(() => standing(login).then(() => true, () => false));
  });

  it('by token file takes up a new token when the old one has died', async () => {
    const file = join(directory, 'token');
    const newToken = async (): Promise<string> => {
      const answer = await fetch(`${openbao.address}/v1/auth/token/create`, { method: 'POST', headers: { 'X-Vault-Token': openbao.rootToken }, body: JSON.stringify({ policies: ['mayfly-worker'], no_default_policy: true, ttl: '5m' }) });
      return ((await answer.json()) as { auth: { client_token: string } }).auth.client_token;
    };
    await writeFile(file, `${await newToken()}\n`, { mode: 0o600 });
    const login = logIn({ method: 'token_file', file });
    const first = await standing(login);
    await writeFile(file, await newToken());
    await endToken(first);
    expect(await standing(login)).not.toBe(first);
  });

  it('holds neither its secret id nor its token in anything printed', async () => {
    const bad = join(directory, 'bad-secret-id');
    await writeFile(bad, 'a-secret-id-that-is-wrong');
    const login = logIn(approle({ secret_id_file: bad }));
    const error: unknown = await standing(login).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'ProviderError' });
    expect(inspect([error, login], { depth: 12, showHidden: true }) + JSON.stringify(error)).not.toContain('a-secret-id-that-is-wrong');
  });
});
