import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, exportPKCS8, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import * as client from 'openid-client';
import { AGENT } from '../../dev/dev-identities.ts';
import { ACCESS_TOKEN, CLIENT_ID, EXCHANGE, JWT, LEDGER, PAYMENTS, startOAuthStack, taskDetails, type OAuthStack } from '../support/oauth-stack.ts';

let stack: OAuthStack;

beforeAll(async () => {
  stack = await startOAuthStack();
}, 90_000);

afterAll(() => stack.broker.stop(), 30_000);

// eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out; the stack is on loopback
const insecure = { [oauth.allowInsecureRequests]: true };

describe('oauth4webapi, unchanged', () => {
  const self = { client_id: CLIENT_ID };
  let server: oauth.AuthorizationServer;
  let auth: oauth.ClientAuth;

  beforeAll(async () => {
    const issuer = new URL(stack.broker.url);
    const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    server = await oauth.processDiscoveryResponse(issuer, discovered);
    auth = oauth.PrivateKeyJwt({ key: stack.key.privateKey, kid: stack.key.kid });
  });

  it('gets a signed token by private_key_jwt and authorization_details, which anybody verifies by the published keys', async () => {
    const response = await oauth.clientCredentialsGrantRequest(server, self, auth, { authorization_details: taskDetails({ datatypes: ['pii'], ticket: 'OPS-12' }), resource: PAYMENTS }, insecure);
    expect(response.headers.get('cache-control')).toBe('no-store');
    const answer = await oauth.processClientCredentialsResponse(server, self, response);
    expect(answer).toMatchObject({ token_type: 'bearer', authorization_details: [{ purpose: 'refund-investigation', actions: ['read'], datatypes: ['pii'], locations: [PAYMENTS], credential: 'task-token', ticket: 'OPS-12' }] });
    expect(answer.expires_in).toBeGreaterThan(290);
    expect(answer).not.toHaveProperty('refresh_token');
    const { payload } = await jwtVerify(answer.access_token, createRemoteJWKSet(new URL(String(server.jwks_uri))), { issuer: server.issuer, audience: PAYMENTS });
    const task = answer.authorization_details?.[0]?.['identifier'];
    expect(payload).toMatchObject({ sub: AGENT, client_id: CLIENT_ID, txn: task, authorization_details: [{ identifier: task, datatypes: ['pii'], locations: [PAYMENTS] }] });
    const request = new Request('https://payments.example.org/refunds', { headers: { Authorization: `Bearer ${answer.access_token}` } });
    expect(await oauth.validateJwtAccessToken(server, request, PAYMENTS, insecure)).toMatchObject({ sub: AGENT, client_id: CLIENT_ID });
  });

  it('introspects a reference, revokes it, and hears at the next call that it is dead; its task has ended', async () => {
    const granted = await oauth.processClientCredentialsResponse(server, self, await oauth.clientCredentialsGrantRequest(server, self, auth, { authorization_details: taskDetails(), resource: LEDGER }, insecure));
    const introspect = async () => oauth.processIntrospectionResponse(server, self, await oauth.introspectionRequest(server, self, auth, granted.access_token, insecure));
    const task = granted.authorization_details?.[0]?.['identifier'];
    expect(await introspect()).toMatchObject({ active: true, client_id: CLIENT_ID, aud: LEDGER, authorization_details: [{ identifier: task }] });
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, self, auth, granted.access_token, insecure));
    expect(await introspect()).toEqual({ active: false });
    const { body } = await stack.broker.call('GET', `/v1/tasks/${String(task)}`, await stack.broker.agentToken());
    expect(body).toMatchObject({ task: { state: expect.stringMatching(/^end/), end_reason: 'revoked' } });
  });

  it('exchanges the token of a workload for that of its task, without another proof', async () => {
    const parameters = { subject_token: await stack.broker.agentToken(), subject_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS };
    const response = await oauth.genericTokenEndpointRequest(server, { client_id: AGENT }, oauth.None(), EXCHANGE, parameters, insecure);
    const answer = await oauth.processGenericTokenEndpointResponse(server, { client_id: AGENT }, response);
    expect(answer).toMatchObject({ issued_token_type: ACCESS_TOKEN, token_type: 'bearer', authorization_details: [{ locations: [PAYMENTS] }] });
  });

  it('reads what went wrong in the words of OAuth', async () => {
    const denied = await oauth.clientCredentialsGrantRequest(server, self, auth, { authorization_details: taskDetails({ purpose: 'marketing' }), resource: PAYMENTS }, insecure);
    await expect(oauth.processClientCredentialsResponse(server, self, denied)).rejects.toMatchObject({ name: 'ResponseBodyError', error: 'access_denied', status: 400, cause: { decision: { result: 'deny' } } });
    const stranger = oauth.PrivateKeyJwt({ key: stack.otherKey.privateKey, kid: stack.key.kid });
    const forged = await oauth.clientCredentialsGrantRequest(server, self, stranger, { authorization_details: taskDetails(), resource: PAYMENTS }, insecure);
    await expect(oauth.processClientCredentialsResponse(server, self, forged)).rejects.toMatchObject({ error: 'invalid_client' });
  });
});

describe('openid-client, unchanged', () => {
  it('discovers, gets a token, introspects and revokes it', async () => {
    const config = await client.discovery(new URL(stack.broker.url), CLIENT_ID, undefined, client.PrivateKeyJwt({ key: stack.key.privateKey, kid: stack.key.kid }), {
      algorithm: 'oauth2',
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out; the stack is on loopback
      execute: [client.allowInsecureRequests],
    });
    const granted = await client.clientCredentialsGrant(config, { authorization_details: taskDetails({ ttl_seconds: 60 }), resource: LEDGER });
    expect(granted.expires_in).toBeLessThanOrEqual(60);
    expect(await client.tokenIntrospection(config, granted.access_token)).toMatchObject({ active: true, sub: AGENT });
    await client.tokenRevocation(config, granted.access_token);
    expect(await client.tokenIntrospection(config, granted.access_token)).toEqual({ active: false });
    const exchanged = await client.genericGrantRequest(config, EXCHANGE, { subject_token: await stack.broker.agentToken(), subject_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS });
    expect(exchanged).toMatchObject({ issued_token_type: ACCESS_TOKEN });
  });
});

/** Where `npm test` installed it; the suite is skipped, by name, where it could not be had. */
const PYTHON = process.env['MAYFLY_TEST_AUTHLIB_PYTHON'] ?? join(import.meta.dirname, '../../.mayfly/tools/authlib/bin/python');
const describeWithAuthlib = isExecutable(PYTHON) ? describe : describe.skip;

describeWithAuthlib("Python's Authlib, unchanged", () => {
  it('gets a token, introspects and revokes it, exchanges another, and reads what went wrong', async () => {
    const asked = {
      metadata_url: `${stack.broker.url}/.well-known/oauth-authorization-server`,
      client_id: CLIENT_ID,
      private_key: await exportPKCS8(stack.key.privateKey),
      subject_token: await stack.broker.agentToken(),
      authorization_details: taskDetails({ datatypes: ['pii'] }),
      resource: LEDGER,
    };
    const { stdout, stderr, status } = spawnSync(PYTHON, [join(import.meta.dirname, '../support/authlib-client.py')], { input: JSON.stringify(asked), encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    expect(JSON.parse(stdout)).toMatchObject({
      token: { access_token: expect.any(String), token_type: 'Bearer', authorization_details: [{ locations: [LEDGER], datatypes: ['pii'] }] },
      live: { active: true, sub: AGENT, client_id: CLIENT_ID },
      revoked: 200,
      dead: { active: false },
      exchanged: { issued_token_type: ACCESS_TOKEN },
      refused: { error: 'invalid_authorization_details' },
    });
  }, 30_000);
});

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
