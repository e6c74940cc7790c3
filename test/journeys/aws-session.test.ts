import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findAwsCli } from '../../dev/find-tools.ts';
import { CLOSED_BUCKET } from '../../dev/seed-aws.ts';
import { at } from '../support/at.ts';
import { RunningBroker, type GrantedCredential } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const cli = findAwsCli();
const OBJECT = 'october/refunds.csv';
let broker: RunningBroker;

/** The clients that people use; without them this suite is skipped, by name. */
const withClients = cli === undefined ? describe.skip : describe;

withClients('a session of AWS, in the hands of aws and boto3', () => {
  beforeAll(async () => {
    broker = await RunningBroker.start({}, [], { aws: true });
  }, 60_000);

  afterAll(() => broker.stop(), 30_000);

  const environment = ({ secret }: GrantedCredential): Record<string, string> => ({
    PATH: process.env['PATH'] ?? '',
    HOME: broker.stack.directory,
    AWS_ENDPOINT_URL: broker.stack.aws?.endpoint ?? '',
    AWS_DEFAULT_REGION: broker.stack.aws?.region ?? '',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: secret['access_key_id'] ?? '',
    AWS_SECRET_ACCESS_KEY: secret['secret_access_key'] ?? '',
    AWS_SESSION_TOKEN: secret['session_token'] ?? '',
  });
  const output = (work: Promise<{ stdout: string }>): Promise<string> => work.then(({ stdout }) => stdout, (error: unknown) => (error as { stderr: string }).stderr);
  const aws = (credential: GrantedCredential, ...args: string[]): Promise<string> => output(run(cli ?? '', args, { env: environment(credential) }));
  const read = (credential: GrantedCredential, bucket = 'mayfly-reports'): Promise<string> => aws(credential, 's3', 'cp', `s3://${bucket}/${OBJECT}`, '-');
  const boto = (credential: GrantedCredential): Promise<string> => {
    const script = `import boto3; print(boto3.client("s3").get_object(Bucket="mayfly-reports", Key="${OBJECT}")["Body"].read().decode())`;
    return output(run(join(cli ?? '', '../python3'), ['-c', script], { env: environment(credential) }));
  };
  const leaseOf = async ({ lease_id: id }: GrantedCredential): Promise<Record<string, unknown>> =>
    (await broker.call('GET', `/v1/leases/${id}`, await broker.operatorToken('viewer'))).body['lease'] as Record<string, unknown>;

  it('reads its bucket and no other, and nothing once its task is completed, while the session of another task lives on', async () => {
    const [grant, other] = await Promise.all([broker.grant(['reports-bucket']), broker.grant(['reports-bucket'])]);
    const [ours, theirs] = [at(grant.credentials, 0), at(other.credentials, 0)];
    expect(ours).toMatchObject({ kind: 'aws.sts', revocability: 'eventual' });
    // AWS sells no less than a quarter of an hour: its end stands beside ours.
    expect(Date.parse(ours.target_expires_at) - Date.parse(ours.expires_at)).toBeGreaterThan(590_000);
    expect(await Promise.all([read(ours), boto(ours), read(theirs)])).toEqual(Array(3).fill(expect.stringContaining('99,12.50')));
    expect(await read(ours, CLOSED_BUCKET)).toContain('Forbidden');
    const { status } = await broker.complete(grant);
    expect([200, 202]).toContain(status);
    await until(async () => (await leaseOf(ours))['state'] === 'revoked');
    expect(await read(ours)).toContain('Forbidden');
    expect(await boto(ours)).toContain('AccessDenied');
    expect(await read(theirs)).toContain('99,12.50');
    const lease = await leaseOf(ours);
    expect(Date.parse(String(lease['effective_by'])) - Date.parse(String(lease['applied_at']))).toBe(60_000);
    expect(Date.parse(String(lease['verified_at']))).toBeGreaterThanOrEqual(Date.parse(String(lease['applied_at'])));
    expect(Number(lease['exposure_seconds'])).toBeGreaterThanOrEqual(60);
    await broker.complete(other);
  }, 60_000);

  it('that runs to its due time lapses there, and is never called revoked', async () => {
    const grant = await broker.grant(['reports-bucket'], { ttlSeconds: 2 });
    const session = at(grant.credentials, 0);
    expect(await read(session)).toContain('99,12.50');
    await until(async () => (await leaseOf(session))['state'] === 'lapsed', { timeoutMs: 20_000 });
    expect(await read(session)).toContain('Forbidden');
    expect(Number((await leaseOf(session))['exposure_seconds'])).toBeLessThanOrEqual(1);
  }, 40_000);

  it('is not longer for an extension of its task: it has to be issued anew', async () => {
    const grant = await broker.grant(['reports-bucket'], { ttlSeconds: 60 });
    const { body } = await broker.call('POST', `/v1/tasks/${grant.id}/extend`, grant.token, { ttl_seconds: 120 });
    expect(body['credentials']).toMatchObject([{ name: 'reports-bucket', extension: 'reissue_needed' }]);
    const reissued = await broker.call('POST', `/v1/tasks/${grant.id}/reissue`, grant.token, { name: 'reports-bucket' });
    expect(reissued.status).toBe(201);
    expect(await read(at(reissued.body['credentials'] as GrantedCredential[], 0))).toContain('99,12.50');
    expect(await read(at(grant.credentials, 0))).toContain('Forbidden');
    await broker.complete(grant);
  }, 40_000);
});
