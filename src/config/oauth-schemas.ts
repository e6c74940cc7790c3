import { z } from 'zod';
import { filePath, httpUrl, seconds, signatureAlgorithms } from './config-words.ts';

const jwks = z
  .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(16).describe('public keys (RFC 7517)') })
  .describe('its public keys, written out here; or `jwks_file`');

const oauthClient = z
  .strictObject({
    client_id: z
      .string()
      .regex(/^[\w.:/-]{1,128}$/, 'letters, digits, `_`, `.`, `:`, `/` and `-`, at most 128')
      .describe('`iss` and `sub` of its assertions'),
    workload: z
      .strictObject({
        issuer: httpUrl.describe('one of `identity.issuers`: who else vouches for this workload. Never a trust domain: only its own keys speak for its members'),
        subject: z.string().min(1).max(2_048).describe('the agent that policy knows'),
      })
      .describe('who this client is'),
    jwks: jwks.optional(),
    jwks_file: filePath.optional().describe('a JWK Set of its public keys; re-read when it changes'),
    algorithms: signatureAlgorithms,
  })
  .describe('a client that signs assertions with a key of its own (`private_key_jwt`); there are no client secrets');

/** The OAuth face. */
export const oauth = z
  .strictObject({
    issuer: httpUrl.optional().describe('the `issuer` of this authorization server: that of a jwt provider. That of the first one when absent'),
    clients: z.array(oauthClient).default([]).describe('clients that sign assertions of their own. Workloads need no entry: their own token is their assertion'),
    experimental_transaction_tokens: z
      .boolean()
      .default(false)
      .describe('whether transaction tokens (a draft of the IETF, which may still change) can be had: credentials with `transaction_token`'),
    max_assertion_seconds: seconds(10, 3_600).default(3_600).describe('an assertion that such a client signs for longer is refused'),
  })
  .prefault({})
  .describe('the OAuth face');
