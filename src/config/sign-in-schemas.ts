import { z } from 'zod';
import { filePath } from './config-words.ts';

const scopes = z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'a scope of OAuth 2.0')).default(['openid']);

/** Sign-in of people in a browser, at the issuer that `operators` names. */
export const signIn = z
  .strictObject({
    client_id: z.string().min(1).describe('what the issuer knows the broker by; its id tokens carry it in `aud`'),
    client_secret_file: filePath.optional().describe('a file that holds the secret of this client; read at each sign-in'),
    client_secret_by: z.enum(['basic', 'post']).default('basic').describe('how the secret is sent to the token endpoint: `client_secret_basic` or `client_secret_post`'),
    client_key_file: filePath.optional().describe('in place of a secret, a PEM private key (P-256 or Ed25519) that signs client assertions (`private_key_jwt`); its `kid` is the RFC 7638 thumbprint'),
    scopes: scopes.describe('what is asked for; `openid` always is. Add what your issuer needs to put the roles into the id token'),
    idle_minutes: z.int().min(1).max(1_440).default(30).describe('a session ends when its person has done nothing for this long'),
    max_hours: z.int().min(1).max(24).default(12).describe('a session ends after this, whatever its person does'),
    requests_per_minute_per_address: z.int().min(10).max(100_000).default(120).describe('how often one address may ask for `/auth/sign-in` and `/auth/callback`, and separately bring logout tokens that are refused, at each replica; a sign-in takes two. An IPv6 address counts with its /64. More is answered 429'),
    requests_per_minute: z.int().min(10).max(1_000_000).default(1_200).describe('the same of all addresses together, but for those from which somebody signed in'),
  })
  .describe('sign-in of people in a browser, by OpenID Connect; without it the dashboard takes a token that is pasted');

/** Sign-in of people at a terminal, at the same issuer. */
export const commandLineSignIn = z
  .strictObject({
    client_id: z.string().min(1).describe('what the issuer knows the command line by: a public client, which has no secret, with PKCE and the redirect URI `http://127.0.0.1/callback` at any port'),
    scopes: scopes.describe('what is asked for; `openid` always is. Add what your issuer needs to put the roles into the token'),
    audience_parameter: z
      .enum(['none', 'resource', 'audience'])
      .default('none')
      .describe('how the issuer is asked for an access token for `operators.audience`: `resource` (RFC 8707), `audience` (Auth0), or `none` where it needs no asking, or where the id token carries that audience'),
  })
  .describe('`mayfly login`; without it operators bring a token of their own. What stands here is told to anybody who asks');
