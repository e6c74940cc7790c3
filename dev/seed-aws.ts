import { CreateAccessKeyCommand, CreatePolicyCommand, CreateRoleCommand, CreateUserCommand, IAMClient, PutRolePolicyCommand, PutUserPolicyCommand } from '@aws-sdk/client-iam';
import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccessKeys, AwsEmulator } from './aws-emulator.ts';

/** What the broker may do at AWS: take sessions of its roles, and end them. Nobody has both. */
export type AwsRight = 'api' | 'worker';

export interface SeededAws {
  readonly bucket: string;
  /** The roles that sessions are of, in the order of the configuration. */
  readonly roleArns: readonly string[];
  /** Shared credentials files, one for each right. */
  readonly credentialsFiles: Readonly<Record<AwsRight, string>>;
}

const BUCKET = 'mayfly-reports';
/** A bucket that the role may not read: what a session must be refused. */
export const CLOSED_BUCKET = 'mayfly-payroll';
const ROLE = 'mayfly-reports-reader';

const allow = (actions: readonly string[], resources: readonly string[]) => ({ Effect: 'Allow', Action: actions, Resource: resources });
const policyOf = (...statements: readonly object[]): string => JSON.stringify({ Version: '2012-10-17', Statement: statements });

/** Makes the example's buckets, its role, and the two identities of the broker, each with the rights it needs and no others. */
export async function seedAws(aws: Pick<AwsEmulator, 'endpoint' | 'region' | 'root'>, directory: string): Promise<SeededAws> {
  const options = { endpoint: aws.endpoint, region: aws.region, credentials: aws.root };
  const iam = new IAMClient(options);
  const s3 = new S3Client({ ...options, forcePathStyle: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    for (const Bucket of [BUCKET, CLOSED_BUCKET]) {
      await s3.send(new CreateBucketCommand({ Bucket }));
      await s3.send(new PutObjectCommand({ Bucket, Key: 'october/refunds.csv', Body: 'order,amount\n99,12.50\n' }));
    }
    const reading = allow(['s3:GetObject', 's3:ListBucket'], [`arn:aws:s3:::${BUCKET}`, `arn:aws:s3:::${BUCKET}/*`]);
    const boundary = await iam.send(new CreatePolicyCommand({ PolicyName: 'mayfly-boundary', PolicyDocument: policyOf(allow(['s3:*'], ['*'])) }));
    const api = await makeUser(iam, 'mayfly-api');
    const role = await iam.send(
      new CreateRoleCommand({
        RoleName: ROLE,
        AssumeRolePolicyDocument: policyOf({ Effect: 'Allow', Principal: { AWS: api.arn }, Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'] }),
        MaxSessionDuration: 3_600,
        PermissionsBoundary: boundary.Policy?.Arn,
      }),
    );
    const roleArn = role.Role?.Arn ?? '';
    await iam.send(new PutRolePolicyCommand({ RoleName: ROLE, PolicyName: 'reading', PolicyDocument: policyOf(reading) }));
    await iam.send(
      new PutUserPolicyCommand({ UserName: 'mayfly-api', PolicyName: 'sessions', PolicyDocument: policyOf(allow(['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity', 'iam:GetRole'], [roleArn])) }),
    );
    const worker = await makeUser(iam, 'mayfly-worker');
    await iam.send(
      new PutUserPolicyCommand({
        UserName: 'mayfly-worker',
        PolicyName: 'denies',
        PolicyDocument: policyOf(allow(['iam:GetRole', 'iam:ListRolePolicies', 'iam:GetRolePolicy', 'iam:PutRolePolicy', 'iam:DeleteRolePolicy'], [roleArn])),
      }),
    );
    const write = async (right: AwsRight, keys: AccessKeys): Promise<string> => {
      const file = join(directory, `aws-${right}`);
      await writeFile(file, `[default]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`, { mode: 0o600 });
      return file;
    };
    return { bucket: BUCKET, roleArns: [roleArn], credentialsFiles: { api: await write('api', api), worker: await write('worker', worker) } };
  } finally {
    iam.destroy();
    s3.destroy();
  }
}

async function makeUser(iam: IAMClient, name: string): Promise<AccessKeys & { readonly arn: string }> {
  const { User: user } = await iam.send(new CreateUserCommand({ UserName: name }));
  const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName: name }));
  return { arn: user?.Arn ?? '', accessKeyId: key?.AccessKeyId ?? '', secretAccessKey: key?.SecretAccessKey ?? '' };
}
