import { z } from 'zod';
import { filePath, httpUrl, roleArn, seconds } from './config-words.ts';

const vaultLogin = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('approle').describe('log in by AppRole'),
    mount: z.string().default('approle').describe('where the AppRole method is mounted'),
    role_id_file: filePath.describe('holds the role id'),
    secret_id_file: filePath.describe('holds the secret id'),
  }),
  z.strictObject({
    method: z.literal('jwt').describe('log in by a JWT'),
    mount: z.string().default('jwt').describe('where the JWT method is mounted'),
    role: z.string().min(1).describe('the role to log in to'),
    jwt_file: filePath.describe('re-read at every login'),
  }),
  z.strictObject({
    method: z.literal('jwt_svid').describe("log in by the broker's own JWT-SVID, from the agent at `workload_api.socket`"),
    mount: z.string().default('jwt').describe('where the JWT method is mounted'),
    role: z.string().min(1).describe('the role to log in to'),
    audience: z.string().min(1).describe('the audience of the JWT-SVID: what the role has in `bound_audiences`'),
  }),
  z.strictObject({
    method: z.literal('kubernetes').describe('log in by a service-account token'),
    mount: z.string().default('kubernetes').describe('where the Kubernetes method is mounted'),
    role: z.string().min(1).describe('the role to log in to'),
    token_file: filePath.default('/var/run/secrets/kubernetes.io/serviceaccount/token').describe('re-read at every login'),
  }),
  z.strictObject({ method: z.literal('token_file').describe('use a token from a file'), file: filePath.describe('holds the token; re-read at every login') }),
]);

const vaultProvider = z.strictObject({
  type: z.literal('vault').describe('OpenBao 2.x or Vault 1.x'),
  address: httpUrl.describe('where it answers; https in production'),
  namespace: z.string().optional().describe('the namespace everything happens in'),
  ca_file: filePath.optional().describe('PEM certificates to trust for this address instead of the system store'),
  login: z
    .strictObject({ api: vaultLogin.describe('mints'), worker: vaultLogin.describe('revokes'), reconciler: vaultLogin.describe('lists what is live') })
    .describe('one login for each right: minting, revoking, listing'),
  timeout_ms: z.int().min(100).max(30_000).default(2_500).describe('for each request to the target'),
  max_in_flight: z.int().min(1).max(256).default(16).describe('mints at once'),
  revocations_per_second: z.int().min(1).max(100_000).default(1_000).describe('how many credentials it can end in a second. A grant that would fall due with more than that is refused for now'),
  revoke_concurrency: z.int().min(1).max(256).default(16).describe('revocations at once, for each batch'),
  target_margin_seconds: seconds(1, 60)
    .default(5)
    .describe("how long after our due time the target's own clock ends the credential"),
});

const jwtProvider = z.strictObject({
  type: z.literal('jwt').describe('tokens signed by Mayfly itself'),
  issuer: httpUrl.describe('the `iss` of tokens signed here'),
  signing_key_files: z
    .array(filePath)
    .min(1)
    .describe('PEM private keys (P-256 or Ed25519); the first signs, all are published'),
});

const awsLogin = z.discriminatedUnion('method', [
  z.strictObject({
    method: z.literal('web_identity').describe('sessions of a role for a token of this workload, as a Kubernetes service account has one'),
    role_arn: roleArn.describe('the role of the broker itself'),
    token_file: filePath.describe('holds the token; re-read for every session'),
  }),
  z.strictObject({
    method: z.literal('credentials_file').describe('a shared credentials file'),
    credentials_file: filePath.describe('in the format of `~/.aws/credentials`'),
    profile: z.string().min(1).default('default').describe('which of its profiles'),
  }),
  z.strictObject({ method: z.literal('environment').describe("the AWS SDK's own chain: environment, container or instance role") }),
]);

const awsStsProvider = z.strictObject({
  type: z.literal('aws-sts').describe('AWS STS: sessions of IAM roles'),
  region: z.string().regex(/^[a-z]{2,4}(-[a-z]+)+-\d$/, 'an AWS Region such as eu-central-1').describe('whose STS is asked'),
  endpoint: httpUrl.optional().describe("of STS and IAM, where they are not AWS's own; https in production"),
  login: z
    .strictObject({ api: awsLogin.describe('takes sessions'), worker: awsLogin.describe('writes the denies that end them early') })
    .describe('one login for each right: minting, revoking'),
  timeout_ms: z.int().min(100).max(30_000).default(5_000).describe('for each request to AWS'),
  max_in_flight: z.int().min(1).max(256).default(16).describe('mints at once'),
  write_interval_ms: z.int().min(0).max(60_000).default(1_000).describe('between two writes to one role by one process; what is revoked meanwhile goes into one write'),
  propagation_seconds: seconds(0, 3_600).default(60).describe('how long AWS may take to enforce a deny everywhere; told with every lease'),
  on_full: z
    .enum(['wait', 'widen'])
    .default('wait')
    .describe('when a role has no room for one more deny. `wait`: tried again as older ones end; the session is dead at its due time all the same. `widen`: every session of that role that was issued until now is denied'),
});

/** Systems that mint: one form for each provider type. */
export const provider = z.discriminatedUnion('type', [vaultProvider, awsStsProvider, jwtProvider]);
