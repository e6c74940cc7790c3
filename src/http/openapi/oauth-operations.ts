import { z } from 'zod';
import { leaseIdSchema, taskIdSchema } from '../answer-schemas.ts';
import type { OperationArea } from './operation.ts';

/** A published key set. */
export const jwks = z
  .strictObject({ keys: z.array(z.record(z.string(), z.string())) })
  .meta({ id: 'JwkSet', description: 'public keys (RFC 7517)' });

const introspection = z
  .union([
    z.strictObject({ active: z.literal(false) }),
    z.strictObject({
      active: z.literal(true),
      iss: z.string(),
      sub: z.string(),
      aud: z.string(),
      client_id: z.string(),
      exp: z.int(),
      iat: z.int(),
      jti: leaseIdSchema,
      txn: taskIdSchema,
      purpose: z.string(),
      agent_issuer: z.string(),
      token_type: z.literal('Bearer'),
    }),
  ])
  .meta({ id: 'Introspection', description: 'what is said of a token (RFC 7662)' });

export const OAUTH_OPERATIONS: OperationArea = {
  name: 'oauth',
  description: 'For those who are shown tokens that Mayfly minted.',
  operations: [
    {
      method: 'get',
      path: '/.well-known/jwks.json',
      id: 'getJwks',
      summary: 'The keys of minted tokens',
      caller: 'anyone',
      answers: { 200: { description: 'every key that signs or may have signed', schema: jwks } },
    },
    {
      method: 'post',
      path: '/oauth2/introspect',
      id: 'introspect',
      summary: 'Whether a token is still good',
      description: 'A resource server learns of its own audiences, an agent of its own tokens, an operator of all; of anything else it is said that it is not active.',
      caller: 'workload_or_operator',
      body: z.object({ token: z.string().min(1) }),
      bodyType: 'application/x-www-form-urlencoded',
      answers: { 200: { description: 'what is known of the token', schema: introspection } },
    },
  ],
};
