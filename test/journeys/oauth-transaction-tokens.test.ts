import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPair as generateProofKey, generateProof } from 'dpop';
import { Redis } from 'ioredis';
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';
import { at } from '../support/at.ts';
import { dumpRedis } from '../support/dump-redis.ts';
import { RequirementTitles, TRANSACTION_REQUIREMENTS } from '../support/oauth-requirements.ts';
import { ACCESS_TOKEN, EXCHANGE, JWT, PAYMENTS, startOAuthStack, TASK_TYPE, taskDetails, type OAuthStack } from '../support/oauth-stack.ts';
import { until } from '../support/until.ts';
import { postForm, type Fields, type FormAnswer } from '../support/post-form.ts';

const TYPE = 'urn:ietf:params:oauth:token-type:';
const TXN_TOKEN = `${TYPE}txn_token`;
const DOMAIN = 'shop.example.org';
const CREDENTIAL = 'refund-transaction';
const MORE = `
@id("transactions-mint") permit (principal, action == Mayfly::Action::"mint", resource == Mayfly::Credential::"${CREDENTIAL}")
when { ["agent:refunds", "agent:payouts"].contains(principal.subject) && context.purpose == Mayfly::Purpose::"refund-investigation" && context.ttl_seconds <= 60 };
@id("transactions-delegate") permit (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"delegate", resource == Mayfly::Credential::"${CREDENTIAL}")
when { context has for_agent && context.for_agent == "agent:payouts" };
`;

let stack: OAuthStack;
let users: DevIssuer;
let folder: string;
let token: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), folder, { recursive: true });
  await writeFile(join(folder, 'transactions.cedar'), MORE);
  users = await startDevIssuer({ audience: 'mayfly-consent' });
  stack = await startOAuthStack({ policy: { directory: folder } }, users);
  token = await stack.broker.agentToken();
}, 90_000);

/** Only then: until the first of these tests is over, the broker has the defaults. */
const switchOn = (): Promise<void> =>
  stack.broker.reconfigure((config) => {
    config.oauth = { ...config.oauth, experimental_transaction_tokens: true };
    config.credentials[CREDENTIAL] = {
      ...{ kind: 'jwt', provider: 'tokens', owner: 'team-refunds', data_classes: [], audience: DOMAIN, transaction_token: true, max_ttl_seconds: 120 },
      params: { order: { type: 'string', pattern: '[0-9]{1,8}', required: false } },
    };
  });

afterAll(async () => {
  await stack.broker.stop();
  await users.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const post = (path: string, fields: Fields, headers: Readonly<Record<string, string>> = {}): Promise<FormAnswer> => postForm(stack.broker.url, path, fields, headers);

/** A request for a transaction token that is granted, but for what is said otherwise. */
const ask = (fields: Fields = {}, headers = {}): Promise<FormAnswer> =>
  post(
    '/oauth2/token',
    {
      ...{ grant_type: EXCHANGE, requested_token_type: TXN_TOKEN, audience: DOMAIN, scope: 'refund-investigation', subject_token: token, subject_token_type: JWT },
      ...{ authorization_details: taskDetails({ ttl_seconds: 60 }), ...fields },
    },
    headers,
  );
const details = (more: object): Fields => ({ authorization_details: taskDetails({ ttl_seconds: 60, ...more }) });
const refusedAs = (error: string) => ({ status: 400, body: { error, error_description: expect.any(String) } });
const granted = { status: 200, body: { access_token: expect.any(String), issued_token_type: TXN_TOKEN } };
const tokenOf = ({ body }: FormAnswer): string => String(body['access_token']);
const taskOf = ({ body }: FormAnswer): string => String((body['authorization_details'] as { identifier: string }[])[0]?.identifier);
const bearer = async () => ({ Authorization: `Bearer ${await stack.broker.operatorToken('viewer')}` });
const auditLines = async (): Promise<string[]> => (await readFile(stack.broker.stack.auditFile, 'utf8').catch(() => '')).split('\n');
const sealed = async (task: string): Promise<{ type: string; facts: Record<string, unknown> }[]> =>
  (await auditLines()).filter((line) => line.includes(task)).map((line) => (JSON.parse(line) as { event: { type: string; facts: Record<string, unknown> } }).event);

async function redisContents(): Promise<string> {
  const redis = new Redis(stack.broker.stack.redis.url);
  try {
    return await dumpRedis(redis);
  } finally {
    redis.disconnect();
  }
}

const must = new RequirementTitles(TRANSACTION_REQUIREMENTS);

describe('where it is not switched on', () => {
  it(must.of('OA-40-j'), async () => {
    expect(await ask()).toMatchObject(refusedAs('invalid_request'));
    for (const path of ['/.well-known/oauth-authorization-server', '/oauth2/schemas/task-v1.json']) expect(JSON.stringify((await stack.broker.call('GET', path, null)).body)).not.toMatch(/txn|transaction/i);
    await switchOn();
    expect(await ask()).toMatchObject(granted);
  }, 30_000);
});

describe('a transaction token', () => {
  it(must.of('OA-40-a'), async () => {
    const answer = await ask(details({ datatypes: ['pii'], params: { order: '99' } }));
    const signed = tokenOf(answer);
    expect(decodeProtectedHeader(signed)).toMatchObject({ typ: 'txntoken+jwt', alg: 'ES256', kid: expect.any(String) });
    const jwks = createRemoteJWKSet(new URL(`${stack.broker.url}/.well-known/jwks.json`));
    const { payload } = await jwtVerify(signed, jwks, { issuer: stack.broker.url, audience: DOMAIN, typ: 'txntoken+jwt', requiredClaims: ['iat', 'exp'] });
    expect(payload).toMatchObject({
      txn: taskOf(answer),
      sub: AGENT,
      scope: 'refund-investigation',
      req_wl: AGENT,
      tctx: { task: taskOf(answer), purpose: 'refund-investigation', actions: ['read'], data_classes: ['pii'], params: { order: '99' } },
      rctx: { agent_issuer: stack.broker.stack.workloads.issuer, decision: expect.stringMatching(/^dec_/) },
    });
    // Section 15.4: whoever reads it must not get what it was exchanged for.
    expect(JSON.stringify(payload)).not.toContain(token.split('.')[2]);
  });

  it(must.of('OA-40-b'), async () => {
    const { body, headers } = await ask();
    expect(body).toMatchObject({ token_type: 'N_A', issued_token_type: TXN_TOKEN, scope: 'refund-investigation', expires_in: expect.any(Number), authorization_details: [{ type: TASK_TYPE, credential: CREDENTIAL }] });
    expect(body).not.toHaveProperty('refresh_token');
    expect(headers.get('cache-control')).toBe('no-store');
    // Neither passes for the other: who asks for an access token gets none of these, and the other way about.
    for (const requested of [undefined, JWT, ACCESS_TOKEN]) expect(await ask({ requested_token_type: requested, scope: undefined })).toMatchObject(refusedAs('invalid_target'));
    expect(await ask({ audience: PAYMENTS })).toMatchObject(refusedAs('invalid_target'));
    expect(await ask({ requested_token_type: ACCESS_TOKEN, scope: undefined, audience: PAYMENTS })).toMatchObject({ status: 200, body: { token_type: 'Bearer' } });
  });

  it(must.of('OA-40-c'), async () => {
    expect(await ask({ audience: undefined })).toMatchObject(refusedAs('invalid_request'));
    expect(await ask({ scope: undefined })).toMatchObject(refusedAs('invalid_request'));
    for (const scope of ['refund-investigation data-export', 'data-export', '*']) expect(await ask({ scope })).toMatchObject(refusedAs('invalid_scope'));
    expect(await ask({ audience: 'other.example.org' })).toMatchObject(refusedAs('invalid_target'));
    expect(await ask({ resource: PAYMENTS })).toMatchObject(refusedAs('invalid_target'));
  });

  it(must.of('OA-40-d'), async () => {
    for (const type of ['refresh_token', 'self_signed', 'unsigned_json', 'saml2']) expect(await ask({ subject_token_type: `${TYPE}${type}` })).toMatchObject(refusedAs('invalid_request'));
    const held = tokenOf(await ask());
    const actor = { actor_token: token, actor_token_type: JWT };
    // Called what it is, called something else, and with an actor: each time it stands for nobody.
    for (const fields of [{ subject_token_type: TXN_TOKEN }, { subject_token_type: JWT }, { subject_token_type: ACCESS_TOKEN, ...actor }, { subject_token_type: TXN_TOKEN, ...actor }]) {
      expect(await ask({ subject_token: held, ...fields })).toMatchObject(refusedAs('invalid_request'));
    }
    expect((await ask({ subject_token: held, subject_token_type: TXN_TOKEN })).body['error_description']).toContain('is not replaced');
    expect(await ask(actor)).toMatchObject(refusedAs('invalid_request'));
    expect(await ask()).toMatchObject(granted);
  });

  it(must.of('OA-40-e'), async () => {
    const answer = await ask();
    await until(async () => (await sealed(taskOf(answer))).some(({ type }) => type === 'task.activated'), { what: 'the grant is sealed' });
    const [first, second] = await sealed(taskOf(answer));
    expect([first?.type, second?.type]).toEqual(['task.declared', 'task.activated']);
    expect(first?.facts).toMatchObject({ client_id: AGENT, credentials: [{ credential: CREDENTIAL, revocability: 'none' }] });
    // Within the bounds of the credential, and beyond those of the policy.
    expect(await ask(details({ ttl_seconds: 61 }))).toMatchObject({ status: 400, body: { error: 'access_denied', decision: { result: 'deny' } } });
  });

  it(must.of('OA-40-f'), async () => {
    expect(await ask(details({ ttl_seconds: 121 }))).toMatchObject(refusedAs('invalid_authorization_details'));
    const answer = await ask(details({ ttl_seconds: 5 }));
    const { iat = 0, exp = 0 } = decodeJwt(tokenOf(answer));
    expect(exp - iat).toBeLessThanOrEqual(6);
    const leases = (await stack.broker.call('GET', `/v1/leases?limit=500`, await stack.broker.operatorToken('viewer'))).body['items'] as { task_id: string; revocability: string; kind: string }[];
    expect(leases.find((lease) => lease.task_id === taskOf(answer))).toMatchObject({ kind: 'jwt', revocability: 'none' });
    const parent = await stack.broker.grant([], { fields: { ttl_seconds: 60, credentials: [{ name: 'task-token', ttl_seconds: 20 }, { name: CREDENTIAL, ttl_seconds: 60 }] } });
    const shown = at(parent.credentials, 0).secret['token'] ?? '';
    const child = await ask({ subject_token: shown, subject_token_type: ACCESS_TOKEN, actor_token: await stack.broker.agentToken(SECOND_AGENT), actor_token_type: JWT, authorization_details: taskDetails() });
    expect(child).toMatchObject(granted);
    expect(Number(decodeJwt(tokenOf(child)).exp)).toBeLessThanOrEqual(Number(decodeJwt(shown).exp));
  });

  it(must.of('OA-40-g'), async () => {
    const person = await users.sign({ subject: 'user:ann', claims: { may_act: { sub: AGENT } } });
    const forAnn = await ask({ subject_token: person, subject_token_type: `${TYPE}id_token`, actor_token: token, actor_token_type: JWT });
    expect(decodeJwt(tokenOf(forAnn))).toMatchObject({ sub: 'user:ann', req_wl: AGENT });
    const parent = await stack.broker.grant([], { fields: { ttl_seconds: 60, credentials: [{ name: 'task-token' }, { name: CREDENTIAL }] } });
    const inbound = at(parent.credentials, 0).secret['token'] ?? '';
    const gateway = { actor_token: await stack.broker.agentToken(SECOND_AGENT), actor_token_type: JWT };
    const passedOn = await ask({ subject_token: inbound, subject_token_type: ACCESS_TOKEN, ...gateway, authorization_details: taskDetails() });
    expect(decodeJwt(tokenOf(passedOn))).toMatchObject({ sub: AGENT, req_wl: SECOND_AGENT, txn: taskOf(passedOn) });
    // A task that holds one without asking an OAuth endpoint has the same.
    const own = at(parent.credentials, 1).secret['token'] ?? '';
    expect(decodeProtectedHeader(own)).toMatchObject({ typ: 'txntoken+jwt' });
    expect(decodeJwt(own)).toMatchObject({ txn: parent.id, req_wl: AGENT, aud: DOMAIN });
  });

  it(must.of('OA-40-h'), async () => {
    const held = tokenOf(await ask());
    const accessToken = tokenOf(await ask({ requested_token_type: ACCESS_TOKEN, scope: undefined, audience: PAYMENTS }));
    expect((await post('/oauth2/introspect', { token: held }, await bearer())).body).toEqual({ active: false });
    expect((await post('/oauth2/introspect', { token: accessToken }, await bearer())).body).toMatchObject({ active: true });
    const mine = { Authorization: `Bearer ${token}` };
    // 200 would say that it is good for nothing now, and it is good until its exp.
    expect(await post('/oauth2/revoke', { token: held }, mine)).toMatchObject(refusedAs('unsupported_token_type'));
    expect(await post('/oauth2/revoke', { token: accessToken }, mine)).toMatchObject({ status: 200 });
    expect((await stack.broker.call('GET', '/v1/whoami', held)).status).toBe(401);
    expect((await stack.broker.call('GET', '/v1/whoami', token)).status).toBe(200);
    const assertion = { client_assertion: held, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' };
    expect(await ask(assertion)).toMatchObject(refusedAs('invalid_client'));
    const proof = await generateProof(await generateProofKey('ES256'), `${stack.broker.url}/oauth2/token`, 'POST');
    expect(await ask({}, { DPoP: proof })).toMatchObject(refusedAs('invalid_dpop_proof'));
  });

  it(must.of('OA-40-i'), async () => {
    const params = ({ body }: FormAnswer): unknown => (decodeJwt(String(body['access_token']))['tctx'] as { params: unknown }).params;
    expect(params(await ask({ request_details: '{"order":"99"}' }))).toEqual({ order: '99' });
    expect(params(await ask())).toEqual({});
    for (const said of ['{"order":"all"}', '{"order":"99","admin":true}', '{"order":{"id":"99"}}', '["order"]']) expect(await ask({ request_details: said })).toMatchObject(refusedAs('invalid_authorization_details'));
    expect(await ask({ request_details: '{' })).toMatchObject(refusedAs('invalid_request'));
    expect(await ask({ request_details: '{"order":"99"}', ...details({ params: { order: '98' } }) })).toMatchObject(refusedAs('invalid_request'));
    expect(await ask({ request_context: '{"req_ip":"192.0.2.1"}' })).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('OA-41'), async () => {
    const answer = await ask();
    const held = tokenOf(answer);
    await ask({ subject_token: held, subject_token_type: ACCESS_TOKEN, actor_token: token, actor_token_type: JWT });
    await until(async () => (await sealed(taskOf(answer))).some(({ type }) => type === 'task.activated'), { what: 'the grant is sealed' });
    const kept = { log: await stack.broker.log(), audit: (await auditLines()).join('\n'), redis: await redisContents() };
    const JWS = /eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/;
    // What is looked for is found where it is, and what is looked through holds this task.
    expect(held).toMatch(JWS);
    for (const text of [kept.audit, kept.redis]) expect(text).toContain(taskOf(answer));
    for (const text of Object.values(kept)) {
      expect(text).not.toContain(held.split('.')[2]);
      expect(text).not.toMatch(JWS);
    }
  });
});

describe('the list of requirements', () => {
  it('is proved whole: add a test for each that is missing', () => {
    expect(must.missing()).toEqual([]);
  });
});
