import { createHmac, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SignJWT } from 'jose';
import { BAD_DECLARATIONS, GOOD_DECLARATION } from '../support/bad-declarations.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';

let broker: RunningBroker;
let agent: string;

beforeAll(async () => {
  broker = await RunningBroker.start();
  agent = await broker.agentToken();
}, 60_000);

afterAll(() => broker.stop(), 30_000);

/** Nothing may be left of a refused declaration. */
const leftBehind = async (): Promise<unknown> => {
  const viewer = await broker.operatorToken('viewer');
  return {
    leases: (await broker.call('GET', '/v1/leases', viewer)).body['items'],
    tasks: (await broker.call('GET', '/v1/tasks', agent)).body['items'],
    tokens: await broker.liveTokens(),
    logins: await broker.mintedLogins(),
  };
};
const NOTHING = { leases: [], tasks: [], tokens: [], logins: [] };

async function sendText(body: string | Buffer<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
  const response = await fetch(`${broker.url}/v1/tasks`, { method: 'POST', headers: { Authorization: `Bearer ${agent}`, 'Content-Type': 'application/json', ...headers }, body });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
}

const good = (fields: object): string => JSON.stringify({ ...GOOD_DECLARATION, ...fields });

describe('a bad declaration', () => {
  // What JSON cannot say is tested where it is parsed.
  const sendable = BAD_DECLARATIONS.filter(([, body]) => body !== undefined && JSON.stringify(body) !== JSON.stringify(GOOD_DECLARATION));

  it.each(sendable)('with %s gets a problem that points at it', async (_name, body, pointer) => {
    const answer = await sendText(JSON.stringify(body));
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_request', errors: expect.arrayContaining([expect.objectContaining({ pointer })]) } });
    expect(answer.headers.get('content-type')).toContain('application/problem+json');
  });

  it.each([
    ['a purpose nobody defined', good({ purpose: 'because' }), 403, '/purpose'],
    ['an action nobody defined', good({ actions: ['destroy'] }), 403, '/actions/0'],
    ['a data class nobody defined', good({ data_classes: ['gossip'] }), 403, '/data_classes/0'],
    ['a credential nobody configured', good({ credentials: [{ name: 'root' }] }), 422, '/credentials/0/name'],
    ['a TTL above the ceiling', good({ ttl_seconds: 3_601 }), 422, '/ttl_seconds'],
    ['a credential that outlives its task', good({ ttl_seconds: 60, credentials: [{ name: 'orders-db', ttl_seconds: 61 }] }), 422, '/credentials/0/ttl_seconds'],
    ['17 credentials', good({ credentials: Array.from({ length: 17 }, (_, i) => ({ name: `c${i}` })) }), 422, '/credentials'],
    ['a parameter nobody defined', good({ credentials: [{ name: 'orders-db', params: { role: 'admin' } }] }), 422, '/credentials/0/params/role'],
    ['one good credential and one bad', good({ credentials: [{ name: 'orders-db' }, { name: 'nothing' }] }), 422, '/credentials/1/name'],
    ['another agent at once', good({ agent: 'agent:payouts', start: 'now' }), 422, '/start'],
    ['an issuer nobody configured', good({ agent_issuer: 'https://elsewhere.example' }), 422, '/agent_issuer'],
  ])('with %s is refused and pointed at', async (_name, text, status, pointer) => {
    expect(await sendText(text)).toMatchObject({ status, body: { errors: expect.arrayContaining([expect.objectContaining({ pointer })]) } });
  });

  it.each([
    ['half an object', '{"purpose":', 400],
    ['no JSON', 'purpose=x', 400],
    ['a byte that is not UTF-8', Buffer.from('{"purpose":"\xff"}', 'latin1'), 400],
    ['half a character', Buffer.from([0x22, 0xe2, 0x82, 0x22]), 400],
    ['UTF-16', Buffer.from('{}', 'utf16le'), 400],
    ['a number that is no JSON', '{"ttl_seconds":0x10}', 400],
    ['a body of 65 KiB', good({ justification: 'x'.repeat(65 * 1024) }), 413],
    ['a thousand arrays in each other', '['.repeat(1_000) + ']'.repeat(1_000), 422],
  ])('with %s is refused', async (_name, body, status) => {
    expect((await sendText(body)).status).toBe(status);
  });

  it('leaves no task, lease, token or login behind', async () => {
    expect(sendable.length + 19).toBeGreaterThanOrEqual(60);
    expect(await leftBehind()).toEqual(NOTHING);
  });
});

describe('a bad token', () => {
  const b64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const nowS = (): number => Math.floor(Date.now() / 1000);
  const claims = (change: object = {}): Record<string, unknown> => ({
    iss: broker.stack.workloads.issuer, aud: broker.stack.workloads.audience, sub: 'agent:refunds', iat: nowS(), exp: nowS() + 300, ...change,
  });
  const parts = (token: string): [string, string, string] => {
    const [header = '', payload = '', signature = ''] = token.split('.');
    return [header, payload, signature];
  };
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const strangers = (header: object = {}, change: object = {}): Promise<string> =>
    new SignJWT(claims(change)).setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'JWT', ...header }).sign(stranger.privateKey);
  const headerOf = (): Record<string, unknown> => JSON.parse(Buffer.from(parts(agent)[0], 'base64url').toString()) as Record<string, unknown>;
  const hmac = (alg: string, key: string): string => {
    const text = `${b64({ ...headerOf(), alg })}.${b64(claims())}`;
    return `${text}.${createHmac(alg === 'HS256' ? 'sha256' : 'sha512', key).update(text).digest('base64url')}`;
  };
  /** A good token with other claims, of the right issuer and key. */
  const own = (change: object, options: { audience?: string; lifetimeSeconds?: number; subject?: string } = {}): Promise<string> =>
    broker.stack.workloads.sign({ subject: 'agent:refunds', claims: { ...change }, ...options });
  const reheaded = (header: object): string => [b64({ ...headerOf(), ...header }), ...parts(agent).slice(1)].join('.');

  const TOKENS: readonly (readonly [string, () => string | Promise<string>])[] = [
    ['nothing', () => ''],
    ['a word', () => 'secret'],
    ['two parts', () => parts(agent).slice(0, 2).join('.')],
    ['four parts', () => `${agent}.x`],
    ['five parts, as an encrypted one', () => `${agent}.x.y`],
    ['no signature', () => `${parts(agent).slice(0, 2).join('.')}.`],
    ['alg none, unsigned', () => `${b64({ alg: 'none', typ: 'JWT' })}.${b64(claims())}.`],
    ['alg None, with a signature', () => reheaded({ alg: 'None' })],
    ['alg HS256 over the public key', () => hmac('HS256', 'public key')],
    ['alg HS512', () => hmac('HS512', '')],
    ['alg RS256 over an EC key', () => reheaded({ alg: 'RS256' })],
    ['alg EdDSA, not allowed here', () => reheaded({ alg: 'EdDSA' })],
    ['alg ES384, not allowed here', () => reheaded({ alg: 'ES384' })],
    ['no alg', () => reheaded({ alg: undefined })],
    ['an alg that is a number', () => reheaded({ alg: 256 })],
    ['another kid', () => reheaded({ kid: 'nobody' })],
    ['a kid that is a path', () => reheaded({ kid: '../../etc/passwd' })],
    ['an unknown critical header', () => reheaded({ crit: ['x'], x: 1 })],
    ['an unencoded payload (b64 false)', () => reheaded({ b64: false, crit: ['b64'] })],
    ['its own key in the header', async () => strangers({ jwk: stranger.publicKey.export({ format: 'jwk' }) })],
    ['its own key set by URL', () => strangers({ jku: 'http://127.0.0.1:1/jwks' })],
    ['its own certificate by URL', () => strangers({ x5u: 'http://127.0.0.1:1/cert' })],
    ["a stranger's signature", () => strangers()],
    ["a stranger's signature under the right kid", () => strangers({ kid: headerOf()['kid'] })],
    ['another type', () => reheaded({ typ: 'logout+jwt' })],
    ['a changed payload', () => [parts(agent)[0], b64(claims({ sub: 'agent:payouts' })), parts(agent)[2]].join('.')],
    ['a changed signature', () => `${parts(agent).slice(0, 2).join('.')}.${'A'.repeat(86)}`],
    ['a cut signature', () => agent.slice(0, -10)],
    ['padding', () => `${agent}==`],
    ['a header that is no JSON', () => `${Buffer.from('x').toString('base64url')}.${parts(agent).slice(1).join('.')}`],
    ['a payload that is no JSON', () => `${parts(agent)[0]}.${Buffer.from('x').toString('base64url')}.${parts(agent)[2]}`],
    ['a payload that is a list', () => `${parts(agent)[0]}.${b64([])}.${parts(agent)[2]}`],
    ['another audience', () => own({}, { audience: 'https://elsewhere.example' })],
    ['the audience in upper case', () => own({}, { audience: broker.stack.workloads.audience.toUpperCase() })],
    ["the operators' audience", () => own({}, { audience: broker.stack.operators.audience })],
    ['an end in the past', () => own({}, { lifetimeSeconds: -60 })],
    ['a lifetime beyond what is allowed', () => own({}, { lifetimeSeconds: 4_000 })],
    ['a beginning in the future', () => own({ nbf: nowS() + 120 })],
    ['a beginning that is no number', () => own({ nbf: 'now' })],
    ['a subject this issuer may not name', () => own({}, { subject: 'someone-else' })],
    ['an empty subject', () => own({}, { subject: '' })],
    ['a SPIFFE ID from an issuer that is no trust domain', () => own({}, { subject: 'spiffe://example.org/agent/refunds' })],
    ['a token of the operators’ issuer with our audience', () => broker.stack.operators.sign({ subject: 'agent:refunds', audience: broker.stack.workloads.audience })],
    ['a token that Mayfly minted', async () => (await broker.grant(['task-token'])).credentials[0]?.secret['token'] ?? ''],
    ['8 KiB', () => `${agent}${'A'.repeat(8_192)}`],
  ];

  it.each(TOKENS)('with %s gets 401 and no task', async (_name, make) => {
    const answer = await broker.call('POST', '/v1/tasks', await make(), { ...GOOD_DECLARATION });
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
  });

  it('are at least 40, and a good one is accepted (control)', async () => {
    expect(TOKENS.length).toBeGreaterThanOrEqual(40);
    expect((await broker.call('POST', '/v1/tasks', agent, { ...GOOD_DECLARATION, credentials: [{ name: 'task-reference' }] })).status).toBe(201);
    expect(await broker.liveTokens()).toEqual([]);
  });
});
