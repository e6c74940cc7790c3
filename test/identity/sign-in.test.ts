import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { SignJWT } from 'jose';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import type { OperatorsConfig, SignInConfig } from '../../src/config/config-schema.ts';
import { systemClock as clock } from '../../src/core/clock.ts';
import { SHARDS } from '../../src/core/ids.ts';
import { createKeySources } from '../../src/identity/key-sources.ts';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { Sessions } from '../../src/identity/sessions.ts';
import { createIssuerClient } from '../../src/identity/sign-in/issuer-client.ts';
import { countSessions, type SignInOutcome } from '../../src/identity/sign-in/count-sessions.ts';
import { RefusalRecord } from '../../src/identity/sign-in/refusal-record.ts';
import { createSignInAttempts } from '../../src/identity/sign-in/sign-in-attempt.ts';
import { SignIn } from '../../src/identity/sign-in/sign-in.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { testLedger } from '../support/ledger-fixture.ts';
import { useRedis } from '../support/use-redis.ts';
import { jwkOf, PAIRS, STRANGER } from './published-issuer.ts';

/** An issuer whose token endpoint answers with whatever id token a test makes. */
let server: Server;
let issuer: string;
let folder: string;
let ledger: Ledger;
let redis: Redis;
let signIn: SignIn;
let counted: SignInOutcome[];
let idToken: (nonce: string) => Promise<string>;
let asked: { readonly nonce: string; readonly state: string };
const warn = (): void => undefined;

useRedis((connection) => {
  redis = connection;
  ({ ledger } = testLedger(redis, clock));
});

beforeEach(async () => {
  const jwk = await jwkOf(PAIRS.ES256, { kid: 'k', alg: 'ES256', use: 'sig' });
  server = createServer((request, response) => {
    const answer = async (): Promise<object> => {
      if (request.url === '/token') return { id_token: await idToken(asked.nonce), access_token: 'a', token_type: 'Bearer' };
      if (request.url === '/jwks') return { keys: [jwk] };
      return { issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`, id_token_signing_alg_values_supported: ['ES256'] };
    };
    void answer().then((body) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  issuer = `http://${host}`;
  folder = await mkdtemp(join(tmpdir(), 'mayfly-sign-in-'));
  await writeFile(join(folder, 'secret'), 's');
  const settings: SignInConfig = { client_id: 'd', client_secret_file: join(folder, 'secret'), client_secret_by: 'basic', scopes: [], idle_minutes: 30, max_hours: 12, requests_per_minute_per_address: 120, requests_per_minute: 1_200 };
  const operators: OperatorsConfig = { issuer, audience: 'operators', algorithms: ['ES256'], max_lifetime_seconds: 3_600, roles_claim: 'roles', roles: { viewer: ['v'], operator: ['o'], admin: ['a'] }, sign_in: settings };
  const outboundFetch = createOutboundFetch({ environment: 'development', allowHosts: [host], allowPrivateAddresses: true });
  const keys = createKeySources([], { outboundFetch, clock, log: { warn }, workloadApi: undefined });
  counted = [];
  signIn = new SignIn({
    ...{ operators, signIn: settings, keys, clock, records: ledger },
    client: createIssuerClient({ operators, signIn: settings, publicUrl: 'https://mayfly.test', outboundFetch, allowHttp: true, clock }),
    attempts: createSignInAttempts(Buffer.alloc(32, 7), clock),
    sessions: new Sessions({ records: countSessions(ledger, (outcome) => counted.push(outcome)), operators, signIn: settings, clock }),
    refusals: new RefusalRecord({ records: ledger, clock, count: (outcome) => counted.push(outcome), log: { warn } }),
    useOnce: (what, untilMs) => ledger.useOnce(what, untilMs),
    wasUsed: (what) => ledger.wasUsed(what),
  });
});

afterEach(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  await rm(folder, { recursive: true });
});

const seconds = (): number => Math.floor(clock.now() / 1000);
const claims = (nonce: string, changes: object = {}): Record<string, unknown> => ({ iss: issuer, aud: 'd', sub: 'ada', nonce, roles: ['a'], iat: seconds(), exp: seconds() + 300, ...changes });
const sign = (payload: Record<string, unknown>, { key = PAIRS.ES256.privateKey, header = {} } = {}): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'k', typ: 'JWT', ...header }).sign(key);

/** The whole way, as a browser goes it, with a code of the issuer's. */
async function come(): Promise<{ readonly returnTo: string }> {
  const { url, attempt } = await signIn.begin('/', false);
  asked = { nonce: url.searchParams.get('nonce') ?? '', state: url.searchParams.get('state') ?? '' };
  return signIn.complete(attempt.cookie.expose(), `?code=c&state=${asked.state}`, null);
}

describe('an id token', () => {
  it('opens a session where it is right (control of the others)', async () => {
    idToken = (nonce) => sign(claims(nonce));
    expect(await come()).toMatchObject({ returnTo: '/' });
    expect(counted).toEqual([{ outcome: 'signed_in', reason: 'none' }]);
  });

  it.each<[string, (nonce: string) => Promise<string>, string]>([
    ['of another sign-in', () => sign(claims('another')), 'wrong_answer'],
    ['without the nonce', () => sign(claims('', { nonce: undefined })), 'wrong_answer'],
    ['for another client', (nonce) => sign(claims(nonce, { aud: 'operators' })), 'wrong_answer'],
    ['for another client too', (nonce) => sign(claims(nonce, { aud: ['d', 'x'], azp: 'd' })), 'bad_id_token'],
    ['of another issuer', (nonce) => sign(claims(nonce, { iss: 'https://login.test' })), 'wrong_answer'],
    ['that has expired', (nonce) => sign(claims(nonce, { iat: seconds() - 600, exp: seconds() - 300 })), 'wrong_answer'],
    ['that lives too long', (nonce) => sign(claims(nonce, { exp: seconds() + 7_200 })), 'bad_id_token'],
    ['of nobody', (nonce) => sign(claims(nonce, { sub: undefined })), 'wrong_answer'],
    ['of a workload', (nonce) => sign(claims(nonce, { sub: 'spiffe://example.org/agent' })), 'bad_id_token'],
    ["signed by a stranger, over TLS or not", (nonce) => sign(claims(nonce), { key: STRANGER.privateKey }), 'bad_id_token'],
    ['that brings its own key', (nonce) => sign(claims(nonce), { header: { jku: 'https://evil.test' } }), 'bad_id_token'],
    ['that is a logout token', (nonce) => sign(claims(nonce), { header: { typ: 'logout+jwt' } }), 'bad_id_token'],
    ['that gives no role', (nonce) => sign(claims(nonce, { roles: ['x'] })), 'no_role'],
    ['that is none', () => Promise.resolve(''), 'wrong_answer'],
  ])('%s opens no session', async (_what, make, reason) => {
    idToken = make;
    await expect(come()).rejects.toMatchObject({ code: 'sign_in_refused' });
    expect(counted).toEqual([{ outcome: 'refused', reason }]);
  });
});

describe('a flood of refused sign-ins', () => {
  const onRecord = async (): Promise<number> => (await Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+')))).flat().filter(([, fields]) => fields.join(' ').includes('session.refused')).length;

  it('of one person is counted whole, and does not flood the audit log; who comes next is on it', async () => {
    idToken = (nonce) => sign(claims(nonce, { roles: ['x'] }));
    for (let n = 0; n < 40; n += 1) await expect(come()).rejects.toMatchObject({ reason: 'no_role' });
    expect(counted).toHaveLength(40);
    // A bucket of 30 that fills again meanwhile.
    const flooded = await onRecord();
    expect(flooded).toBeGreaterThanOrEqual(30);
    expect(flooded).toBeLessThan(40);
    idToken = (nonce) => sign(claims(nonce, { sub: 'nora', roles: ['x'] }));
    await expect(come()).rejects.toMatchObject({ reason: 'no_role' });
    expect(await onRecord()).toBe(flooded + 1);
  });

  it('that nobody began is counted, and none is on the record', async () => {
    for (const cookie of [null, 'x.y']) await expect(signIn.complete(cookie, '?code=c', null)).rejects.toMatchObject({ reason: 'not_begun' });
    expect(counted).toEqual([{ outcome: 'refused', reason: 'not_begun' }, { outcome: 'refused', reason: 'not_begun' }]);
    expect(await onRecord()).toBe(0);
  });
});
