import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateThumbprint, generateKeyPair, generateProof, type JWSAlgorithm, type KeyPair } from 'dpop';
import * as oauth from 'oauth4webapi';
import { GOOD_DECLARATION } from '../support/bad-declarations.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';

const EXAMPLE = join(import.meta.dirname, '../../config/policies');
const DECLARATION = { ...GOOD_DECLARATION, credentials: [{ name: 'task-reference' }] };

let folder: string;
let broker: RunningBroker;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(EXAMPLE, folder, { recursive: true });
  const bound = '@id("bound-only") @deny_reason("prove possession of a key") forbid (principal, action, resource) unless { context.sender_bound };';
  await writeFile(join(folder, 'bound-only.cedar'), bound);
  broker = await RunningBroker.start({ policy: { directory: folder } });
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

/** A token of the agent that is bound to a key pair. */
const tokenFor = async ({ publicKey }: KeyPair): Promise<string> => broker.stack.workloads.sign({ subject: 'agent:refunds', claims: { cnf: { jkt: await calculateThumbprint(publicKey) } } });

/** A call by the client `dpop`. */
async function call(method: string, path: string, token: string, pair: KeyPair, { body, proof, headers = {} }: { body?: object; proof?: string; headers?: Record<string, string> } = {}): Promise<HttpAnswer> {
  const made = proof ?? (await generateProof(pair, `${broker.url}${path}`, method, undefined, token));
  return broker.call(method, path, null, body, { ...headers, Authorization: `DPoP ${token}`, DPoP: made });
}

describe('an agent whose token is bound to its key, by the client dpop,', () => {
  it.each<JWSAlgorithm>(['ES256', 'Ed25519', 'RS256', 'PS256'])('with %s gets what policy grants only to whoever proves possession', async (algorithm) => {
    const pair = await generateKeyPair(algorithm);
    const answer = await call('POST', '/v1/tasks', await tokenFor(pair), pair, { body: DECLARATION });
    expect(answer).toMatchObject({ status: 201, body: { credentials: [{ secret: { token: expect.any(String) } }] } });
    const plain = await broker.call('POST', '/v1/tasks', await broker.agentToken(), DECLARATION);
    expect(plain).toMatchObject({ status: 403, body: { code: 'policy_denied', detail: 'prove possession of a key' } });
  });

  it('is told as such, and bound to that key', async () => {
    const pair = await generateKeyPair('ES256');
    const answer = await call('GET', '/v1/whoami', await tokenFor(pair), pair);
    expect(answer.body).toMatchObject({ caller: { sender_bound: true, instance: await calculateThumbprint(pair.publicKey) } });
  });

  it('has tasks that the same agent with another key does not see', async () => {
    const [mine, theirs] = [await generateKeyPair('ES256'), await generateKeyPair('ES256')];
    const [token, other] = [await tokenFor(mine), await tokenFor(theirs)];
    const { id } = (await call('POST', '/v1/tasks', token, mine, { body: DECLARATION })).body['task'] as { id: string };
    expect((await call('GET', `/v1/tasks/${id}`, other, theirs)).status).toBe(404);
    expect((await call('GET', `/v1/tasks/${id}`, token, mine)).status).toBe(200);
  });

  it('is of no use to a thief of the token: not as a bearer token, not with a key of his own, not with a proof he saw', async () => {
    const pair = await generateKeyPair('ES256');
    const token = await tokenFor(pair);
    const asBearer = await broker.call('GET', '/v1/whoami', token);
    expect(asBearer).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
    expect(asBearer.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token", resource_metadata="[^"]+\/\.well-known\/oauth-protected-resource", DPoP algs="ES256 ES384 EdDSA Ed25519 PS256 RS256"$/);
    const asOther = await call('GET', '/v1/whoami', token, await generateKeyPair('ES256'));
    expect(asOther).toMatchObject({ status: 401, body: { code: 'invalid_dpop_proof' } });
    expect(asOther.headers.get('www-authenticate')).toMatch(/^DPoP error="invalid_dpop_proof", algs="ES256 /);
    const proof = await generateProof(pair, `${broker.url}/v1/whoami`, 'GET', undefined, token);
    expect((await call('GET', '/v1/whoami', token, pair, { proof })).status).toBe(200);
    expect(await call('GET', '/v1/whoami', token, pair, { proof })).toMatchObject({ status: 401, body: { code: 'invalid_dpop_proof', detail: expect.stringContaining('used before') } });
  });

  it('has proofs for the public URL, whatever a request says of its host', async () => {
    const pair = await generateKeyPair('ES256');
    const token = await tokenFor(pair);
    const proof = await generateProof(pair, 'https://evil.test/v1/whoami', 'GET', undefined, token);
    const headers = { 'X-Forwarded-Host': 'evil.test', 'X-Forwarded-Proto': 'https', Forwarded: 'host=evil.test;proto=https' };
    expect(await call('GET', '/v1/whoami', token, pair, { proof, headers })).toMatchObject({ status: 401, body: { code: 'invalid_dpop_proof' } });
    expect((await call('GET', '/v1/whoami', token, pair, { headers })).status).toBe(200);
  });

  it('sends one proof: with two there is no telling which one counts', async () => {
    const pair = await generateKeyPair('ES256');
    const token = await tokenFor(pair);
    const proofs = await Promise.all([1, 2].map(() => generateProof(pair, `${broker.url}/v1/whoami`, 'GET', undefined, token)));
    expect(await call('GET', '/v1/whoami', token, pair, { proof: proofs.join(', ') })).toMatchObject({ status: 401, body: { code: 'invalid_dpop_proof' } });
    const twoHeaders = request(`${broker.url}/v1/whoami`, { headers: { Authorization: `DPoP ${token}`, DPoP: proofs } }).end();
    const [response] = (await once(twoHeaders, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(401);
    expect(await text(response)).toContain('there is more than one DPoP header');
  });

  it('leaves neither proof nor token in Redis', async () => {
    const pair = await generateKeyPair('ES256');
    const token = await tokenFor(pair);
    const jti = 'a-name-to-look-for';
    const proof = await generateProof(pair, `${broker.url}/v1/whoami`, 'GET', undefined, token, { jti });
    expect((await call('GET', '/v1/whoami', token, pair, { proof })).status).toBe(200);
    const { Redis } = await import('ioredis');
    const redis = new Redis(broker.stack.redis.url);
    const used = await redis.keys('mayfly:*:used:*');
    expect(used.length).toBeGreaterThan(0);
    expect(used.join(' ')).not.toContain(jti);
    expect(new Set(await redis.mget(used))).toEqual(new Set(['1']));
    redis.disconnect();
  });
});

describe('where the issuer is configured for nonces, bound tokens and one call each', () => {
  beforeAll(async () => {
    await broker.reconfigure((config) => {
      const { identity } = config as unknown as { identity: { issuers: Record<string, unknown>[] } };
      Object.assign(identity.issuers[0] ?? {}, { sender_binding: 'required', dpop_nonces: true, single_use: true });
    });
  }, 30_000);

  it('the client oauth4webapi finds its way: challenged once, then accepted', async () => {
    const pair = await oauth.generateKeyPair('ES256');
    const handle = oauth.DPoP({}, pair);
    // The stack is on loopback, without TLS.
    const ask = async (token: string): Promise<Response> =>
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- its way of saying that this is for tests
      oauth.protectedResourceRequest(token, 'GET', new URL(`${broker.url}/v1/whoami`), undefined, undefined, { DPoP: handle, [oauth.allowInsecureRequests]: true });
    const first = await tokenFor(pair);
    const challenge: unknown = await ask(first).catch((error: unknown) => error);
    expect(challenge).toBeInstanceOf(oauth.WWWAuthenticateChallengeError);
    expect(oauth.isDPoPNonceError(challenge)).toBe(true);
    expect(await (await ask(first)).json()).toMatchObject({ caller: { sender_bound: true } });
    // The nonce serves the next call too; its token does not.
    expect((await ask(await tokenFor(pair))).status).toBe(200);
    const again: unknown = await ask(first).catch((error: unknown) => error);
    expect(again).toMatchObject({ status: 401, cause: [{ scheme: 'dpop', parameters: { error: 'invalid_token' } }] });
  });

  it('a token that is bound to nothing is refused', async () => {
    expect(await broker.call('GET', '/v1/whoami', await broker.agentToken())).toMatchObject({ status: 401, body: { detail: expect.stringContaining('it is bound to none') } });
  });
});
