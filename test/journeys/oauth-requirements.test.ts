import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateThumbprint, generateKeyPair as generateProofKey, generateProof } from 'dpop';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { startBrokerProcess, type BrokerProcess } from '../../dev/broker-process.ts';
import { freePort } from '../../dev/run-server.ts';
import { OAUTH_REQUIREMENTS, RequirementTitles } from '../support/oauth-requirements.ts';
import { postForm, type Fields, type FormAnswer } from '../support/post-form.ts';
import {
  ACCESS_TOKEN, CLIENT_ID, EXCHANGE, JWT, JWT_BEARER, JWT_SPIFFE, LEDGER, newClientKey, OTHER_CLIENT_ID, PAYMENTS, SPIFFE_AGENT, startOAuthStack, TASK_TYPE, taskDetails, type OAuthStack,
} from '../support/oauth-stack.ts';

let stack: OAuthStack;
let replica: BrokerProcess;
let replicaUrl: string;

beforeAll(async () => {
  stack = await startOAuthStack();
  const [port, metricsPort] = [await freePort(), await freePort()];
  replicaUrl = `http://127.0.0.1:${port}`;
  const { configFile, directory } = stack.broker.stack;
  replica = await startBrokerProcess({
    configFile, url: replicaUrl, logFile: join(directory, 'replica.log'), role: 'api',
    env: { MAYFLY_HTTP__PORT: String(port), MAYFLY_HTTP__METRICS_PORT: String(metricsPort) },
  });
}, 90_000);

afterAll(async () => {
  await replica.stop();
  await stack.broker.stop();
}, 30_000);

const post = (path: string, fields: Fields | string, headers: Readonly<Record<string, string>> = {}, url = stack.broker.url): Promise<FormAnswer> => postForm(url, path, fields, headers);

const assertionOf = async (claims: Readonly<Record<string, unknown>> = {}): Promise<Fields> => ({ client_assertion_type: JWT_BEARER, client_assertion: await stack.assertion(claims) });
const byOther = async (): Promise<Fields> => ({
  client_assertion_type: JWT_BEARER,
  client_assertion: await stack.assertion({ iss: OTHER_CLIENT_ID, sub: OTHER_CLIENT_ID }, stack.otherKey),
});
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

/** A client_credentials request that is granted, but for what is said otherwise. */
const ask = async (fields: Fields = {}, proof?: Fields): Promise<FormAnswer> =>
  post('/oauth2/token', { grant_type: 'client_credentials', authorization_details: taskDetails(), resource: PAYMENTS, ...(proof ?? (await assertionOf())), ...fields });
const exchange = async (fields: Fields = {}): Promise<FormAnswer> =>
  post('/oauth2/token', { grant_type: EXCHANGE, subject_token: await stack.broker.agentToken(), subject_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS, ...fields });
const details = (more: object): Fields => ({ authorization_details: taskDetails({ ...more }) });

const refusedAs = (error: string, status = 400) => ({ status, body: { error, error_description: expect.any(String) } });
const granted = { status: 200, body: { access_token: expect.any(String) } };
const tokenOf = ({ body }: FormAnswer): string => String(body['access_token']);
const taskOf = ({ body }: FormAnswer): string => String((body['authorization_details'] as { identifier: string }[])[0]?.identifier);
const introspect = async (token: string, more: Fields = {}, url?: string): Promise<FormAnswer> => post('/oauth2/introspect', { token, ...more, ...(await assertionOf()) }, {}, url);
const revoke = async (token: string, more: Fields = {}): Promise<FormAnswer> => post('/oauth2/revoke', { token, ...(await assertionOf()), ...more });
const liveTasks = async (): Promise<number> => {
  const { body } = await stack.broker.call('GET', '/v1/tasks?state=active&limit=500', await stack.broker.agentToken());
  return (body['items'] as unknown[]).length;
};

const must = new RequirementTitles(OAUTH_REQUIREMENTS);

describe('RFC 6749, the requests and answers', () => {
  it(must.of('6749-2.3-a'), async () => {
    const twice = await post('/oauth2/introspect', { token: 'x', ...(await assertionOf()) }, bearer(await stack.broker.agentToken()));
    expect(twice).toMatchObject(refusedAs('invalid_request'));
    expect(await ask({ client_secret: 'hunter2' })).toMatchObject(refusedAs('invalid_client'));
  });

  it(must.of('6749-3.2-a'), async () => {
    const response = await fetch(`${stack.broker.url}/oauth2/token?grant_type=client_credentials`);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    const inUrl = await fetch(`${stack.broker.url}/oauth2/token?grant_type=client_credentials`, { method: 'POST', body: new URLSearchParams({ a: 'b' }) });
    expect([inUrl.status, await inUrl.json()]).toMatchObject([400, { error: 'invalid_request' }]);
    expect(await post('/oauth2/token', '{}', { 'Content-Type': 'application/json' })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('6749-3.2-b'), async () => {
    expect(await ask({ scope: '', client_id: '' })).toMatchObject(granted);
    expect(await ask({ authorization_details: '' })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('6749-3.2-c'), async () => {
    expect(await ask({ something_else: 'x' })).toMatchObject(granted);
  });

  it(must.of('6749-3.2-d'), async () => {
    const once = new URLSearchParams({ grant_type: 'client_credentials', authorization_details: taskDetails(), resource: PAYMENTS, ...((await assertionOf()) as Record<string, string>) }).toString();
    expect(await post('/oauth2/token', `${once}&grant_type=client_credentials`)).toMatchObject(refusedAs('invalid_request'));
    expect(await post('/oauth2/token', once)).toMatchObject(granted);
  });

  it(must.of('6749-5.1-a'), async () => {
    const { headers } = await ask();
    expect([headers.get('cache-control'), headers.get('pragma'), headers.get('content-type')]).toEqual(['no-store', 'no-cache', 'application/json; charset=utf-8']);
  });

  it(must.of('6749-5.2-a'), async () => {
    expect(await ask({ grant_type: 'password' })).toMatchObject(refusedAs('unsupported_grant_type'));
    expect(await ask({ grant_type: undefined })).toMatchObject(refusedAs('invalid_request'));
    expect(await ask({ scope: 'everything' })).toMatchObject(refusedAs('invalid_scope'));
    expect(await ask({}, {})).toMatchObject(refusedAs('invalid_client'));
    expect(await post('/oauth2/token', 'a'.repeat(65 * 1024))).toMatchObject(refusedAs('invalid_request', 413));
    expect(await ask(details({ purpose: 'data-export', actions: ['export'] }))).toMatchObject({ status: 400, body: { error: 'access_denied', decision: { result: expect.any(String) } } });
  });

  it(must.of('6749-5.2-b'), async () => {
    const basic = await post('/oauth2/token', { grant_type: 'client_credentials' }, { Authorization: `Basic ${btoa('a:b')}` });
    expect(basic).toMatchObject(refusedAs('invalid_client', 401));
    expect(basic.headers.get('www-authenticate')).toMatch(/^Basic /);
  });
});

describe('RFC 7521 and 7523, client assertions', () => {
  it(must.of('7523-3-a'), async () => {
    for (const claims of [{ iss: 'stranger' }, { sub: 'stranger' }, { iss: undefined }, { sub: undefined }, { iss: OTHER_CLIENT_ID, sub: OTHER_CLIENT_ID }]) {
      expect(await ask({}, await assertionOf(claims))).toMatchObject(refusedAs('invalid_client'));
    }
    expect(await ask()).toMatchObject(granted);
  });

  it(must.of('7523-3-b'), async () => {
    for (const aud of ['https://elsewhere.test', undefined, `${stack.broker.url}/`, [stack.broker.url, 'https://elsewhere.test']]) {
      expect(await ask({}, await assertionOf({ aud }))).toMatchObject(refusedAs('invalid_client'));
    }
    for (const aud of [stack.broker.url, `${stack.broker.url}/oauth2/token`]) expect(await ask({}, await assertionOf({ aud }))).toMatchObject(granted);
  });

  it(must.of('7523-3-c'), async () => {
    const nowSeconds = Math.floor(Date.now() / 1000);
    for (const claims of [{ exp: undefined }, { exp: nowSeconds - 60 }, { exp: nowSeconds + 7_200 }, { nbf: nowSeconds + 120 }, { iat: nowSeconds + 120 }]) {
      expect(await ask({}, await assertionOf(claims))).toMatchObject(refusedAs('invalid_client'));
    }
  });

  it(must.of('7523-3-d'), async () => {
    expect(await ask({}, await assertionOf({ jti: undefined }))).toMatchObject(refusedAs('invalid_client'));
    const proof = await assertionOf();
    expect(await ask({}, proof)).toMatchObject(granted);
    expect(await ask({}, proof)).toMatchObject(refusedAs('invalid_client'));
    expect(await post('/oauth2/introspect', { token: 'x', ...proof }, {}, replicaUrl)).toMatchObject(refusedAs('invalid_client', 401));
  });

  it(must.of('7523-3-e'), async () => {
    const stranger = await newClientKey(stack.key.kid);
    const forged = { client_assertion_type: JWT_BEARER, client_assertion: await stack.assertion({}, stranger) };
    expect(await ask({}, forged)).toMatchObject(refusedAs('invalid_client'));
    const [, payload] = (await stack.assertion()).split('.');
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload ?? ''}.AA`;
    expect(await ask({}, { client_assertion_type: JWT_BEARER, client_assertion: none })).toMatchObject(refusedAs('invalid_client'));
    const asToken = { client_assertion_type: JWT_BEARER, client_assertion: await stack.assertion({}, stack.key, { typ: 'at+jwt' }) };
    expect(await ask({}, asToken)).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({}, { ...(await assertionOf()), client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:saml2-bearer' })).toMatchObject(refusedAs('invalid_client'));
    // A token of ours is no proof of who holds it.
    expect(await ask({}, { client_assertion_type: JWT_BEARER, client_assertion: tokenOf(await ask()) })).toMatchObject(refusedAs('invalid_client'));
  });

  it(must.of('7521-4.2-a'), async () => {
    expect(await ask({ client_id: OTHER_CLIENT_ID })).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({ client_id: CLIENT_ID })).toMatchObject(granted);
    expect(await ask({}, { client_assertion: await stack.assertion() })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('SPIFFE-client-auth'), async () => {
    const by = (type: string, token: string): Fields => ({ client_assertion_type: type, client_assertion: token });
    for (const type of [JWT_SPIFFE, JWT_BEARER]) {
      // Whom policy does not know it denies: the SVID was accepted.
      expect(await ask({}, by(type, await stack.svid()))).toMatchObject(refusedAs('access_denied'));
      expect(await ask({}, by(type, await stack.svid('https://elsewhere.test')))).toMatchObject(refusedAs('invalid_client'));
      expect(await ask({ client_id: CLIENT_ID }, by(type, await stack.svid()))).toMatchObject(refusedAs('invalid_client'));
    }
    expect(await ask({}, by(JWT_SPIFFE, await stack.broker.agentToken()))).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({}, by(JWT_BEARER, await stack.broker.agentToken()))).toMatchObject(granted);
    expect(await ask({}, by(JWT_BEARER, await stack.broker.operatorToken('admin')))).toMatchObject(refusedAs('invalid_client'));
    // Signed by a client's own key: its trust domain never said so.
    expect(await ask({}, by(JWT_SPIFFE, await stack.assertion({ iss: SPIFFE_AGENT, sub: SPIFFE_AGENT, aud: 'mayfly-dev' })))).toMatchObject(refusedAs('invalid_client'));
  });
});

describe('RFC 8693, token exchange', () => {
  it(must.of('OA-1'), async () => {
    expect(await exchange()).toMatchObject(granted);
    expect(await exchange({ subject_token: undefined })).toMatchObject(refusedAs('invalid_request'));
    expect(await exchange({ subject_token_type: undefined })).toMatchObject(refusedAs('invalid_request'));
    expect(await exchange({ actor_token: await stack.broker.agentToken(SECOND_AGENT) })).toMatchObject(refusedAs('invalid_request'));
    expect(await exchange({ actor_token_type: JWT })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('OA-2'), async () => {
    const answer = await exchange();
    expect(answer.body).toMatchObject({ access_token: expect.any(String), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: expect.any(Number) });
    expect(answer.body).not.toHaveProperty('refresh_token');
    expect((await exchange({ requested_token_type: JWT })).body).toMatchObject({ issued_token_type: JWT });
    expect(await exchange({ requested_token_type: JWT, resource: LEDGER })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('OA-3'), async () => {
    for (const token of ['x.y.z', await stack.broker.operatorToken('admin'), await stack.broker.stack.workloads.sign({ subject: AGENT, audience: 'another' })]) {
      expect(await exchange({ subject_token: token })).toMatchObject(refusedAs('invalid_request'));
    }
    for (const resource of ['https://nowhere.example.org', `${PAYMENTS}#part`, '/relative', 'payments']) expect(await exchange({ resource })).toMatchObject(refusedAs('invalid_target'));
    expect(await exchange({ resource: undefined, audience: 'https://nowhere.example.org' })).toMatchObject(refusedAs('invalid_target'));
  });

  it(must.of('OA-4'), async () => {
    for (const type of ['access_token', 'jwt', 'id_token']) expect(await exchange({ subject_token_type: `urn:ietf:params:oauth:token-type:${type}` })).toMatchObject(granted);
    for (const type of ['refresh_token', 'saml2', 'anything']) {
      expect(await exchange({ subject_token_type: `urn:ietf:params:oauth:token-type:${type}` })).toMatchObject(refusedAs('invalid_request'));
      expect(await exchange({ requested_token_type: `urn:ietf:params:oauth:token-type:${type}` })).toMatchObject(refusedAs('invalid_request'));
    }
  });

  it(must.of('8693-1.1-a'), async () => {
    expect(await exchange(await byOther())).toMatchObject(refusedAs('invalid_request'));
    expect(await exchange({ client_id: SECOND_AGENT })).toMatchObject(refusedAs('invalid_client'));
    expect(await exchange(await assertionOf())).toMatchObject(granted);
    expect(await exchange({ client_id: AGENT })).toMatchObject(granted);
  });
});

describe('RFC 9396, authorization details', () => {
  it(must.of('9396-2-a'), async () => {
    const one = { type: TASK_TYPE, purpose: 'refund-investigation', actions: ['read'] };
    for (const value of ['{', '{}', '[]', '"x"', '[1]', '[{}]', JSON.stringify(one), JSON.stringify([one, one])]) {
      expect(await ask({ authorization_details: value })).toMatchObject(refusedAs('invalid_authorization_details'));
    }
    expect(await ask({ authorization_details: JSON.stringify([one]) })).toMatchObject(granted);
  });

  const faults = [
    ['9396-5-a', [{ type: 'payment_initiation' }, { type: undefined }, { type: 7 }]],
    ['9396-5-b', [{ colour: 'red' }, { identifier: 'tsk_00000000000000000000000000000000' }, { agent: SECOND_AGENT }, { credentials: [{ name: 'orders-db' }] }]],
    ['9396-5-c', [{ actions: 'read' }, { ttl_seconds: '60' }, { context: [] }, { locations: PAYMENTS }]],
    ['9396-5-d', [{ ttl_seconds: 0 }, { ttl_seconds: 86_400 }, { actions: ['Read!'] }, { locations: ['payments'] }, { credential: 'orders-db' }, { params: { a: 'b' } }]],
  ] as const;
  it.each(faults.map(([id, values]) => [must.of(id), values] as const))('%s', async (_title, values) => {
    const before = await liveTasks();
    for (const value of values) expect(await ask(details(value))).toMatchObject(refusedAs('invalid_authorization_details'));
    expect(await liveTasks()).toBe(before);
    expect(await ask()).toMatchObject(granted);
  });

  it(must.of('9396-5-e'), async () => {
    const before = await liveTasks();
    expect(await ask(details({ purpose: undefined }))).toMatchObject(refusedAs('invalid_authorization_details'));
    expect(await ask(details({ actions: undefined }))).toMatchObject(refusedAs('invalid_authorization_details'));
    expect(await ask({ authorization_details: undefined })).toMatchObject(refusedAs('invalid_request'));
    expect(await liveTasks()).toBe(before);
  });

  it(must.of('9396-7-a'), async () => {
    const answer = await ask({ ...details({ datatypes: ['pii'], ttl_seconds: 60, locations: [LEDGER], justification: 'order 99' }), resource: undefined });
    const given = { type: TASK_TYPE, purpose: 'refund-investigation', actions: ['read'], datatypes: ['pii'], ttl_seconds: 60, locations: [LEDGER], justification: 'order 99' };
    expect(answer.body['authorization_details']).toEqual([{ ...given, identifier: expect.stringMatching(/^tsk_/), credential: 'task-reference' }]);
    const { body } = await stack.broker.call('GET', `/v1/tasks/${taskOf(answer)}`, await stack.broker.agentToken());
    expect(body).toMatchObject({ task: { state: 'active', purpose: 'refund-investigation', data_classes: ['pii'], ttl_seconds: 60, justification: 'order 99' }, credentials: [{ name: 'task-reference' }] });
  });

  it(must.of('9396-9-a'), async () => {
    const answer = await ask(details({ datatypes: ['pii'] }));
    const told = [{ type: TASK_TYPE, identifier: taskOf(answer), purpose: 'refund-investigation', actions: ['read'], datatypes: ['pii'], locations: [PAYMENTS] }];
    expect(decodeJwt(tokenOf(answer))['authorization_details']).toEqual(told);
    expect((await introspect(tokenOf(answer))).body['authorization_details']).toEqual(told);
  });

  it(must.of('OA-10'), async () => {
    const response = await fetch(`${stack.broker.url}/oauth2/schemas/task-v1.json`);
    expect(response.headers.get('content-type')).toMatch(/^application\/schema\+json/);
    expect(await response.json()).toMatchObject({ type: 'object', additionalProperties: false, required: ['type', 'purpose', 'actions'], properties: { type: { const: TASK_TYPE } } });
  });
});

describe('RFC 7662, introspection', () => {
  it(must.of('OA-20'), async () => {
    const token = tokenOf(await ask());
    const unproved = await post('/oauth2/introspect', { token });
    expect(unproved).toMatchObject(refusedAs('invalid_client', 401));
    expect(unproved.headers.get('www-authenticate')).toMatch(/^Bearer /);
    expect(await post('/oauth2/introspect', { token }, bearer('x.y.z'))).toMatchObject(refusedAs('invalid_client', 401));
    // An agent for its own, a resource server for its audiences, an operator for all.
    for (const proof of [await stack.broker.agentToken(), await stack.broker.agentToken(SECOND_AGENT), await stack.broker.operatorToken('viewer')]) {
      expect((await post('/oauth2/introspect', { token }, bearer(proof))).body).toMatchObject({ active: true });
    }
  });

  it(must.of('7662-2.1-a'), async () => {
    const proof = bearer(await stack.broker.agentToken());
    expect(await post('/oauth2/introspect', {}, proof)).toMatchObject(refusedAs('invalid_request'));
    expect(await post('/oauth2/introspect', '{}', { ...proof, 'Content-Type': 'application/json' })).toMatchObject(refusedAs('invalid_request'));
    expect((await fetch(`${stack.broker.url}/oauth2/introspect?token=x`, { headers: proof })).status).toBe(405);
  });

  it(must.of('7662-2.1-b'), async () => {
    const token = tokenOf(await ask());
    for (const hint of ['refresh_token', 'anything']) expect((await introspect(token, { token_type_hint: hint })).body).toMatchObject({ active: true });
  });

  it(must.of('7662-2.2-a'), async () => {
    for (const resource of [PAYMENTS, LEDGER]) {
      const answer = await ask({ resource });
      expect((await introspect(tokenOf(answer))).body).toMatchObject({
        active: true, iss: stack.broker.url, sub: AGENT, aud: resource, client_id: CLIENT_ID, token_type: 'Bearer', txn: taskOf(answer),
        exp: expect.any(Number), iat: expect.any(Number), nbf: expect.any(Number), jti: expect.stringMatching(/^lse_/),
      });
    }
  });

  it(must.of('7662-2.2-b'), async () => {
    const token = tokenOf(await ask());
    const ended = tokenOf(await ask({ resource: LEDGER }));
    await revoke(ended);
    const unknown = ['x', 'x.y.z', 'mfr_lse_00000000000000000000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', `${token.slice(0, -4)}AAAA`, ended, await stack.broker.agentToken()];
    for (const other of unknown) expect(await introspect(other)).toMatchObject({ status: 200, body: { active: false } });
    for (const other of unknown) expect(Object.keys((await introspect(other)).body)).toEqual(['active']);
    const stranger = await post('/oauth2/introspect', { token }, bearer(await stack.broker.agentToken('agent:stranger')));
    expect([stranger.status, stranger.body]).toEqual([200, { active: false }]);
  });

  it(must.of('7662-4-a'), async () => {
    for (const resource of [PAYMENTS, LEDGER]) {
      const token = tokenOf(await ask({ resource }));
      expect((await introspect(token, {}, replicaUrl)).body).toMatchObject({ active: true });
      await revoke(token);
      expect((await introspect(token, {}, replicaUrl)).body).toEqual({ active: false });
    }
  });
});

describe('RFC 7009, revocation', () => {
  it(must.of('OA-21'), async () => {
    // A task with a database login beside its token: both die of the token's revocation.
    const task = await stack.broker.grant(['orders-db', 'task-reference']);
    const [login, reference] = task.credentials;
    if (login === undefined || reference === undefined) throw new Error('not granted');
    expect(await stack.broker.canLogIn(login)).toBe(true);
    expect(await revoke(reference.secret['token'] ?? '')).toMatchObject({ status: 200, body: {} });
    const ended = await stack.broker.complete(task);
    expect(ended.body).toMatchObject({ task: { end_reason: 'revoked' }, credentials: [{ state: 'revoked' }, { state: 'revoked' }] });
    expect(await stack.broker.canLogIn(login)).toBe(false);
  });

  it(must.of('7009-2.1-a'), async () => {
    const token = tokenOf(await ask());
    expect(await post('/oauth2/revoke', { token })).toMatchObject(refusedAs('invalid_client', 401));
    expect(await post('/oauth2/revoke', { token }, bearer(await stack.broker.operatorToken('admin')))).toMatchObject(refusedAs('unauthorized_client'));
    expect(await revoke('')).toMatchObject(refusedAs('invalid_request'));
    expect((await introspect(token)).body).toMatchObject({ active: true });
  });

  it(must.of('7009-2.1-b'), async () => {
    const token = tokenOf(await ask());
    expect(await revoke(token, await byOther())).toMatchObject(refusedAs('invalid_grant'));
    expect((await introspect(token)).body).toMatchObject({ active: true });
  });

  it(must.of('7009-2.1-c'), async () => {
    const token = tokenOf(await ask());
    expect((await revoke(token, { token_type_hint: 'refresh_token' })).status).toBe(200);
    expect((await introspect(token)).body).toEqual({ active: false });
  });

  it(must.of('7009-2.2-a'), async () => {
    const token = tokenOf(await ask());
    for (const each of ['x.y.z', token, token]) expect(await revoke(each)).toMatchObject({ status: 200, body: {} });
  });
});

describe('RFC 9449, at the token endpoint', () => {
  const endpoint = (): string => `${stack.broker.url}/oauth2/token`;
  const bound = async (proof: string): Promise<FormAnswer> =>
    post('/oauth2/token', { grant_type: 'client_credentials', authorization_details: taskDetails(), resource: PAYMENTS, ...(await assertionOf()) }, { DPoP: proof });

  it(must.of('9449-5-a'), async () => {
    const pair = await generateProofKey('ES256');
    const answer = await bound(await generateProof(pair, endpoint(), 'POST'));
    expect(answer.body).toMatchObject({ token_type: 'DPoP' });
    expect(decodeJwt(tokenOf(answer))['cnf']).toEqual({ jkt: await calculateThumbprint(pair.publicKey) });
    expect((await ask()).body).toMatchObject({ token_type: 'Bearer' });
  });

  it(must.of('9449-5-b'), async () => {
    const pair = await generateProofKey('ES256');
    const once = await generateProof(pair, endpoint(), 'POST');
    expect(await bound(once)).toMatchObject(granted);
    for (const proof of [once, 'x.y.z', await generateProof(pair, endpoint(), 'GET'), await generateProof(pair, `${replicaUrl}/oauth2/token`, 'POST')]) {
      expect(await bound(proof)).toMatchObject(refusedAs('invalid_dpop_proof'));
    }
  });

  it(must.of('9449-6.2-a'), async () => {
    const pair = await generateProofKey('ES256');
    const token = tokenOf(await bound(await generateProof(pair, endpoint(), 'POST')));
    expect((await introspect(token)).body).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: await calculateThumbprint(pair.publicKey) } });
  });
});

describe('RFC 8414 and 8707', () => {
  it(must.of('OA-30'), async () => {
    const metadata = (await stack.broker.call('GET', '/.well-known/oauth-authorization-server', null)).body;
    expect(metadata).toMatchObject({
      issuer: stack.broker.url,
      grant_types_supported: ['client_credentials', EXCHANGE],
      response_types_supported: [],
      authorization_details_types_supported: [TASK_TYPE],
      token_endpoint_auth_methods_supported: expect.arrayContaining(['private_key_jwt']),
      token_endpoint_auth_signing_alg_values_supported: expect.arrayContaining(['ES256']),
    });
    expect(JSON.stringify(metadata)).not.toMatch(/"none"[^\]]*alg|HS256|client_secret/);
    for (const name of ['token_endpoint', 'introspection_endpoint', 'revocation_endpoint']) {
      expect((await fetch(String(metadata[name]), { method: 'POST', body: new URLSearchParams({ a: 'b' }) })).status).toBeLessThan(402);
    }
    expect((await fetch(String(metadata['jwks_uri']))).status).toBe(200);
    expect((await fetch(`${stack.broker.url}/.well-known/oauth-authorization-server/elsewhere`)).status).toBe(404);
  });

  it(must.of('OA-31'), async () => {
    const unproved = await stack.broker.call('GET', '/v1/whoami', null);
    const [, where = ''] = /resource_metadata="([^"]+)"/.exec(unproved.headers.get('www-authenticate') ?? '') ?? [];
    expect(where).toBe(`${stack.broker.url}/.well-known/oauth-protected-resource`);
    const resource = new URL(stack.broker.url);
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out; the stack is on loopback
    const found = await oauth.resourceDiscoveryRequest(resource, { [oauth.allowInsecureRequests]: true });
    const told = (await found.clone().json()) as Record<string, unknown>;
    expect(told).toMatchObject({ resource: stack.broker.url, bearer_methods_supported: ['header'], tls_client_certificate_bound_access_tokens: true });
    expect((await stack.broker.call('GET', '/.well-known/oauth-protected-resource', null)).body).toEqual(told);
    expect((await fetch(`${where}/elsewhere`)).status).toBe(404);
  });

  it(must.of('OA-32'), async () => {
    expect(decodeJwt(tokenOf(await ask()))['aud']).toBe(PAYMENTS);
    expect((await introspect(tokenOf(await ask({ resource: LEDGER })))).body['aud']).toBe(LEDGER);
    expect(await ask({ resource: undefined })).toMatchObject(refusedAs('invalid_target'));
    expect(await ask({ resource: undefined, ...details({ credential: 'task-token' }) })).toMatchObject(granted);
    expect(await ask(details({ credential: 'task-reference' }))).toMatchObject(refusedAs('invalid_target'));
    expect(await ask(details({ locations: [LEDGER] }))).toMatchObject(refusedAs('invalid_target'));
    const two = new URLSearchParams({ grant_type: 'client_credentials', authorization_details: taskDetails(), resource: PAYMENTS, ...((await assertionOf()) as Record<string, string>) });
    two.append('resource', LEDGER);
    expect(await post('/oauth2/token', two.toString())).toMatchObject(refusedAs('invalid_target'));
  });
});

describe('with Redis away', () => {
  it(must.of('7009-2.2.1-a'), async () => {
    const answer = await ask();
    const proof = bearer(await stack.broker.agentToken());
    await stack.broker.stack.redis.stop();
    for (const path of ['/oauth2/revoke', '/oauth2/introspect']) {
      const refused = await post(path, { token: tokenOf(answer) }, proof);
      expect(refused).toMatchObject(refusedAs('temporarily_unavailable', 503));
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect(await ask()).toMatchObject(refusedAs('temporarily_unavailable', 503));
  });
});

describe('the list of requirements', () => {
  it('is proved whole: add a test for each that is missing', () => {
    expect(must.missing()).toEqual([]);
  });
});
