import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { startOpenBao, type OpenBaoServer } from '../../../dev/openbao-server.ts';
import { rootClient, seedOpenBao, type RootClient } from '../../../dev/seed-openbao.ts';
import type { VaultLoginConfig } from '../../../src/config/config-schema.ts';
import { systemClock } from '../../../src/core/clock.ts';
import * as answers from '../../../src/providers/vault/vault-answers.ts';
import { VaultClient } from '../../../src/providers/vault/vault-client.ts';
import { VaultLogin, LOOKUP_SELF_PATH, type JwtSvidSource } from '../../../src/providers/vault/vault-login.ts';
import { selfSignedCertificate } from '../../support/self-signed-certificate.ts';
import { serviceAccountClaims, startTokenReviewServer, type TokenReviewServer } from '../../support/token-review-server.ts';
import { until } from '../../support/until.ts';
import { startWorkloadApi } from '../../support/workload-api-server.ts';
import { createWorkloadApi } from '../../../src/identity/workload-api/workload-api.ts';

const ISSUER = 'https://cluster.test';
const AUDIENCE = 'openbao';
const REVIEWER = 'the-token-openbao-reviews-with';
const ACCOUNT = 'mayfly:broker';

let directory: string;
let openbao: OpenBaoServer;
let bao: RootClient;
let kubernetes: TokenReviewServer;
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const strangers = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ends: (() => unknown)[] = [];
let files = 0;
let serial = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-logins-'));
  [openbao, kubernetes] = await Promise.all([startOpenBao({ directory }), startTokenReviewServer(REVIEWER)]);
  bao = rootClient(openbao);
  await seedOpenBao({ address: openbao.address, rootToken: openbao.rootToken, postgres: null, directory: join(directory, 'logins') });
  const rights = { token_policies: ['mayfly-worker'], token_no_default_policy: true, token_ttl: 1_200 };

  await bao('POST', 'sys/auth/jwt', { type: 'jwt' });
  await bao('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [keys.publicKey.export({ type: 'spki', format: 'pem' })], bound_issuer: ISSUER });
  await bao('POST', 'auth/jwt/role/mayfly-worker', { role_type: 'jwt', user_claim: 'sub', bound_audiences: [AUDIENCE], bound_subject: `system:serviceaccount:${ACCOUNT}`, ...rights });

  await bao('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  await bao('POST', 'auth/kubernetes/config', {
    kubernetes_host: kubernetes.url,
    kubernetes_ca_cert: selfSignedCertificate('kubernetes.test', keys),
    token_reviewer_jwt: REVIEWER,
    disable_local_ca_jwt: true,
  });
  const [namespace, name] = ACCOUNT.split(':');
  await bao('POST', 'auth/kubernetes/role/mayfly-worker', { bound_service_account_names: [name], bound_service_account_namespaces: [namespace], ...rights });
}, 60_000);

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

afterAll(async () => {
  await Promise.all([openbao.stop(), kubernetes.stop()]);
  await rm(directory, { recursive: true, force: true });
}, 20_000);

interface Minted {
  readonly account?: string;
  readonly audience?: string;
  readonly key?: KeyObject;
  readonly lifetimeSeconds?: number;
}

async function workloadToken({ account = ACCOUNT, audience = AUDIENCE, key = keys.privateKey, lifetimeSeconds = 600 }: Minted = {}): Promise<string> {
  serial += 1;
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ ...serviceAccountClaims(account), jti: `token-${serial}` })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    // A list, as the kubelet writes it: the kubernetes method takes nothing else.
    .setAudience([audience])
    .setIssuedAt(now - 1_200)
    .setNotBefore(now - 1_200)
    .setExpirationTime(now + lifetimeSeconds)
    .sign(key);
}

/** A token as its platform vouches for it; both platforms know the same ones. */
async function genuineToken(): Promise<string> {
  const token = await workloadToken();
  kubernetes.genuine.set(token, ACCOUNT);
  return token;
}

async function fileWith(token: string): Promise<string> {
  files += 1;
  const file = join(directory, `token-${files}`);
  await writeFile(file, `${token}\n`, { mode: 0o600 });
  return file;
}

function logIn(config: VaultLoginConfig, jwtSvid?: JwtSvidSource): VaultLogin {
  const client = new VaultClient({ address: openbao.address, timeoutMs: 2_000 });
  const login = new VaultLogin({ provider: 'vault-main', right: 'worker', config, client, clock: systemClock, jwtSvid });
  ends.push(() => login.close(), () => client.close());
  return login;
}

const standing = async (login: VaultLogin): Promise<string> =>
  (await login.call({ method: 'GET', path: LOOKUP_SELF_PATH, answer: answers.ownToken, signal: AbortSignal.timeout(5_000) })).data.accessor;

interface Method {
  readonly name: string;
  readonly fileKey: string;
  readonly configOf: (file: string, role?: string) => VaultLoginConfig;
}

const METHODS: readonly Method[] = [
  { name: 'jwt', fileKey: 'jwt_file', configOf: (file, role = 'mayfly-worker') => ({ method: 'jwt', mount: 'jwt', role, jwt_file: file }) },
  { name: 'kubernetes', fileKey: 'token_file', configOf: (file, role = 'mayfly-worker') => ({ method: 'kubernetes', mount: 'kubernetes', role, token_file: file }) },
];

describe.each(METHODS)('a login by $name', ({ name, fileKey, configOf }) => {
  it('stands on the policy of its role, and no other', async () => {
    const found = await bao('POST', 'auth/token/lookup-accessor', { accessor: await standing(logIn(configOf(await fileWith(await genuineToken())))) });
    expect(found).toMatchObject({ policies: ['mayfly-worker'], path: `auth/${name}/login` });
  });

  it('reads its file again at every login, so that a rotated token is taken up', async () => {
    const file = await fileWith(await genuineToken());
    const login = logIn(configOf(file));
    const first = await standing(login);
    kubernetes.genuine.clear();
    await writeFile(file, await genuineToken());
    await bao('POST', 'auth/token/revoke-accessor', { accessor: first });
    expect(await standing(login)).not.toBe(first);
  });

  it('fails without that: the token it began with is no longer good (control)', async () => {
    const file = await fileWith(await genuineToken());
    const login = logIn(configOf(file));
    const first = await standing(login);
    kubernetes.genuine.clear();
    await writeFile(file, await workloadToken({ lifetimeSeconds: -600 }));
    await bao('POST', 'auth/token/revoke-accessor', { accessor: first });
    await expect(standing(login)).rejects.toMatchObject({ name: 'ProviderError', failure: 'unavailable' });
  });

  it('is renewed before it ends, without another look at the file', async () => {
    await bao('POST', `auth/${name}/role/mayfly-worker`, { ...(await bao('GET', `auth/${name}/role/mayfly-worker`)), token_ttl: 2, token_max_ttl: 60 });
    const file = await fileWith(await genuineToken());
    const login = logIn(configOf(file));
    const first = await standing(login);
    await rm(file);
    const startedMs = performance.now();
    await until(async () => {
      expect(await standing(login)).toBe(first);
      return performance.now() - startedMs > 4_000;
    }, { timeoutMs: 10_000 });
    await bao('POST', `auth/${name}/role/mayfly-worker`, { ...(await bao('GET', `auth/${name}/role/mayfly-worker`)), token_ttl: 1_200, token_max_ttl: 0 });
  });

  it.each([
    ['of another workload', async () => {
      const token = await workloadToken({ account: 'mayfly:stranger' });
      kubernetes.genuine.set(token, 'mayfly:stranger');
      return token;
    }],
    ['that its platform does not vouch for', () => workloadToken({ key: strangers.privateKey })],
    ['that has expired', () => workloadToken({ lifetimeSeconds: -600 })],
    ['that is no token', () => Promise.resolve('not-a-token-at-all')],
  ] as const)('is refused for a token %s, says so at once, and prints nothing of it', async (_, mint) => {
    const token = await mint();
    const login = logIn(configOf(await fileWith(token)));
    const error: unknown = await standing(login).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ name: 'ProviderError', provider: 'vault-main', failure: 'unavailable', message: expect.stringMatching(/^not logged in for worker: the target answered (400|403|500)$/) });
    expect(inspect([error, login], { depth: 12, showHidden: true }) + JSON.stringify(error)).not.toContain(token);
    const askedMs = performance.now();
    await expect(standing(login)).rejects.toMatchObject({ name: 'ProviderError' });
    expect(performance.now() - askedMs).toBeLessThan(1_000);
  });

  it('is refused for a role that is not there', async () => {
    await expect(standing(logIn(configOf(await fileWith(await genuineToken()), 'no-such-role')))).rejects.toMatchObject({ name: 'ProviderError' });
  });

  it('says which file is missing, and comes up by itself when it appears', async () => {
    const late = join(directory, `late-${name}`);
    const login = logIn(configOf(late));
    await expect(standing(login)).rejects.toThrow(`its ${fileKey} cannot be read (ENOENT)`);
    await writeFile(late, await genuineToken(), { mode: 0o600 });
    await until(() => standing(login).then(() => true, () => false));
  });
});

describe('a login by kubernetes', () => {
  it('is judged by the cluster itself: OpenBao asks it for a review', async () => {
    const before = kubernetes.reviews();
    await standing(logIn({ method: 'kubernetes', mount: 'kubernetes', role: 'mayfly-worker', token_file: await fileWith(await genuineToken()) }));
    expect(kubernetes.reviews()).toBe(before + 1);
  });
});

describe('a login by jwt', () => {
  it('is refused for a token of another audience', async () => {
    const file = await fileWith(await workloadToken({ audience: 'somebody-else' }));
    await expect(standing(logIn({ method: 'jwt', mount: 'jwt', role: 'mayfly-worker', jwt_file: file }))).rejects.toMatchObject({ name: 'ProviderError' });
  });
});

describe("a login by the broker's own JWT-SVID", () => {
  const ID = 'spiffe://example.org/mayfly';
  const svid = (audience: readonly string[], by = keys.privateKey): Promise<string> =>
    new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).setSubject(ID).setAudience([...audience]).setIssuedAt().setExpirationTime('5m').sign(by);
  const config: VaultLoginConfig = { method: 'jwt_svid', mount: 'spiffe', role: 'mayfly', audience: AUDIENCE };

  beforeAll(async () => {
    await bao('POST', 'sys/auth/spiffe', { type: 'jwt' });
    await bao('POST', 'auth/spiffe/config', { jwt_validation_pubkeys: [keys.publicKey.export({ type: 'spki', format: 'pem' })] });
    await bao('POST', 'auth/spiffe/role/mayfly', { role_type: 'jwt', user_claim: 'sub', bound_audiences: [AUDIENCE], bound_subject: ID, token_policies: ['mayfly-worker'], token_no_default_policy: true, token_ttl: 1_200 });
  });

  it('takes one from the Workload API for each login, so that nothing is kept in a file', async () => {
    const agent = await startWorkloadApi(join(directory, 'agent.sock'), { jwtSvid: svid });
    const api = createWorkloadApi({ socket: agent.socket, clock: systemClock, log: { warn: () => undefined } });
    ends.push(() => api.close(), () => agent.stop());
    const login = logIn(config, api.jwtSvid);
    const accessor = await standing(login);
    expect(await bao('POST', 'auth/token/lookup-accessor', { accessor })).toMatchObject({ policies: ['mayfly-worker'], path: 'auth/spiffe/login', display_name: `spiffe-${ID}` });
    await bao('POST', 'auth/token/revoke-accessor', { accessor });
    expect(await standing(login)).not.toBe(accessor);
  });

  it('fails with one of another authority, or for another audience (control), and without a Workload API', async () => {
    const agent = await startWorkloadApi(join(directory, 'stranger.sock'), { jwtSvid: (audience) => svid(audience, strangers.privateKey) });
    const api = createWorkloadApi({ socket: agent.socket, clock: systemClock, log: { warn: () => undefined } });
    ends.push(() => api.close(), () => agent.stop());
    const unavailable = expect.objectContaining({ name: 'ProviderError', failure: 'unavailable' });
    await expect(standing(logIn(config, api.jwtSvid))).rejects.toEqual(unavailable);
    agent.give({ jwtSvid: svid });
    await expect(standing(logIn({ ...config, audience: 'else' }, api.jwtSvid))).rejects.toEqual(unavailable);
    await expect(standing(logIn(config))).rejects.toEqual(unavailable);
  });
});
