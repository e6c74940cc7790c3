import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { generateKeyPair as generateProofKey, generateProof } from 'dpop';
import { decodeJwt } from 'jose';
import { makeAuthority } from '../../dev/make-certificate.ts';
import { AGENT_ID, SECOND_AGENT_ID, type SvidFiles } from '../../dev/spiffe-domain.ts';
import { undescribed } from '../support/described-answer.ts';
import { MTLS_REQUIREMENTS, RequirementTitles } from '../support/oauth-requirements.ts';
import { ACCESS_TOKEN, EXCHANGE, JWT, JWT_SPIFFE, LEDGER, PAYMENTS, taskDetails } from '../support/oauth-stack.ts';
import { RunningBroker } from '../support/running-broker.ts';

/** What a client shows: PEM. */
interface Shown {
  readonly cert: string;
  readonly key: string;
}

let broker: RunningBroker;
let ca: string;
let agent: Shown;
let second: Shown;
let stranger: Shown;

beforeAll(async () => {
  broker = await RunningBroker.start();
  const read = async ({ certificate_file, key_file }: SvidFiles): Promise<Shown> => ({ cert: await readFile(certificate_file, 'utf8'), key: await readFile(key_file, 'utf8') });
  const { spiffe } = broker.stack;
  [ca, agent, second] = await Promise.all([readFile(spiffe.caFile, 'utf8'), read(spiffe.agent), read(spiffe.secondAgent)]);
  const { pem, keyPem } = makeAuthority({ commonName: 'stranger' }).issue({ uris: [AGENT_ID] });
  stranger = { cert: pem, key: keyPem };
}, 90_000);

afterAll(() => broker.stop(), 30_000);

type Fields = Readonly<Record<string, string | undefined>>;
interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Posts a form over TLS, with a certificate or without. Throws when the answer is not one that src/http/openapi describes. */
async function post(path: string, fields: Fields, client: Shown | null, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const form = new URLSearchParams(Object.entries(fields).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]))).toString();
  const answer = await new Promise<Answer & { headers: Headers }>((resolve, reject) => {
    const options = { ...client, ca, agent: false, method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } } as const;
    const asked = request(`${broker.stack.tlsUrl}${path}`, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: new Headers(response.headers as Record<string, string>), body: JSON.parse(text) as Record<string, unknown> }));
    });
    asked.on('error', reject).end(form);
  });
  const fault = undescribed('POST', path, answer);
  if (fault !== null) throw new Error(fault);
  return answer;
}

/** A client_credentials request of the agent, by its certificate, but for what is said otherwise. */
const ask = (fields: Fields = {}, client: Shown | null = agent, headers = {}): Promise<Answer> =>
  post('/oauth2/token', { grant_type: 'client_credentials', client_id: AGENT_ID, authorization_details: taskDetails(), resource: PAYMENTS, ...fields }, client, headers);
const svid = (subject = AGENT_ID): Promise<string> => broker.stack.spiffe.jwtSvid(subject, broker.stack.workloads.audience);
const assertion = async (subject = AGENT_ID): Promise<Fields> => ({ client_assertion_type: JWT_SPIFFE, client_assertion: await svid(subject) });
const exchange = async (fields: Fields = {}, client: Shown | null = agent): Promise<Answer> =>
  post('/oauth2/token', { grant_type: EXCHANGE, subject_token: await svid(), subject_token_type: JWT, authorization_details: taskDetails(), resource: PAYMENTS, ...fields }, client);
const refusedAs = (error: string, status = 400) => ({ status, body: { error, error_description: expect.any(String) } });
const granted = { status: 200, body: { access_token: expect.any(String), token_type: 'Bearer' } };
const tokenOf = ({ body }: Answer): string => String(body['access_token']);
const boundTo = (answer: Answer): unknown => decodeJwt(tokenOf(answer))['cnf'];
const confirmation = ({ cert }: Shown) => ({ 'x5t#S256': createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url') });
const metadata = async (): Promise<Record<string, unknown>> => (await broker.call('GET', '/.well-known/oauth-authorization-server', null)).body;

const must = new RequirementTitles(MTLS_REQUIREMENTS);

describe('RFC 8705 section 2, clients with a certificate', () => {
  it(must.of('8705-2-a'), async () => {
    const answer = await ask();
    expect(answer).toMatchObject(granted);
    expect(decodeJwt(tokenOf(answer))).toMatchObject({ sub: AGENT_ID, client_id: AGENT_ID, agent_issuer: 'spiffe://example.org' });
    expect(await post('/oauth2/introspect', { token: tokenOf(answer), client_id: AGENT_ID }, agent)).toMatchObject({ body: { active: true } });
    expect(await post('/oauth2/revoke', { token: tokenOf(answer), client_id: AGENT_ID }, second)).toMatchObject(refusedAs('invalid_client', 401));
    expect(await post('/oauth2/revoke', { token: tokenOf(answer), client_id: SECOND_AGENT_ID }, second)).toMatchObject(refusedAs('invalid_grant'));
    expect(await post('/oauth2/revoke', { token: tokenOf(answer), client_id: AGENT_ID }, agent)).toMatchObject({ status: 200 });
    expect(await post('/oauth2/introspect', { token: tokenOf(answer), client_id: AGENT_ID }, agent)).toMatchObject({ body: { active: false } });
  });

  it(must.of('8705-2-b'), async () => {
    for (const fields of [{ client_id: SECOND_AGENT_ID }, { client_id: 'refunds-client' }, { client_id: undefined }, { client_id: `${AGENT_ID}/` }]) expect(await ask(fields)).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({}, stranger)).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({}, null)).toMatchObject(refusedAs('invalid_client'));
    expect(await ask()).toMatchObject(granted);
  });

  it(must.of('8705-2-c'), async () => {
    expect(await ask({ ...(await assertion()), client_assertion: 'x.y.z' })).toMatchObject(refusedAs('invalid_client'));
    expect(await ask({ ...(await assertion(SECOND_AGENT_ID)) })).toMatchObject(refusedAs('invalid_client'));
    // The client is the one of the assertion, whoever holds the connection.
    const answer = await ask(await assertion(), second);
    expect(decodeJwt(tokenOf(answer))).toMatchObject({ client_id: AGENT_ID });
  });
});

describe('RFC 8705 section 3, tokens that are bound to a certificate', () => {
  it(must.of('8705-3-a'), async () => {
    for (const answer of [await ask(), await ask(await assertion()), await exchange(), await exchange({ client_id: AGENT_ID })]) expect(boundTo(answer)).toEqual(confirmation(agent));
    expect(boundTo(await ask(await assertion(), null))).toBeUndefined();
    expect(boundTo(await exchange({}, null))).toBeUndefined();
  });

  it(must.of('8705-3-b'), async () => {
    for (const proxy of [second, stranger]) {
      expect(boundTo(await exchange({}, proxy))).toBeUndefined();
      expect(boundTo(await ask(await assertion(), proxy))).toBeUndefined();
    }
  });

  it(must.of('8705-3-c'), async () => {
    const proof = await generateProof(await generateProofKey('ES256'), `${broker.url}/oauth2/token`, 'POST');
    const answer = await ask({}, agent, { DPoP: proof });
    expect(answer.body).toMatchObject({ token_type: 'DPoP' });
    expect(boundTo(answer)).toEqual({ jkt: expect.any(String) });
  });

  it(must.of('8705-3-d'), async () => {
    const actor = async (): Promise<Fields> => ({ subject_token_type: ACCESS_TOKEN, actor_token: await svid(SECOND_AGENT_ID), actor_token_type: JWT });
    const refused = await exchange({ ...(await actor()), subject_token: tokenOf(await ask()) }, second);
    expect(refused).toMatchObject(refusedAs('invalid_request'));
    expect(refused.body['error_description']).toContain('bound to a key');
    const unbound = await exchange({ ...(await actor()), subject_token: tokenOf(await ask(await assertion(), null)) }, second);
    expect(unbound.body['error_description'] ?? '').not.toContain('bound to a key');
  });

  it(must.of('8705-3.2-a'), async () => {
    const introspected = async (answer: Answer) => (await post('/oauth2/introspect', { token: tokenOf(answer) }, agent)).body;
    for (const resource of [PAYMENTS, LEDGER]) {
      expect(await introspected(await ask({ resource }))).toMatchObject({ active: true, token_type: 'Bearer', cnf: confirmation(agent) });
      expect(await introspected(await ask({ resource, ...(await assertion()) }, null))).not.toHaveProperty('cnf');
    }
  });

  it(must.of('8705-3.3-a'), async () => {
    expect(await metadata()).toMatchObject({ tls_client_certificate_bound_access_tokens: true });
    for (const endpoint of ['token', 'introspection', 'revocation']) {
      expect((await metadata())[`${endpoint}_endpoint_auth_methods_supported`]).toEqual(expect.arrayContaining(['tls_client_auth', 'spiffe_x509', 'private_key_jwt']));
    }
  });

  it(must.of('8705-5-a'), async () => {
    const aliases = (await metadata())['mtls_endpoint_aliases'] as Record<string, string>;
    expect(Object.keys(aliases).sort()).toEqual(['introspection_endpoint', 'revocation_endpoint', 'token_endpoint']);
    for (const alias of Object.values(aliases)) {
      expect(new URL(alias).origin).toBe(broker.stack.tlsUrl);
      expect((await post(new URL(alias).pathname, { client_id: AGENT_ID }, agent)).body).toMatchObject({ error: 'invalid_request' });
    }
  });
});

describe('without a listener that takes certificates', () => {
  it('the metadata tell of none, and a client_id alone is nobody', async () => {
    await broker.reconfigure((config) => {
      config.tls = { ...config.tls, client_certificates: 'none' };
    });
    const told = await metadata();
    expect(told).toMatchObject({ tls_client_certificate_bound_access_tokens: false });
    expect(told).not.toHaveProperty('mtls_endpoint_aliases');
    expect(JSON.stringify(told)).not.toMatch(/tls_client_auth|spiffe_x509/);
    expect(await ask()).toMatchObject(refusedAs('invalid_client'));
  }, 30_000);
});

describe('the list of requirements', () => {
  it('is proved whole: add a test for each that is missing', () => {
    expect(must.missing()).toEqual([]);
  });
});
