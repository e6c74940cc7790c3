import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { Config } from '../../src/config/config-schema.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { Finding } from '../../src/doctor/check.ts';
import { examine, refusals } from '../../src/doctor/doctor.ts';
import { judgeLogin, judgeTokenRole } from '../../src/doctor/vault-check.ts';
import { judgeRedis } from '../../src/doctor/redis-check.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { at } from '../support/at.ts';

const run = promisify(execFile);
const LAUNCHER = join(import.meta.dirname, '../../bin/mayfly.js');
let broker: RunningBroker;
let config: Config;
let redis: Redis;

beforeAll(async () => {
  broker = await RunningBroker.start({}, [], { aws: true });
  config = loadConfig({ path: broker.stack.configFile, env: {}, checkFiles: true });
  redis = new Redis(broker.stack.redis.url);
}, 60_000);

afterAll(async () => {
  redis.disconnect();
  await broker.stop();
}, 30_000);

const vaultToken = (): string => broker.stack.openbao?.rootToken ?? '';
const examined = (changed: Partial<Config> = {}, only: readonly string[] = []): Promise<Finding[]> => examine({ ...config, ...changed }, { vaultToken: vaultToken(), only });
const named = (findings: readonly Finding[], check: string): Finding => at(findings.filter((one) => one.check === check), 0);

describe('a healthy stack', () => {
  it('has no failure, and every area was looked at (control)', async () => {
    const findings = await examined();
    expect(findings.filter(({ standing }) => standing === 'failure')).toEqual([]);
    expect([...new Set(findings.map(({ check }) => check.split('.')[0]))].sort()).toEqual(['agents', 'audit', 'aws', 'issuer', 'keys', 'policy', 'ports', 'redis', 'sign_in', 'tls', 'trust_domain', 'vault']);
    expect(named(findings, 'trust_domain').found).toBe('example.org: 1 JWT and 1 X.509 authorities');
    expect(named(findings, 'tls.certificate')).toMatchObject({ standing: 'ok', found: expect.stringContaining('valid until') });
    expect(findings.filter(({ check, standing }) => check === 'vault.token_role' && standing === 'ok')).toHaveLength(3);
    expect(named(findings, 'aws.role').found).toBe('mayfly-reports-reader: has a permissions boundary, sessions of 3600 s at most, session tags, source identity');
    expect(named(findings, 'ports.http').found).toContain('a broker answers');
  });

  it('says what it could not look at without a Vault token of a person', async () => {
    const findings = await examine(config, { only: ['vault'] });
    expect(named(findings, 'vault.token_role')).toMatchObject({ standing: 'skipped', fix: expect.stringContaining('VAULT_TOKEN') });
  });
});

describe('a fault is found, with what mends it', () => {
  it('in how people sign in', async () => {
    const { operators, http } = config;
    const { sign_in: signIn } = operators;
    if (signIn === undefined) throw new Error('nobody signs in to the stack');
    const signInFindings = (changed: Partial<Config> = {}): Promise<Finding[]> => examined(changed, ['sign_in']);
    // Control: the stack as it is; the development issuer does not list its claims.
    expect((await signInFindings()).map(({ check, standing }) => [check, standing])).toEqual([['sign_in.issuer', 'ok'], ['sign_in.client', 'ok'], ['sign_in.redirect', 'ok'], ['sign_in.roles', 'skipped']]);
    const otherSecret = { ...operators, sign_in: { ...signIn, client_secret_file: config.keys.ledger_seal_file } };
    expect(named(await signInFindings({ operators: otherSecret }), 'sign_in.client')).toMatchObject({ standing: 'failure', fix: expect.stringContaining('client_secret_file') as unknown });
    expect(named(await signInFindings({ http: { ...http, public_url: 'https://elsewhere.example.org' } }), 'sign_in.redirect')).toMatchObject({ standing: 'failure', found: expect.stringContaining('https://elsewhere.example.org/auth/callback') as unknown });
    expect(await signInFindings({ operators: { ...operators, issuer: 'http://127.0.0.1:1' } })).toMatchObject([{ check: 'sign_in.issuer', standing: 'failure', fix: expect.stringContaining('operators.issuer') as unknown }]);
  });

  it('in a role of AWS, or a login there', async () => {
    const { credentials, providers } = config;
    const found = async (changed: Partial<Config>): Promise<string[]> => (await examined(changed, ['aws'])).filter(({ standing }) => standing === 'failure').map((one) => one.found);
    const bucket = credentials['reports-bucket'];
    const provider = providers['aws-main'];
    if (bucket?.kind !== 'aws.sts' || provider?.type !== 'aws-sts') throw new Error('the stack has no AWS');
    expect(await found({ credentials: { 'reports-bucket': { ...bucket, role_arns: ['arn:aws:iam::000000000000:role/nobody'] } } })).toEqual([expect.stringContaining('reading the role nobody')]);
    expect(await found({ credentials: { 'reports-bucket': { ...bucket, max_ttl_seconds: 7_200 } } })).toEqual([expect.stringContaining('at most 3600 s, and 7200 s may be asked for')]);
    const login = { method: 'credentials_file' as const, credentials_file: config.keys.ledger_seal_file, profile: 'default' };
    expect(await found({ providers: { 'aws-main': { ...provider, login: { ...provider.login, worker: login } } } })).toEqual([expect.stringContaining('logging in')]);
  });

  it('in the settings of Redis', async () => {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    await redis.config('SET', 'appendonly', 'no');
    try {
      const findings = await examined({}, ['redis']);
      expect(named(findings, 'redis.eviction')).toMatchObject({ standing: 'warning', fix: expect.stringContaining('noeviction') });
      expect(named(findings, 'redis.persistence')).toMatchObject({ fix: expect.stringContaining('appendonly yes') });
      const production = { ...config, environment: 'production' } as const;
      expect((await refusals(production)).map(({ check }) => check)).toEqual(expect.arrayContaining(['redis.eviction', 'redis.persistence']));
      const accepted = { ...production, redis: { ...config.redis, accept_unsafe_settings: true } };
      expect((await refusals(accepted)).filter(({ check }) => check.startsWith('redis'))).toEqual([]);
    } finally {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
      await redis.config('SET', 'appendonly', 'yes');
    }
  });

  it('in a token role: too long, too wide', async () => {
    const role = await broker.bao('GET', 'auth/token/roles/mayfly-orders-db');
    await broker.bao('POST', 'auth/token/roles/mayfly-orders-db', { ...role, token_explicit_max_ttl: 86_400, allowed_policies: ['credential-orders-db', 'mayfly-worker'] });
    try {
      const faults = (await examined({}, ['vault'])).filter(({ standing }) => standing === 'failure').map(({ found }) => found);
      expect(faults).toEqual([expect.stringContaining('may live 86400 s'), expect.stringContaining('it allows mayfly-worker')]);
    } finally {
      await broker.bao('POST', 'auth/token/roles/mayfly-orders-db', role);
    }
  });

  it('in the rights of a login', async () => {
    const policy = await broker.bao('GET', 'sys/policies/acl/mayfly-worker');
    await broker.bao('PUT', 'sys/policies/acl/mayfly-worker', { policy: `${String(policy['policy'])}\npath "auth/token/create" { capabilities = ["update"] }\n` });
    try {
      expect(named(await examined({}, ['vault']), 'vault.login.worker')).toMatchObject({ standing: 'failure', found: expect.stringContaining('auth/token/create') });
    } finally {
      await broker.bao('PUT', 'sys/policies/acl/mayfly-worker', { policy: String(policy['policy']) });
    }
  });

  it('in a root token for a login, which production refuses', async () => {
    const file = join(broker.stack.directory, 'root-token');
    await writeFile(file, vaultToken(), { mode: 0o600 });
    const provider = config.providers['vault-main'];
    if (provider?.type !== 'vault') throw new Error('there is no vault');
    const rooted: Config = { ...config, environment: 'production', providers: { 'vault-main': { ...provider, login: { ...provider.login, worker: { method: 'token_file', file } } } } };
    expect((await refusals(rooted)).map(({ check }) => check)).toContain('vault.login.worker');
    expect((await refusals({ ...config, environment: 'production' })).filter(({ check }) => check.startsWith('vault'))).toEqual([]);
  });

  it('in a database role that lets logins live beyond the ceiling', async () => {
    const short = { ...config, limits: { ...config.limits, max_ttl_seconds: 600 } };
    expect(named((await examine(short, { vaultToken: vaultToken(), only: ['vault'] })).filter(({ standing }) => standing === 'failure'), 'vault.database_role')).toMatchObject({ fix: expect.stringContaining('max_ttl=600') });
  });

  it('in an issuer: another name, another algorithm, nobody there', async () => {
    const [issuer] = config.identity.issuers;
    if (issuer === undefined) throw new Error('there is no issuer');
    const other = async (change: object): Promise<Finding> => named(await examined({ identity: { ...config.identity, issuers: [{ ...issuer, ...change }] } }, ['issuer']), 'issuer.workloads');
    expect(await other({ issuer: `${issuer.issuer}/` })).toMatchObject({ standing: 'failure', found: expect.stringContaining('its document names') });
    expect(await other({ algorithms: ['RS256'] })).toMatchObject({ standing: 'failure', found: expect.stringContaining('none of its 1 keys') });
    expect(await other({ issuer: 'http://127.0.0.1:1' })).toMatchObject({ standing: 'failure' });
  });

  it('in a port that something else holds', async () => {
    const squatter = createServer((socket) => socket.end('no')).listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    const found = named(await examined({ http: { ...config.http, port } }, ['ports']), 'ports.http');
    squatter.close();
    expect(found).toMatchObject({ standing: 'failure', found: expect.stringContaining('no broker') });
  });

  it('in the audit file, the keys and the policies', async () => {
    const file = join(broker.stack.directory, 'changed.jsonl');
    const [first = ''] = (await readFile(broker.stack.auditFile, 'utf8')).split('\n');
    await writeFile(file, `${first.replace('"seq":1', '"seq":2')}\n`);
    expect(named(await examined({ audit: { ...config.audit, file } }, ['audit']), 'audit.chain').standing).toBe('failure');
    expect(named(await examined({ keys: { ...config.keys, checkpoint_key_files: [file] } }, ['keys']), 'keys.checkpoints').standing).toBe('failure');
    expect(named(await examined({ policy: { ...config.policy, directory: broker.stack.directory } }, ['policy']), 'policy').standing).toBe('failure');
  });

  it('in a Redis and a Vault that are not there, and the rest is looked at all the same', async () => {
    const provider = config.providers['vault-main'];
    if (provider?.type !== 'vault') throw new Error('there is no vault');
    const findings = await examined({ redis: { ...config.redis, url: 'redis://127.0.0.1:1', url_file: undefined }, providers: { ...config.providers, 'vault-main': { ...provider, address: 'http://127.0.0.1:1' } } });
    expect([named(findings, 'redis.reachable').standing, named(findings, 'vault.reachable').standing, named(findings, 'policy').standing]).toEqual(['failure', 'failure', expect.not.stringMatching('failure')]);
  });
});

describe('judging', () => {
  const facts = { version: '7.0.15', evictionPolicy: 'noeviction', appendOnly: true, appendFsync: 'always', replicas: 0, user: 'mayfly-api', skewMs: 3 };
  const judged = (change: Partial<typeof facts> | { evictionPolicy: null; appendOnly: null }, minReplicas = 0) =>
    judgeRedis({ ...facts, ...change }, { environment: 'production', redis: { accept_unsafe_settings: false, min_replica_acks: minReplicas } }).filter(({ standing }) => standing !== 'ok').map(({ check, standing }) => [check, standing]);

  it.each([
    [{}, 0, []],
    [{ version: '6.2.1' }, 0, [['redis.version', 'failure']]],
    [{ evictionPolicy: 'allkeys-lru' }, 0, [['redis.eviction', 'failure']]],
    [{ appendFsync: 'everysec' }, 0, [['redis.persistence', 'warning']]],
    [{ evictionPolicy: null, appendOnly: null }, 0, [['redis.eviction', 'skipped'], ['redis.persistence', 'skipped']]],
    [{}, 1, [['redis.replicas', 'failure']]],
    [{ user: 'default' }, 0, [['redis.user', 'warning']]],
    [{ skewMs: 2_000 }, 0, [['redis.clock', 'warning']]],
    [{ skewMs: -6_000 }, 0, [['redis.clock', 'failure']]],
  ] as const)('a Redis with %j', (change, minReplicas, expected) => {
    expect(judged(change, minReplicas)).toEqual(expected);
  });

  it('a token role and a login', () => {
    const good = { orphan: true, token_no_default_policy: true, token_explicit_max_ttl: 600, allowed_policies: ['p'] };
    expect(judgeTokenRole('r', good, 600).map(({ standing }) => standing)).toEqual(['ok']);
    expect(judgeTokenRole('r', { ...good, orphan: false, token_explicit_max_ttl: 0, allowed_policies: [], allowed_policies_glob: ['*'] }, 600)).toHaveLength(4);
    expect(judgeLogin('api', ['root'], []).at(0)?.standing).toBe('failure');
    expect(judgeLogin('api', ['mayfly-api', 'default'], []).at(0)?.standing).toBe('warning');
  });
});

describe('mayfly doctor', () => {
  it('prints a line for each, and how to mend it; --json for programs', async () => {
    const args = [LAUNCHER, 'doctor', '--config', broker.stack.configFile];
    const env = { PATH: process.env['PATH'] ?? '', VAULT_TOKEN: vaultToken() };
    const { stdout, stderr } = await run(process.execPath, args, { env });
    expect(stdout).toMatch(/^ok {7}redis\.reachable/m);
    expect(stderr).toMatch(/\d+ ok, \d+ warnings, 0 failures, \d+ skipped/);
    expect(stdout + stderr).not.toContain(vaultToken());
    const json = JSON.parse((await run(process.execPath, [...args, '--only', 'redis', '--json'], { env })).stdout) as { ok: boolean; findings: Finding[] };
    expect(json.findings.every(({ check }) => check.startsWith('redis.'))).toBe(true);
    expect(json.ok).toBe(true);
  });
});
