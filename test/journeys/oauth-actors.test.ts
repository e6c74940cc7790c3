import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPair as generateProofKey, generateProof } from 'dpop';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { ACTOR_REQUIREMENTS, RequirementTitles } from '../support/oauth-requirements.ts';
import { ACCESS_TOKEN, EXCHANGE, JWT, JWT_BEARER, LEDGER, OTHER_CLIENT_ID, PAYMENTS, startOAuthStack, taskDetails, type OAuthStack } from '../support/oauth-stack.ts';
import { until } from '../support/until.ts';
import { at } from '../support/at.ts';
import { postForm, type Fields, type FormAnswer } from '../support/post-form.ts';

const [THIRD, FOURTH, FIFTH, BUSY, MINTLESS] = ['agent:third', 'agent:fourth', 'agent:fifth', 'agent:busy', 'agent:mintless'] as const;
const USER = 'user:ann';
const MORE = `
@id("actors-mint") permit (principal, action == Mayfly::Action::"mint", resource) when { ["agent:third", "agent:fourth", "agent:fifth", "agent:busy"].contains(principal.subject) };
@id("actors-delegate") permit (principal, action == Mayfly::Action::"delegate", resource)
when { context has for_agent && ["agent:refunds", "agent:payouts", "agent:third", "agent:fourth", "agent:fifth", "agent:busy", "agent:mintless"].contains(context.for_agent) };
@id("consented-export") permit (principal == Mayfly::Agent::"agent:refunds", action == Mayfly::Action::"mint", resource == Mayfly::Credential::"task-token")
when { context.purpose == Mayfly::Purpose::"data-export" && context.evidence == "user_consented" && context has subject && context.subject == "${USER}" };
`;
/** For all that one agent holds in this suite, and to be filled by another: what signs a token lapses with it. */
const ROOM = 80;

let stack: OAuthStack;
let users: DevIssuer;
let folder: string;
const tokens = new Map<string, string>();
const tokenOf = (agent: string): string => tokens.get(agent) ?? '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), folder, { recursive: true });
  await writeFile(join(folder, 'actors.cedar'), MORE);
  users = await startDevIssuer({ audience: 'mayfly-consent' });
  stack = await startOAuthStack({ policy: { directory: folder }, limits: { live_leases_per_agent: ROOM } }, users);
  for (const agent of [AGENT, SECOND_AGENT, THIRD, FOURTH, FIFTH, BUSY, MINTLESS, 'agent:stranger']) tokens.set(agent, await stack.broker.agentToken(agent));
}, 90_000);

afterAll(async () => {
  await stack.broker.stop();
  await users.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const post = (path: string, fields: Fields, headers: Readonly<Record<string, string>> = {}): Promise<FormAnswer> => postForm(stack.broker.url, path, fields, headers);

/** An exchange of the token of a task, or of a person, by an agent that acts. */
const actFor = (subjectToken: string, actor: string, fields: Fields = {}, headers = {}): Promise<FormAnswer> =>
  post(
    '/oauth2/token',
    { grant_type: EXCHANGE, subject_token: subjectToken, subject_token_type: ACCESS_TOKEN, actor_token: tokenOf(actor), actor_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS, ...fields },
    headers,
  );
const details = (more: object): Fields => ({ authorization_details: taskDetails({ ...more }) });
const refusedAs = (error: string) => ({ status: 400, body: { error, error_description: expect.any(String) } });
const granted = { status: 200, body: { access_token: expect.any(String), issued_token_type: ACCESS_TOKEN } };
const accessOf = ({ body }: FormAnswer): string => String(body['access_token']);
const taskOf = ({ body }: FormAnswer): string => String((body['authorization_details'] as { identifier: string }[])[0]?.identifier);
const introspect = async (token: string): Promise<Record<string, unknown>> => (await post('/oauth2/introspect', { token }, { Authorization: `Bearer ${await stack.broker.operatorToken('viewer')}` })).body;

interface Parent {
  readonly id: string;
  readonly token: string;
  readonly reference: string;
}
/** A live task of an agent, with a signed token and a reference. */
async function parentOf(agent: string = AGENT, fields: object = {}): Promise<Parent> {
  const task = await stack.broker.grant(['task-token', 'task-reference'], { token: tokenOf(agent), ttlSeconds: 120, fields });
  return { id: task.id, token: at(task.credentials, 0).secret['token'] ?? '', reference: at(task.credentials, 1).secret['token'] ?? '' };
}
const complete = (id: string, agent: string = AGENT) => stack.broker.call('POST', `/v1/tasks/${id}/complete`, tokenOf(agent), {});
const tasksOf = async (agent: string): Promise<{ id: string; state: string; parent: string | null }[]> => (await stack.broker.call('GET', '/v1/tasks?limit=500', tokenOf(agent))).body['items'] as { id: string; state: string; parent: string | null }[];
/** Tasks that are active, or wait. */
const open = async (agent: string): Promise<number> => (await tasksOf(agent)).filter(({ state }) => !state.startsWith('end')).length;
const audit = async (type: string): Promise<{ task: string | null; by?: unknown; facts: Record<string, unknown> }[]> =>
  (await readFile(stack.broker.stack.auditFile, 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line.includes(`"${type}"`))
    .map((line) => (JSON.parse(line) as { event: { task: string | null; by?: unknown; facts: Record<string, unknown> } }).event);

const must = new RequirementTitles(ACTOR_REQUIREMENTS);

// eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it stands out; the stack is on loopback
const insecure = { [oauth.allowInsecureRequests]: true };
/** The same by a client that was not made for us. */
async function byForeignClient(clientId: string, parameters: Record<string, string>): Promise<oauth.TokenEndpointResponse> {
  const issuer = new URL(stack.broker.url);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
  const response = await oauth.genericTokenEndpointRequest(server, { client_id: clientId }, oauth.None(), EXCHANGE, parameters, insecure);
  return oauth.processGenericTokenEndpointResponse(server, { client_id: clientId }, response);
}

describe('RFC 8693 section 4.1, who acts', () => {
  it(must.of('OA-5-a'), async () => {
    const parent = await parentOf();
    for (const shown of [parent.token, parent.reference]) {
      const child = await actFor(shown, SECOND_AGENT);
      expect(child).toMatchObject(granted);
      expect(decodeJwt(accessOf(child))).toMatchObject({ sub: AGENT, act: { sub: SECOND_AGENT }, client_id: SECOND_AGENT, txn: taskOf(child), aud: PAYMENTS });
      const grandchild = await actFor(accessOf(child), THIRD, { requested_token_type: JWT });
      expect(grandchild.body).toMatchObject({ issued_token_type: JWT });
      expect(decodeJwt(accessOf(grandchild))).toMatchObject({ sub: AGENT, act: { sub: THIRD, act: { sub: SECOND_AGENT } } });
    }
    const { task } = (await stack.broker.call('GET', `/v1/tasks/${(await tasksOf(SECOND_AGENT)).find((one) => one.parent === parent.id)?.id ?? ''}`, tokenOf(SECOND_AGENT))).body as { task: object };
    expect(task).toMatchObject({ state: 'active', parent: parent.id, root: parent.id, chain: [{ task: parent.id, agent: AGENT }] });
  });

  it(must.of('OA-5-b'), async () => {
    const parent = await parentOf();
    const boastful = await stack.broker.stack.workloads.sign({ subject: SECOND_AGENT, claims: { act: { sub: 'agent:forged' }, chain: ['agent:forged'] } });
    const child = await actFor(parent.token, SECOND_AGENT, { actor_token: boastful, chain: '["agent:forged"]' });
    expect(decodeJwt(accessOf(child))).toMatchObject({ sub: AGENT, act: { sub: SECOND_AGENT } });
    expect(JSON.stringify(decodeJwt(accessOf(child)))).not.toContain('forged');
  });

  it(must.of('OA-5-c'), async () => {
    const parent = await parentOf();
    const child = await actFor(parent.reference, SECOND_AGENT, { resource: LEDGER });
    expect(await introspect(accessOf(child))).toMatchObject({ active: true, sub: AGENT, act: { sub: SECOND_AGENT }, aud: LEDGER });
  });

  it('is told to oauth4webapi, unchanged', async () => {
    const parent = await parentOf();
    const answer = await byForeignClient(SECOND_AGENT, { subject_token: parent.token, subject_token_type: ACCESS_TOKEN, actor_token: tokenOf(SECOND_AGENT), actor_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS });
    expect(answer).toMatchObject({ token_type: 'bearer', issued_token_type: ACCESS_TOKEN });
    expect(decodeJwt(answer.access_token)).toMatchObject({ sub: AGENT, act: { sub: SECOND_AGENT } });
  });
});

describe('attenuation', () => {
  it(must.of('OA-7-a'), async () => {
    const parent = await parentOf(AGENT, { data_classes: ['pii'], context: { region: 'eu' } });
    const before = await open(SECOND_AGENT);
    const wider = [{ purpose: 'data-export' }, { actions: ['read', 'export'] }, { datatypes: ['secret'] }, { context: { region: 'us' } }, { ttl_seconds: 3_000 }, { ticket: 'OPS-12' }];
    for (const more of wider) expect(await actFor(parent.token, SECOND_AGENT, details(more))).toMatchObject(refusedAs('invalid_authorization_details'));
    const narrow = await stack.broker.grant(['task-reference'], { token: tokenOf(AGENT) });
    const shown = at(narrow.credentials, 0).secret['token'] ?? '';
    expect(await actFor(shown, SECOND_AGENT)).toMatchObject(refusedAs('invalid_target'));
    expect(await actFor(shown, SECOND_AGENT, { resource: 'https://nowhere.example.org' })).toMatchObject(refusedAs('invalid_target'));
    expect(await open(SECOND_AGENT)).toBe(before);
    expect(await actFor(parent.token, SECOND_AGENT, details({ datatypes: ['pii'], ttl_seconds: 60 }))).toMatchObject(granted);
    expect(await actFor(shown, SECOND_AGENT, { resource: LEDGER })).toMatchObject(granted);
  });

  it(must.of('OA-7-b'), async () => {
    const task = await stack.broker.grant([], { token: tokenOf(AGENT), fields: { ttl_seconds: 300, credentials: [{ name: 'task-token', ttl_seconds: 60 }] } });
    const shown = at(task.credentials, 0).secret['token'] ?? '';
    const child = await actFor(shown, SECOND_AGENT);
    expect(child).toMatchObject(granted);
    expect(Number(decodeJwt(accessOf(child)).exp)).toBeLessThanOrEqual(Number(decodeJwt(shown).exp));
    expect(await actFor(shown, SECOND_AGENT, details({ ttl_seconds: 61 }))).toMatchObject(refusedAs('invalid_authorization_details'));
  });

  it(must.of('OA-7-c'), async () => {
    const parent = await parentOf();
    expect(await actFor(parent.token, AGENT)).toMatchObject(refusedAs('invalid_request'));
    const second = await actFor(parent.token, SECOND_AGENT);
    const third = await actFor(accessOf(second), THIRD);
    for (const again of [AGENT, SECOND_AGENT, THIRD]) expect(await actFor(accessOf(third), again)).toMatchObject(refusedAs('invalid_request'));
    const fourth = await actFor(accessOf(third), FOURTH);
    expect(fourth).toMatchObject(granted);
    expect(await actFor(accessOf(fourth), FIFTH)).toMatchObject(refusedAs('invalid_request'));
    expect(await actFor(accessOf(third), FIFTH)).toMatchObject(granted);
  });

  it(must.of('OA-7-d'), async () => {
    const [parent, other] = [await parentOf(), await parentOf(SECOND_AGENT)];
    // The token of another task says who acts there; it proves nobody here.
    for (const actor of [other.token, other.reference, parent.token]) expect(await actFor(parent.token, SECOND_AGENT, { actor_token: actor })).toMatchObject(refusedAs('invalid_request'));
    // A client that shows another workload's token would get a token in its name.
    const byOther = { client_assertion_type: JWT_BEARER, client_assertion: await stack.assertion({ iss: OTHER_CLIENT_ID, sub: OTHER_CLIENT_ID }, stack.otherKey) };
    expect(await actFor(parent.token, THIRD, byOther)).toMatchObject(refusedAs('invalid_request'));
    expect(await actFor(parent.token, SECOND_AGENT, { client_id: AGENT })).toMatchObject(refusedAs('invalid_client'));
    expect(await actFor(parent.token, SECOND_AGENT, { actor_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' })).toMatchObject(refusedAs('invalid_request'));
    // Without an actor, the token of a task is nobody's.
    expect(await actFor(parent.token, SECOND_AGENT, { actor_token: undefined, actor_token_type: undefined })).toMatchObject(refusedAs('invalid_request'));
    const again = { ...byOther, client_assertion: await stack.assertion({ iss: OTHER_CLIENT_ID, sub: OTHER_CLIENT_ID }, stack.otherKey) };
    const child = await actFor(parent.token, SECOND_AGENT, again);
    expect(decodeJwt(accessOf(child))).toMatchObject({ act: { sub: SECOND_AGENT }, client_id: OTHER_CLIENT_ID });
  });

  it(must.of('OA-7-e'), async () => {
    const parent = await parentOf();
    const child = await actFor(parent.token, SECOND_AGENT, { resource: LEDGER });
    const grandchild = await actFor(accessOf(child), THIRD, { resource: LEDGER });
    for (const answer of [child, grandchild]) expect(await introspect(accessOf(answer))).toMatchObject({ active: true });
    await complete(parent.id);
    for (const answer of [child, grandchild]) expect(await introspect(accessOf(answer))).toEqual({ active: false });
  });

  it(must.of('OA-7-f'), async () => {
    const parent = await parentOf();
    const changed = `${parent.token.slice(0, -6)}AAAAAA`;
    for (const token of [changed, 'x.y.z', `${parent.reference.slice(0, -4)}AAAA`, tokenOf(AGENT)]) expect(await actFor(token, SECOND_AGENT)).toMatchObject(refusedAs('invalid_request'));
    expect(await actFor(parent.token, SECOND_AGENT)).toMatchObject(granted);
    await complete(parent.id);
    // Its signature and its exp are as good as before.
    for (const token of [parent.token, parent.reference]) expect(await actFor(token, SECOND_AGENT)).toMatchObject(refusedAs('invalid_request'));
  });

  it(must.of('OA-7-g'), async () => {
    const parent = await parentOf();
    for (const actor of ['agent:stranger', MINTLESS]) {
      expect(await actFor(parent.token, actor)).toMatchObject({ status: 400, body: { error: 'access_denied', decision: { result: 'deny' } } });
      expect(await open(actor)).toBe(0);
    }
    expect(await actFor(parent.token, THIRD)).toMatchObject(granted);
  });

  it(must.of('OA-7-h'), async () => {
    const [endpoint, pair] = [`${stack.broker.url}/oauth2/token`, await generateProofKey('ES256')];
    const own = { grant_type: EXCHANGE, subject_token: tokenOf(AGENT), subject_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS };
    const bound = await post('/oauth2/token', own, { DPoP: await generateProof(pair, endpoint, 'POST') });
    const unbound = await post('/oauth2/token', own);
    expect(await actFor(accessOf(bound), SECOND_AGENT)).toMatchObject(refusedAs('invalid_request'));
    // A proof of the actor's own key says nothing about the key of the token.
    const another = await generateProof(await generateProofKey('ES256'), endpoint, 'POST');
    expect(await actFor(accessOf(bound), SECOND_AGENT, {}, { DPoP: another })).toMatchObject(refusedAs('invalid_request'));
    const child = await actFor(accessOf(unbound), SECOND_AGENT, {}, { DPoP: await generateProof(pair, endpoint, 'POST') });
    expect(child.body).toMatchObject({ token_type: 'DPoP' });
    expect(decodeJwt(accessOf(child))).toMatchObject({ cnf: { jkt: expect.any(String) }, act: { sub: SECOND_AGENT } });
  });

  it(must.of('OA-7-i'), async () => {
    const parent = await parentOf();
    const held = await Promise.all(Array.from({ length: ROOM / 2 }, () => parentOf(BUSY)));
    const before = await open(BUSY);
    expect(await actFor(parent.token, BUSY)).toMatchObject({ status: 429, body: { error: 'temporarily_unavailable' } });
    expect(await open(BUSY)).toBe(before);
    expect((await tasksOf(BUSY)).filter((task) => task.parent === parent.id)).toMatchObject([{ state: 'ended' }]);
    await complete(at(held, 0).id, BUSY);
    expect(await actFor(parent.token, BUSY)).toMatchObject(granted);
  });

  it(must.of('OA-7-j'), async () => {
    const parent = await parentOf();
    const child = await actFor(parent.token, SECOND_AGENT);
    const record = async () => (await audit('task.declared')).find(({ task }) => task === taskOf(child));
    await until(async () => (await record()) !== undefined);
    expect((await record())?.facts).toMatchObject({ handed_over_by: decodeJwt(parent.token).jti });
    // What came to nothing is told of whoever asked, and not of the agent whose token it was.
    await actFor(parent.token, SECOND_AGENT, details({ ttl_seconds: 3_000 }));
    const refusal = async () => (await audit('delegation.refused')).find(({ task }) => task === parent.id);
    await until(async () => (await refusal()) !== undefined);
    expect((await refusal())?.by).toMatchObject({ subject: SECOND_AGENT });
  });
});

describe('RFC 8693 section 4.4, who may act for a person', () => {
  const userToken = (claims: Record<string, unknown> = { may_act: { sub: AGENT } }, subject = USER): Promise<string> => users.sign({ subject, claims });

  it(must.of('OA-6-a'), async () => {
    const answer = await actFor(await userToken(), AGENT);
    expect(answer).toMatchObject(granted);
    expect(decodeJwt(accessOf(answer))).toMatchObject({ sub: USER, act: { sub: AGENT }, client_id: AGENT });
    const { body } = await stack.broker.call('GET', `/v1/tasks/${taskOf(answer)}`, tokenOf(AGENT));
    expect(body).toMatchObject({ task: { evidence: 'user_consented', subject: USER, agent: AGENT } });
    // What it hands on is still for that person.
    const child = await actFor(accessOf(answer), SECOND_AGENT);
    expect(decodeJwt(accessOf(child))).toMatchObject({ sub: USER, act: { sub: SECOND_AGENT, act: { sub: AGENT } } });
  });

  it(must.of('OA-6-b'), async () => {
    const { issuer } = stack.broker.stack.workloads;
    for (const mayAct of [{ sub: SECOND_AGENT }, { sub: AGENT, iss: 'https://elsewhere.test' }, {}, AGENT]) expect(await actFor(await userToken({ may_act: mayAct }), AGENT)).toMatchObject(refusedAs('invalid_request'));
    const named = await actFor(await userToken({ may_act: { sub: AGENT, iss: issuer } }), AGENT);
    expect(named).toMatchObject(granted);
  });

  it(must.of('OA-6-c'), async () => {
    const before = await open(AGENT);
    const elsewhere = await users.sign({ subject: USER, audience: 'another', claims: { may_act: { sub: AGENT } } });
    for (const token of [await userToken({}), elsewhere, await stack.broker.operatorToken('admin'), tokenOf(SECOND_AGENT), tokenOf(AGENT)]) {
      expect(await actFor(token, AGENT)).toMatchObject(refusedAs('invalid_request'));
    }
    // Without an actor nobody acts: the person's token alone is no client.
    expect(await actFor(await userToken(), AGENT, { actor_token: undefined, actor_token_type: undefined })).toMatchObject(refusedAs('invalid_request'));
    await until(async () => (await audit('evidence.refused')).length > 0);
    expect(await open(AGENT)).toBe(before);
  });

  it(must.of('OA-6-d'), async () => {
    const asked = details({ purpose: 'data-export', actions: ['export'] });
    expect(await actFor(await userToken({ may_act: { sub: AGENT } }, 'user:bob'), AGENT, asked)).toMatchObject({ body: { error: 'access_denied' } });
    const answer = await actFor(await userToken(), AGENT, asked);
    expect(answer).toMatchObject(granted);
  });

  it('is told to oauth4webapi, unchanged', async () => {
    const answer = await byForeignClient(AGENT, { subject_token: await userToken(), subject_token_type: JWT, actor_token: tokenOf(AGENT), actor_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS });
    expect(decodeJwt(answer.access_token)).toMatchObject({ sub: USER, act: { sub: AGENT } });
  });
});

describe('the list of requirements', () => {
  it('is proved whole: add a test for each that is missing', () => {
    expect(must.missing()).toEqual([]);
  });
});
