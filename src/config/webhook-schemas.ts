import { z } from 'zod';
import { filePath, httpUrl, name } from './config-words.ts';

const webhook = z.strictObject({
  name: name.describe('of the recipient, for the API, metrics and the log'),
  url: httpUrl.describe('where to post; https in production'),
  secret_files: z
    .array(filePath)
    .min(1)
    .max(2)
    .describe('files that hold a secret shared with the recipient, `whsec_` and base64 of 24 to 64 bytes; read at each delivery. With two, each message is signed by both, so that one can be replaced'),
  events: z
    .array(z.string().regex(/^(\*|[a-z_]+\.(\*|[a-z_]+))$/, 'a type such as `task.ended`, `lease.*` or `*`'))
    .min(1)
    .max(64)
    .describe('which types of events: `task.ended`, all of a thing as `lease.*`, or `*`'),
  format: z.enum(['thin', 'cloudevents']).default('thin').describe('`thin`: type, time and ids; `cloudevents`: the same as CloudEvents 1.0, structured'),
  allow_private_addresses: z.boolean().default(false).describe('a recipient on a private address; metadata addresses are refused always'),
  ca_file: filePath.optional().describe('PEM certificates to trust for it instead of the system store'),
});

/** Who is told of events as they are sealed. */
export const webhooks = z.array(webhook).max(32).default([]).describe('who is told of events, as they come onto the audit log, by signed webhooks');
