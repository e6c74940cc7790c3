import { z } from 'zod';
import { TASK_DETAILS_TYPE, taskDetails } from '../../task/authorization-details.ts';
import { leaseIdSchema, taskIdSchema } from '../answer-schemas.ts';
import type { OperationArea } from './operation.ts';

/** A published key set. */
export const jwks = z
  .strictObject({ keys: z.array(z.record(z.string(), z.string())) })
  .meta({ id: 'JwkSet', description: 'public keys (RFC 7517)' });

const confirmation = z.strictObject({ jkt: z.string().optional(), 'x5t#S256': z.string().optional() }).meta({ id: 'Confirmation', description: 'the key that a token is bound to (RFC 7800)' });
const tokenType = z.enum(['Bearer', 'DPoP', 'N_A']);

/** The task of a token, as the token itself tells it. */
const taskOfToken = z.strictObject({
  type: z.literal(TASK_DETAILS_TYPE),
  identifier: taskIdSchema,
  purpose: z.string(),
  actions: z.array(z.string()),
  datatypes: z.array(z.string()),
  locations: z.array(z.string()),
});

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
      nbf: z.int(),
      jti: leaseIdSchema,
      txn: taskIdSchema,
      purpose: z.string(),
      agent_issuer: z.string(),
      authorization_details: z.array(taskOfToken),
      act: z.record(z.string(), z.unknown()).optional().describe('who acts, where that is not `sub`, with those before nested inside (RFC 8693)'),
      cnf: confirmation.optional(),
      token_type: tokenType.exclude(['N_A']),
    }),
  ])
  .meta({ id: 'Introspection', description: 'what is said of a token (RFC 7662)' });

const metadata = z
  .strictObject({
    issuer: z.string(),
    ...Object.fromEntries(['token_endpoint', 'introspection_endpoint', 'revocation_endpoint', 'jwks_uri'].map((name) => [name, z.string()])),
    ...Object.fromEntries(
      [
        'grant_types_supported', 'response_types_supported', 'authorization_details_types_supported',
        ...['token', 'introspection', 'revocation'].flatMap((name) => [`${name}_endpoint_auth_methods_supported`, `${name}_endpoint_auth_signing_alg_values_supported`]),
      ].map((name) => [name, z.array(z.string())]),
    ),
    tls_client_certificate_bound_access_tokens: z.boolean(),
    mtls_endpoint_aliases: z.strictObject({ token_endpoint: z.string(), introspection_endpoint: z.string(), revocation_endpoint: z.string() }).optional(),
    dpop_signing_alg_values_supported: z.array(z.string()).optional(),
  })
  .meta({ id: 'AuthorizationServerMetadata', description: 'RFC 8414' });

const resource = z
  .strictObject({
    ...Object.fromEntries(['resource', 'resource_name', 'resource_documentation'].map((name) => [name, z.string()])),
    ...Object.fromEntries(['bearer_methods_supported', 'dpop_signing_alg_values_supported'].map((name) => [name, z.array(z.string())])),
    tls_client_certificate_bound_access_tokens: z.boolean(),
  })
  .meta({ id: 'ProtectedResourceMetadata', description: 'RFC 9728' });

const assertion = {
  client_id: z.string().optional().describe('over TLS, with an X.509-SVID and without an assertion: its SPIFFE ID'),
  client_assertion_type: z.string().optional().describe('`urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, or `...:jwt-spiffe`'),
  client_assertion: z.string().optional().describe('a JWT that the client signed, or its own workload token'),
};

const tokenRequest = z
  .object({
    grant_type: z.string().describe('`client_credentials`, or `urn:ietf:params:oauth:grant-type:token-exchange`'),
    authorization_details: z.string().describe('a JSON array of one task declaration, of the schema at `/oauth2/schemas/task-v1.json`'),
    resource: z.string().optional().describe('who the token is for (RFC 8707)'),
    ...assertion,
    subject_token: z.string().optional().describe('of an exchange: a workload token of the client; or, where an actor acts, the token of a task or of a person'),
    subject_token_type: z.string().optional(),
    actor_token: z.string().optional().describe('of an exchange: the workload token of whoever is to act for the subject; it is the client'),
    actor_token_type: z.string().optional(),
    requested_token_type: z.string().optional(),
    audience: z.string().optional().describe('the same as `resource`; of a transaction token, its trust domain'),
    scope: z.string().optional().describe('of a transaction token alone: the purpose'),
    request_details: z.string().optional().describe('of a transaction token: the parameters of its credential, a JSON object'),
  })
  .meta({ id: 'TokenRequest', description: 'RFC 6749 section 4.4.2, RFC 8693 section 2.1' });

const tokenAnswer = z
  .strictObject({
    access_token: z.string(),
    token_type: tokenType,
    expires_in: z.int().min(0),
    issued_token_type: z.string().optional().describe('of an exchange'),
    scope: z.string().optional().describe('of a transaction token: its purpose'),
    authorization_details: z.array(taskDetails.extend({ identifier: taskIdSchema, locations: z.array(z.string()), credential: z.string(), ttl_seconds: z.int() }).partial({ context: true, params: true })),
  })
  .meta({ id: 'TokenAnswer', description: 'a token, and the task that it is of' });

const FORM = 'application/x-www-form-urlencoded';

export const OAUTH_OPERATIONS: OperationArea = {
  name: 'oauth',
  description: 'The same engine for OAuth clients, and for those who are shown tokens that Mayfly minted. Errors are those of OAuth.',
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
      method: 'get',
      path: '/.well-known/oauth-authorization-server',
      id: 'getAuthorizationServerMetadata',
      summary: 'What an OAuth client can know beforehand',
      caller: 'anyone',
      answers: { 200: { description: 'RFC 8414', schema: metadata } },
      problems: ['not_found'],
    },
    {
      method: 'get',
      path: '/.well-known/oauth-protected-resource',
      id: 'getProtectedResourceMetadata',
      summary: 'What a client can know of this interface beforehand',
      caller: 'anyone',
      answers: { 200: { description: 'RFC 9728', schema: resource } },
      problems: ['not_found'],
    },
    {
      method: 'get',
      path: '/oauth2/schemas/task-v1.json',
      id: 'getTaskDetailsSchema',
      summary: 'The JSON Schema of authorization details',
      caller: 'anyone',
      answers: { 200: { description: `of the type ${TASK_DETAILS_TYPE}`, mediaType: 'application/schema+json', schema: z.record(z.string(), z.unknown()) } },
    },
    {
      method: 'post',
      path: '/oauth2/token',
      id: 'requestToken',
      summary: 'Declare a task as an OAuth client, and get its token',
      description: 'The client authenticates in the body, by an assertion, or over TLS by its X.509-SVID; in an exchange its subject token is enough.',
      caller: 'anyone',
      body: tokenRequest,
      bodyType: FORM,
      answers: { 200: { description: 'the task is active, and this is its token', schema: tokenAnswer } },
      oauthErrors: ['invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope', 'invalid_target', 'invalid_authorization_details', 'access_denied', 'invalid_dpop_proof', 'use_dpop_nonce'],
    },
    {
      method: 'post',
      path: '/oauth2/introspect',
      id: 'introspect',
      summary: 'Whether a token is still good',
      description:
        'A resource server learns of its own audiences, an agent of its own tokens, an operator of all; of anything else it is said that it is not active. A client assertion in the body authenticates, too.',
      caller: 'workload_or_operator',
      body: z.object({ token: z.string().min(1), token_type_hint: z.string().optional(), ...assertion }),
      bodyType: FORM,
      answers: { 200: { description: 'what is known of the token', schema: introspection } },
      oauthErrors: [],
    },
    {
      method: 'post',
      path: '/oauth2/revoke',
      id: 'revokeToken',
      summary: 'End the task of a token',
      description: 'For the client that the token was issued to. Its other leases and its children end with it. A token that nobody knows is revoked already. A client assertion in the body authenticates, too.',
      caller: 'workload',
      body: z.object({ token: z.string().min(1), token_type_hint: z.string().optional(), ...assertion }),
      bodyType: FORM,
      answers: { 200: { description: 'the token is good for nothing', schema: z.strictObject({}) } },
      oauthErrors: ['invalid_grant', 'unauthorized_client', 'unsupported_token_type'],
    },
  ],
};
