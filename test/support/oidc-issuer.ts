import { generateKeyPairSync, randomBytes, type JsonWebKey } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

export interface OidcIssuerOptions {
  /** Where the broker's people come back to. */
  readonly brokerUrl: string;
  readonly clients: readonly { readonly client_id: string; readonly client_secret?: string; readonly jwk?: JsonWebKey }[];
}

/** A real OpenID provider (oidc-provider) on loopback, with people who sign in by being named. */
export interface OidcIssuer {
  readonly issuer: string;
  /** Who signs in next, and with which roles. */
  person: { readonly subject: string; readonly roles: readonly string[] };
  /** How often somebody had to say who they are. */
  picks: number;
  stop(): Promise<void>;
}

/** What it knows the command line by. */
export const COMMAND_LINE = {
  client_id: 'by-loopback',
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
  response_types: ['code'],
  id_token_signed_response_alg: 'ES256',
} as const;

const showForm = (ctx: { body: string }, form: string): void => void (ctx.body = form);

export async function startOidcIssuer({ brokerUrl, clients }: OidcIssuerOptions): Promise<OidcIssuer> {
  const server = createServer((request, response) => void answer(request, response).catch((error: unknown) => response.destroy(error as Error)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = new Provider(issuer, {
    clients: [{ ...COMMAND_LINE }, ...clients.map(({ jwk, ...client }) => ({
      ...client,
      ...(jwk === undefined ? {} : { jwks_uri: `${issuer}/keys-of/${client.client_id}`, token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256' }),
      redirect_uris: [`${brokerUrl}/auth/callback`],
      post_logout_redirect_uris: [`${brokerUrl}/`],
      backchannel_logout_uri: `${brokerUrl}/auth/back-channel-logout`,
      backchannel_logout_session_required: true,
      id_token_signed_response_alg: 'ES256',
    }))],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'oidc', alg: 'ES256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    claims: { openid: ['sub'], mayfly: ['roles'] },
    scopes: ['openid', 'mayfly'],
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true, userCodeInputSource: showForm, userCodeConfirmSource: showForm, successSource: (ctx: { body: string }) => void (ctx.body = 'done') },
      resourceIndicators: { enabled: true, getResourceServerInfo: (_ctx: unknown, audience: string) => ({ scope: '', audience, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }) },
      backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true, logoutSource: (ctx: { body: string }, form: string) => void (ctx.body = form) },
    },
    extraTokenClaims: () => ({ roles: running.person.roles }),
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/pick/${uid}` },
    renderError: (ctx: { body: string }, out: object) => void (ctx.body = JSON.stringify(out)),
    fetch: (url: string, options: RequestInit) => fetch(url, options),
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    findAccount: (_ctx: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, roles: running.person.roles }) }),
  });
  const handle = provider.callback();

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const keysOf = clients.find(({ client_id: id }) => request.url === `/keys-of/${id}`);
    if (keysOf !== undefined) {
      response.writeHead(200, { 'Content-Type': 'application/jwk-set+json' }).end(JSON.stringify({ keys: [keysOf.jwk] }));
      return;
    }
    if (request.url?.startsWith('/pick/') !== true) return handle(request, response);
    const { params } = await provider.interactionDetails(request, response);
    const { subject } = running.person;
    running.picks += 1;
    const grant = new provider.Grant({ accountId: subject, clientId: params['client_id'] ?? '' });
    grant.addOIDCScope('openid mayfly');
    return provider.interactionFinished(request, response, { login: { accountId: subject }, consent: { grantId: await grant.save() } });
  }

  const running: OidcIssuer = {
    issuer,
    person: { subject: 'olga', roles: ['mayfly-operator'] },
    picks: 0,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return running;
}
