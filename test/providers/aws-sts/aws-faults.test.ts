import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { STSClient, AssumeRoleCommand } from '@aws-sdk/client-sts';
import { systemClock } from '../../../src/core/clock.ts';
import { TurnLost, type Turns } from '../../../src/core/turns.ts';
import { createAwsStsProvider, type AwsStsProvider } from '../../../src/providers/aws-sts/aws-sts-provider.ts';
import { toProviderError } from '../../../src/providers/aws-sts/aws-failure.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import { intentFor, revoke } from '../../contracts/provider-contract.ts';
import { startAwsQueryServer, type AwsFault, type AwsQueryServer } from '../../support/aws-query-server.ts';

const NEVER = new AbortController().signal;
const SECRET_KEY = 'thebrokersownkey0123456789thebrokersownk';
let directory: string;
let server: AwsQueryServer;
let sessions: AwsStsProvider;
const myTurn: Turns = { run: (_name, _signal, work) => work(() => true) };

const providerWith = (turns: Turns): AwsStsProvider => {
  const login = { method: 'credentials_file' as const, credentials_file: join(directory, 'credentials'), profile: 'default' };
  return createAwsStsProvider({
    name: 'aws',
    config: {
      ...{ type: 'aws-sts', region: 'eu-central-1', endpoint: server.endpoint, timeout_ms: 300, max_in_flight: 4, write_interval_ms: 0 },
      ...{ propagation_seconds: 60, on_full: 'wait', login: { api: login, worker: login } },
    },
    credentials: { reports: { kind: 'aws.sts', provider: 'aws', owner: 'o', params: {}, role_arns: ['arn:aws:iam::000000000000:role/r'], session_policy: [{ actions: ['s3:GetObject'], resources: ['*'] }] } },
    deploymentId: 'test',
    clock: systemClock,
    turns,
    rights: { mint: true, revoke: true },
    log: { warn: () => undefined },
  });
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-awsq-'));
  await writeFile(join(directory, 'credentials'), `[default]\naws_access_key_id = AKIA0123456789ABCDEF\naws_secret_access_key = ${SECRET_KEY}\n`);
  server = await startAwsQueryServer();
});

beforeEach(() => {
  server.calls.length = 0;
  server.faults.clear();
  sessions = providerWith(myTurn);
});

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const mint = () => sessions.mint(intentFor({ provider: sessions, credential: 'reports' }), NEVER);
const end = async () => (await revoke(sessions, { intent: intentFor({ provider: sessions, credential: 'reports' }), handle: { role_arn: 'arn:aws:iam::000000000000:role/r', session_ends_ms: Date.now() + 900_000 } }))[0];
const THROTTLED: AwsFault = { status: 400, code: 'Throttling' };

describe('a mint', () => {
  it('outlives one throttled call', async () => {
    server.faults.set('AssumeRole', [THROTTLED]);
    expect((await mint()).secret['session_token']?.expose()).toBe('t');
    expect(server.calls.filter((call) => call === 'AssumeRole')).toHaveLength(2);
  });

  it.each<[string, AwsFault, object]>([
    ['throttled again and again: to be tried later, and nothing was minted', THROTTLED, { failure: 'unavailable', mayHaveMinted: false, message: 'taking a session for reports: AWS answered 400 Throttling' }],
    ['with no right: for a human', { status: 403, code: 'AccessDenied' }, { failure: 'refused', mayHaveMinted: false }],
    ['too much in its policies and tags: for a human', { status: 400, code: 'PackedPolicyTooLarge' }, { failure: 'refused', mayHaveMinted: false }],
    ['an error of AWS itself: it may have been minted', { status: 500, code: 'InternalFailure' }, { failure: 'unavailable', mayHaveMinted: true }],
    ['no answer: it may have been minted', 'silence', { failure: 'unavailable', mayHaveMinted: true }],
    ['a broken connection: it may have been minted', 'reset', { failure: 'unavailable', mayHaveMinted: true }],
  ])('%s', async (_name, fault, expected) => {
    server.faults.set('AssumeRole', [fault, fault]);
    await expect(mint()).rejects.toMatchObject(expected);
  });
});

describe('a revocation', () => {
  it.each<[string, string, AwsFault, string]>([
    ['the write is throttled', 'PutRolePolicy', THROTTLED, 'unavailable'],
    ['the write meets another one', 'PutRolePolicy', { status: 409, code: 'ConcurrentModification' }, 'unavailable'],
    ['the write has no answer', 'PutRolePolicy', 'silence', 'unavailable'],
    ['the policy cannot be read', 'GetRolePolicy', { status: 500, code: 'ServiceFailure' }, 'unavailable'],
    ['the login may not write', 'PutRolePolicy', { status: 403, code: 'AccessDenied' }, 'refused'],
  ])('fails, and is tried again later, when %s', async (_name, action, fault, failure) => {
    server.faults.set(action, [fault, fault]);
    expect(await end()).toMatchObject({ outcome: 'failed', error: { failure } });
    // The control: with nothing in its way, the next try is a success.
    server.faults.clear();
    expect(await end()).toMatchObject({ outcome: 'revoked' });
  });

  it('fails without touching the role when the turn cannot be had, or ended before the write', async () => {
    const turns: Turns[] = [{ run: () => Promise.reject(new TurnLost('others kept the turn')) }, { run: (_name, _signal, work) => work(() => false) }];
    for (const unlucky of turns) {
      sessions = providerWith(unlucky);
      expect(await end()).toMatchObject({ outcome: 'failed', error: { failure: 'unavailable', message: expect.stringContaining('another process') } });
    }
    expect(server.calls).not.toContain('PutRolePolicy');
  });

  it('is not called done before AWS shows it', async () => {
    // Taken, and lost: the read after the write finds the old policy.
    server.faults.set('PutRolePolicy', [{ status: 200, code: '' }]);
    expect(await end()).toMatchObject({ outcome: 'failed', error: { message: expect.stringContaining('does not show the denies') } });
  });
});

describe("an error of the AWS SDK, which holds the broker's own request", () => {
  it('does not reach a log: only what was being done, the status and the code', async () => {
    const sts = new STSClient({ region: 'eu-central-1', endpoint: server.endpoint, credentials: { accessKeyId: 'AKIA0123456789ABCDEF', secretAccessKey: SECRET_KEY, sessionToken: 'FwoGZXIvYXdzEBYaDthebrokerssessiontoken' }, maxAttempts: 1 });
    server.faults.set('AssumeRole', ['reset']);
    const raw: unknown = await sts.send(new AssumeRoleCommand({ RoleArn: 'arn:aws:iam::000000000000:role/r', RoleSessionName: 'x' })).catch((error: unknown) => Object.assign(error as object, { config: { secretAccessKey: SECRET_KEY } }));
    // The control: the error itself does tell.
    expect(inspect(raw, { depth: 9 })).toContain(SECRET_KEY);
    const lines: string[] = [];
    createLogger({ level: 'info' }, { write: (line: string) => void lines.push(line) }).warn({ err: toProviderError('aws', 'taking a session', raw) }, 'minting failed');
    expect(lines.join()).toContain('AWS gave no answer');
    expect(lines.join()).not.toContain(SECRET_KEY);
    sts.destroy();
  });
});
