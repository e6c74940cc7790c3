import { z } from 'zod';
import { name, roleArn, seconds } from './config-words.ts';

const required = z.boolean().default(true).describe('whether a declaration must give it');
const paramSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('string').describe('a text'),
    pattern: z.string().optional().describe('anchored at both ends'),
    max_length: z.int().min(1).max(256).default(128).describe('in characters'),
    enum: z.array(z.string()).min(1).optional().describe('the values that may be given'),
    required,
  }),
  z.strictObject({
    type: z.literal('integer').describe('a whole number'),
    min: z.int().optional().describe('the least'),
    max: z.int().optional().describe('the most'),
    required,
  }),
  z.strictObject({ type: z.literal('boolean').describe('true or false'), required }),
]);

const credentialCommon = {
  provider: name.describe('the name of the provider that mints it'),
  owner: z.string().min(1).describe('who answers for this credential'),
  description: z.string().optional().describe('what it gives access to, for people'),
  data_classes: z.array(z.string().min(1)).optional().describe('data classes that its holder can reach, out of those its task declares; all of them where not given'),
  max_ttl_seconds: seconds(1, 86_400).optional().describe('below `limits.max_ttl_seconds`'),
  params: z.record(z.string().regex(/^[a-z][a-z0-9_]{0,31}$/, 'lower-case letters, digits and underscores, starting with a letter, at most 32'), paramSchema).default({}).describe('what a declaration may choose, by name; anything else is refused'),
};

const renewable = z
  .boolean()
  .optional()
  .describe("true: extending a task renews the credential at the target, up to `max_ttl_seconds`; otherwise its agent asks for a new one");

/** What can be minted: one form for each kind. */
export const credential = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('vault.token').describe('a Vault token with the policies of its token role'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
  }),
  z.strictObject({
    kind: z.literal('vault.dynamic').describe('what a leased path answers, such as a database login'),
    ...credentialCommon,
    renewable,
    token_role: name.describe('the token role, one for each credential'),
    path: z.string().min(1).describe('a leased path such as `database/creds/orders-reader`; `{param}` takes one encoded segment'),
    ends_open_sessions: z.boolean().default(false).describe('true where the revocation statements end open sessions'),
  }),
  z.strictObject({
    kind: z.literal('vault.kv').describe('a static secret, handed over wrapped, to be opened once'),
    ...credentialCommon,
    token_role: name.describe('the token role, one for each credential'),
    mount: z.string().min(1).describe('where the key-value engine is mounted, such as `kv`'),
    path: z.string().min(1).describe('the path of the secret below the mount; `{param}` takes one encoded segment'),
    engine_version: z.union([z.literal(1), z.literal(2)]).default(2).describe('of the key-value engine'),
    version: z.int().min(1).optional().describe('a version of the secret other than the newest; engine version 2 only'),
  }),
  z.strictObject({
    kind: z.literal('aws.sts').describe('a session of an IAM role, with no more than its session policy says'),
    ...credentialCommon,
    role_arns: z
      .array(roleArn)
      .min(1)
      .max(16)
      .describe('roles of the same rights: sessions are spread over them, since each has room for some 300 early revocations at a time'),
    session_policy: z
      .array(
        z.strictObject({
          for_actions: z.array(z.string().min(1)).min(1).optional().describe('only for tasks that declare one of these actions; for every task when absent'),
          actions: z.array(z.string().regex(/^[a-z0-9-]+:[A-Za-z0-9*]+$/, 'an AWS action such as s3:GetObject')).min(1).describe('AWS actions that are allowed'),
          resources: z.array(z.string().regex(/^(\*|arn:.+)$/, 'an ARN, or *')).min(1).describe('on which resources; `{param}` takes one value, without its wildcards'),
        }),
      )
      .min(1)
      .max(16)
      .describe('what a session may do, within what its role may; `sts:*` and `iam:*` are denied whatever stands here'),
  }),
  z.strictObject({
    kind: z.literal('jwt').describe('a signed token, or an opaque reference'),
    ...credentialCommon,
    audience: z.string().min(1).describe("the token's `aud`; never Mayfly's own"),
    introspection_required: z
      .boolean()
      .default(false)
      .describe('true: an opaque reference, valid only as long as introspection says so, so revocation is exact'),
    transaction_token: z
      .boolean()
      .default(false)
      .describe('true: a transaction token for the trust domain that `audience` names; needs `oauth.experimental_transaction_tokens`, and `max_ttl_seconds`'),
  }),
]);
