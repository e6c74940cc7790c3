import { CreateRoleCommand, GetRolePolicyCommand, IAMClient, ListRolePoliciesCommand, DeleteRolePolicyCommand, PutRolePolicyCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { startAwsEmulator, type AwsEmulator } from '../../../dev/aws-emulator.ts';
import { startRedis, type RedisServer } from '../../../dev/redis-server.ts';
import { CLOSED_BUCKET, seedAws, type SeededAws } from '../../../dev/seed-aws.ts';
import type { AwsStsCredentialConfig, AwsStsProviderConfig } from '../../../src/config/config-schema.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { Turns } from '../../../src/core/turns.ts';
import { createRedisTurns } from '../../../src/ledger/redis-turns.ts';
import { createAwsStsProvider, type AwsStsProvider } from '../../../src/providers/aws-sts/aws-sts-provider.ts';
import type { Minted, RevocationResult } from '../../../src/providers/credential-provider.ts';
import { describeProviderContract, intentFor, revoke } from '../../contracts/provider-contract.ts';
import { at } from '../../support/at.ts';
import { until } from '../../support/until.ts';

let directory: string;
let aws: AwsEmulator;
let seeded: SeededAws;
let redisServer: RedisServer;
let redis: Redis;
let turns: Turns;
let root: IAMClient;
const NEVER = new AbortController().signal;
const OBJECT = 'october/refunds.csv';
const ROLE = 'mayfly-reports-reader';
const POLICY = 'mayfly-test';

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-aws-'));
  [aws, redisServer] = await Promise.all([startAwsEmulator({ directory }), startRedis({ directory })]);
  seeded = await seedAws(aws, join(directory, 'logins'));
  redis = new Redis(redisServer.url);
  turns = createRedisTurns(redis);
  root = new IAMClient({ endpoint: aws.endpoint, region: aws.region, credentials: aws.root });
  const anyRole = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['sts:AssumeRole', 'sts:TagSession', 'iam:GetRole'], Resource: '*' }] };
  await root.send(new PutUserPolicyCommand({ UserName: 'mayfly-api', PolicyName: 'any-role', PolicyDocument: JSON.stringify(anyRole) }));
}, 60_000);

afterAll(async () => {
  root.destroy();
  redis.disconnect();
  await Promise.all([aws.stop(), redisServer.stop()]);
  await rm(directory, { recursive: true, force: true });
}, 30_000);

function credentialOf(roles: readonly string[] = seeded.roleArns): AwsStsCredentialConfig {
  const resources = [`arn:aws:s3:::${seeded.bucket}`, `arn:aws:s3:::${seeded.bucket}/*`];
  return {
    ...{ kind: 'aws.sts', provider: 'aws', owner: 'o', params: {}, role_arns: [...roles] },
    session_policy: [{ for_actions: ['read'], actions: ['s3:GetObject', 's3:ListBucket', 's3:PutObject'], resources }],
  };
}

interface Options {
  readonly config?: Partial<AwsStsProviderConfig>;
  readonly rights?: { readonly mint: boolean; readonly revoke: boolean };
  readonly roles?: readonly string[];
  readonly turns?: Turns;
}

function provider(options: Options = {}): AwsStsProvider {
  const login = (file: string) => ({ method: 'credentials_file' as const, credentials_file: file, profile: 'default' });
  return createAwsStsProvider({
    name: 'aws',
    config: {
      ...{ type: 'aws-sts', region: aws.region, endpoint: aws.endpoint, timeout_ms: 5_000, max_in_flight: 16 },
      ...{ login: { api: login(seeded.credentialsFiles.api), worker: login(seeded.credentialsFiles.worker) } },
      ...{ write_interval_ms: 50, propagation_seconds: 60, on_full: 'wait', ...options.config },
    },
    credentials: { reports: credentialOf(options.roles) },
    deploymentId: 'test',
    clock: systemClock,
    turns: options.turns ?? turns,
    rights: options.rights ?? { mint: true, revoke: true },
    log: { warn: () => undefined },
  });
}

async function withSession<T>({ secret }: Pick<Minted, 'secret'>, use: (s3: S3Client) => Promise<T>): Promise<T> {
  const s3 = new S3Client({
    ...{ endpoint: aws.endpoint, region: aws.region, forcePathStyle: true },
    credentials: {
      accessKeyId: secret['access_key_id']?.expose() ?? '',
      secretAccessKey: secret['secret_access_key']?.expose() ?? '',
      sessionToken: secret['session_token']?.expose() ?? '',
    },
  });
  try {
    return await use(s3);
  } finally {
    s3.destroy();
  }
}

/** `ok`, or what AWS calls the refusal. */
const outcomeOf = (call: Promise<unknown>): Promise<string> => call.then(() => 'ok', (error: unknown) => (error as Error).name);
const reads = (minted: Pick<Minted, 'secret'>, Bucket = seeded.bucket): Promise<string> => withSession(minted, (s3) => outcomeOf(s3.send(new GetObjectCommand({ Bucket, Key: OBJECT })).then(({ Body }) => Body?.transformToString())));
const works = async (minted: Minted): Promise<boolean> => (await reads(minted)) === 'ok';

async function denyPolicy(role = ROLE): Promise<string> {
  const { PolicyDocument: encoded = '' } = await root.send(new GetRolePolicyCommand({ RoleName: role, PolicyName: POLICY }));
  return decodeURIComponent(encoded);
}

async function makeRole(name: string, { bounded = true } = {}): Promise<string> {
  const trust = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::000000000000:user/mayfly-api' }, Action: 'sts:AssumeRole' }] };
  const boundary = bounded ? { PermissionsBoundary: 'arn:aws:iam::000000000000:policy/mayfly-boundary' } : {};
  const { Role } = await root.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust), ...boundary }));
  const open = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:*', Resource: '*' }] };
  await root.send(new PutRolePolicyCommand({ RoleName: name, PolicyName: 'open', PolicyDocument: JSON.stringify(open) }));
  return Role?.Arn ?? '';
}

describeProviderContract('aws-sts, a session', () => {
  const sessions = provider();
  return Promise.resolve({ provider: sessions, credential: 'reports', works, stop: () => sessions.close() });
});

describe('a session', () => {
  it('may do what its session policy says, and nothing else that its role may', async () => {
    const sessions = provider();
    const minted = await sessions.mint(intentFor({ provider: sessions, credential: 'reports' }), NEVER);
    expect(await reads(minted)).toBe('ok');
    expect(await withSession(minted, (s3) => outcomeOf(s3.send(new ListObjectsV2Command({ Bucket: seeded.bucket }))))).toBe('ok');
    expect(await reads(minted, CLOSED_BUCKET)).toBe('AccessDenied');
    // The session policy would allow it, the role does not: neither adds to the other.
    expect(await withSession(minted, (s3) => outcomeOf(s3.send(new PutObjectCommand({ Bucket: seeded.bucket, Key: 'x', Body: 'x' }))))).toBe('AccessDenied');
    await sessions.close();
  });

  it('is dead at the due time by the clock of AWS, though AWS itself ends it a quarter of an hour later', async () => {
    const sessions = provider();
    const intent = intentFor({ provider: sessions, credential: 'reports' }, 2);
    const minted = await sessions.mint(intent, NEVER);
    expect(await works(minted)).toBe(true);
    expect(minted.targetExpiresAtMs - Date.now()).toBeGreaterThan(800_000);
    expect(minted.lapsesAtMs).toBeLessThan(intent.dueAtMs + 1_000);
    await until(async () => !(await works(minted)));
    expect(Date.now()).toBeGreaterThanOrEqual(intent.dueAtMs);
    // What its own clock ends is left to it, and never called revoked.
    expect(await revoke(sessions, { intent, handle: minted.handle })).toEqual([{ leaseId: intent.id, outcome: 'lapses', atMs: minted.lapsesAtMs }]);
    await sessions.close();
  });

  it('cannot be used to take another session', async () => {
    const sessions = provider();
    const minted = await sessions.mint(intentFor({ provider: sessions, credential: 'reports' }), NEVER);
    const { secret } = minted;
    const sts = new STSClient({
      ...{ endpoint: aws.endpoint, region: aws.region },
      credentials: { accessKeyId: secret['access_key_id']?.expose() ?? '', secretAccessKey: secret['secret_access_key']?.expose() ?? '', sessionToken: secret['session_token']?.expose() ?? '' },
    });
    expect(await outcomeOf(sts.send(new AssumeRoleCommand({ RoleArn: at(seeded.roleArns, 0), RoleSessionName: 'escape' })))).toBe('AccessDenied');
    sts.destroy();
    await sessions.close();
  });

  it('is not given by a role without a permissions boundary, nor longer than its role gives', async () => {
    const open = provider({ roles: [await makeRole('mayfly-unbounded', { bounded: false })] });
    await expect(open.mint(intentFor({ provider: open, credential: 'reports' }), NEVER)).rejects.toMatchObject({ failure: 'refused', message: expect.stringContaining('no permissions boundary') });
    const sessions = provider();
    await expect(sessions.mint(intentFor({ provider: sessions, credential: 'reports' }, 7_200), NEVER)).rejects.toMatchObject({ failure: 'refused', message: expect.stringContaining('at most 3600 s') });
    await Promise.all([open.close(), sessions.close()]);
  });

  it('of a role that trusts no tags is taken without them', async () => {
    const plain = provider({ roles: [await makeRole('mayfly-plain')] });
    expect(await works(await plain.mint(intentFor({ provider: plain, credential: 'reports' }), NEVER))).toBe(true);
    await plain.close();
  });
});

describe('ending a session early', () => {
  it('ends that one and no other of its role, and says when AWS took it, showed it, and has it everywhere', async () => {
    const sessions = provider();
    const intents = Array.from({ length: 3 }, () => intentFor({ provider: sessions, credential: 'reports' }));
    const minted = await Promise.all(intents.map((intent) => sessions.mint(intent, NEVER)));
    expect(await Promise.all(minted.map(works))).toEqual([true, true, true]);
    const beforeMs = Date.now();
    const [result] = await revoke(sessions, { intent: at(intents, 1), handle: at(minted, 1).handle });
    expect(result).toMatchObject({ outcome: 'revoked', leaseId: at(intents, 1).id });
    const { appliedAtMs = 0, verifiedAtMs = 0, effectiveByMs = 0 } = (result as Extract<RevocationResult, { outcome: 'revoked' }>).evidence ?? {};
    expect([appliedAtMs >= beforeMs, verifiedAtMs >= appliedAtMs, effectiveByMs - appliedAtMs]).toEqual([true, true, 60_000]);
    expect(await Promise.all(minted.map(works))).toEqual([true, false, true]);
    await sessions.close();
  });

  it('finds a session whose mint was never confirmed by its name alone', async () => {
    const sessions = provider();
    const intent = intentFor({ provider: sessions, credential: 'reports' });
    const minted = await sessions.mint(intent, NEVER);
    expect(await revoke(sessions, { intent, handle: null })).toMatchObject([{ outcome: 'revoked' }]);
    expect(await works(minted)).toBe(false);
    await sessions.close();
  });

  it('is not for a process that only mints: its login may write no policy', async () => {
    const minting = provider({ rights: { mint: true, revoke: false } });
    const intent = intentFor({ provider: minting, credential: 'reports' });
    const minted = await minting.mint(intent, NEVER);
    expect(await revoke(minting, { intent, handle: minted.handle })).toMatchObject([{ outcome: 'failed', error: { failure: 'unavailable' } }]);
    const login = (file: string) => ({ method: 'credentials_file' as const, credentials_file: file, profile: 'default' });
    const wrong = provider({ config: { login: { api: login(seeded.credentialsFiles.api), worker: login(seeded.credentialsFiles.api) } } });
    expect(await revoke(wrong, { intent, handle: minted.handle })).toMatchObject([{ outcome: 'failed', error: { failure: 'refused', message: expect.stringContaining('AccessDenied') } }]);
    await Promise.all([minting.close(), wrong.close()]);
  });
});

describe('the policy that denies', () => {
  it('loses no deny and no statement of others, when five processes write it at once for 300 sessions', async () => {
    const role = await makeRole('mayfly-crowded');
    const theirs = { Sid: 'Theirs', Effect: 'Deny', Action: 's3:DeleteBucket', Resource: '*' };
    await root.send(new PutRolePolicyCommand({ RoleName: 'mayfly-crowded', PolicyName: POLICY, PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [theirs] }) }));
    await allowWorker(role);
    const connections = Array.from({ length: 5 }, () => new Redis(redisServer.url));
    const processes = connections.map((connection) => provider({ roles: [role], turns: createRedisTurns(connection) }));
    const intents = Array.from({ length: 300 }, () => intentFor({ provider: at(processes, 0), credential: 'reports' }, 600));
    const handle = { role_arn: role, session_ends_ms: Date.now() + 900_000 };
    const results = await Promise.all(intents.map((intent, index) => revoke(at(processes, index % 5), { intent, handle })));
    expect(new Set(results.flat().map(({ outcome }) => outcome))).toEqual(new Set(['revoked']));
    const document = await denyPolicy('mayfly-crowded');
    expect(intents.filter(({ id }) => !document.includes(id.slice(0, 20)))).toEqual([]);
    expect((JSON.parse(document) as { Statement: unknown[] }).Statement).toContainEqual(theirs);
    await Promise.all(processes.map((one) => one.close()));
    for (const connection of connections) connection.disconnect();
  }, 40_000);

  it('would lose some without turns', async () => {
    const role = await makeRole('mayfly-unordered');
    await allowWorker(role);
    const noTurns: Turns = { run: (_name, _signal, work) => work(() => true) };
    const processes = Array.from({ length: 5 }, () => provider({ roles: [role], turns: noTurns }));
    const intents = Array.from({ length: 60 }, () => intentFor({ provider: at(processes, 0), credential: 'reports' }, 600));
    const handle = { role_arn: role, session_ends_ms: Date.now() + 900_000 };
    await Promise.all(intents.map((intent, index) => revoke(at(processes, index % 5), { intent, handle })));
    const document = await denyPolicy('mayfly-unordered');
    expect(intents.filter(({ id }) => !document.includes(id.slice(0, 20))).length).toBeGreaterThan(0);
    await Promise.all(processes.map((one) => one.close()));
  }, 40_000);

  it('is looked at for denies that somebody took away, and gets them again', async () => {
    const role = await makeRole('mayfly-edited');
    await allowWorker(role);
    const sessions = provider({ roles: [role] });
    // The last is so near its own end that no deny is worth it.
    const orders = [600, 600, 2].map((ttlSeconds) => ({
      intent: intentFor({ provider: sessions, credential: 'reports' }, ttlSeconds),
      handle: { role_arn: role, session_ends_ms: Date.now() + 900_000 },
    }));
    const [first, second] = [at(orders, 0), at(orders, 1)];
    await revoke(sessions, first, second);
    expect(await sessions.undone(orders, NEVER)).toEqual([]);
    const edited = (await denyPolicy('mayfly-edited')).replace(first.intent.id.slice(0, 20), 'lse_of_nobody_at_all');
    await root.send(new PutRolePolicyCommand({ RoleName: 'mayfly-edited', PolicyName: POLICY, PolicyDocument: edited }));
    expect(await sessions.undone(orders, NEVER)).toEqual([first.intent.id]);
    await root.send(new DeleteRolePolicyCommand({ RoleName: 'mayfly-edited', PolicyName: POLICY }));
    expect(await sessions.undone(orders, NEVER)).toEqual([first.intent.id, second.intent.id]);
    await revoke(sessions, first, second);
    expect(await sessions.undone(orders, NEVER)).toEqual([]);
    await sessions.close();
  });

  it('when it is full, refuses one more and keeps what it holds; or widens, where the operator said so', async () => {
    const role = await makeRole('mayfly-full');
    await allowWorker(role);
    const filler = { Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: 's3:DeleteBucket', Resource: Array.from({ length: 283 }, (_, i) => `arn:aws:s3:::filler-${i}-0123456`) }] };
    await root.send(new PutRolePolicyCommand({ RoleName: 'mayfly-full', PolicyName: 'filler', PolicyDocument: JSON.stringify(filler) }));
    const sessions = provider({ roles: [role] });
    const widening = provider({ roles: [role], config: { on_full: 'widen' } });
    const orders = await Promise.all(
      Array.from({ length: 30 }, async () => {
        const intent = intentFor({ provider: sessions, credential: 'reports' });
        return { intent, minted: await sessions.mint(intent, NEVER) };
      }),
    );
    const outcomes: string[] = [];
    for (const { intent, minted } of orders) outcomes.push(at(await revoke(sessions, { intent, handle: minted.handle }), 0).outcome);
    expect(outcomes[0]).toBe('revoked');
    expect(outcomes.at(-1)).toBe('failed');
    const firstFailed = outcomes.indexOf('failed');
    const late = at(orders, firstFailed);
    expect(await works(at(orders, 0).minted)).toBe(false);
    expect(await works(late.minted)).toBe(true);
    const bystander = at(orders, orders.length - 1);
    expect(await revoke(widening, { intent: late.intent, handle: late.minted.handle })).toMatchObject([{ outcome: 'revoked' }]);
    // Wider than asked for: that is the choice.
    expect(await Promise.all([at(orders, 0), late, bystander].map(({ minted }) => works(minted)))).toEqual([false, false, false]);
    await Promise.all([sessions.close(), widening.close()]);
  }, 40_000);

  it('is gone when nothing is denied any more', async () => {
    const role = await makeRole('mayfly-tidy');
    await allowWorker(role);
    const sessions = provider({ roles: [role] });
    const ended = { Version: '2012-10-17', Statement: [{ Sid: 'MayflyUntil20200101T000000Z', Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringLike: { 'aws:userid': ['*:lse_0*'] } } }] };
    await root.send(new PutRolePolicyCommand({ RoleName: 'mayfly-tidy', PolicyName: POLICY, PolicyDocument: JSON.stringify(ended) }));
    await sessions.tidy();
    expect((await root.send(new ListRolePoliciesCommand({ RoleName: 'mayfly-tidy' }))).PolicyNames).toEqual(['open']);
    await sessions.close();
  });
});

/** Lets the worker's login write one more role. */
async function allowWorker(role: string): Promise<void> {
  const rights = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: ['iam:GetRole', 'iam:ListRolePolicies', 'iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:DeleteRolePolicy'], Resource: role }] };
  await root.send(new PutUserPolicyCommand({ UserName: 'mayfly-worker', PolicyName: role.slice(role.lastIndexOf('/') + 1), PolicyDocument: JSON.stringify(rights) }));
}
