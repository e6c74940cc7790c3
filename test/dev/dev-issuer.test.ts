import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose';
import { startDevIssuer, type DevIssuer } from '../../dev/dev-issuer.ts';

describe('the development issuer', () => {
  let issuer: DevIssuer;
  beforeEach(async () => {
    issuer = await startDevIssuer({ audience: 'mayfly-dev' });
  });
  afterEach(() => issuer.stop());

  const get = async (path: string): Promise<Response> => fetch(`${issuer.issuer}${path}`);
  const keys = async () => createLocalJWKSet((await (await get('/jwks')).json()) as JSONWebKeySet);
  const expected = () => ({ issuer: issuer.issuer, audience: 'mayfly-dev', algorithms: ['ES256'] });

  it('publishes a discovery document whose issuer is its own URL, byte for byte', async () => {
    const document = (await (await get('/.well-known/openid-configuration')).json()) as Record<string, unknown>;
    expect(document).toMatchObject({ issuer: issuer.issuer, jwks_uri: `${issuer.issuer}/jwks` });
    expect((await get('/anything-else')).status).toBe(404);
  });

  it('signs tokens that its published keys verify, with the claims asked for and a short life', async () => {
    const token = await issuer.sign({ subject: 'agent:refunds', claims: { run_id: 'r1' }, lifetimeSeconds: 60 });
    const { payload } = await jwtVerify(token, await keys(), expected());
    expect(payload).toMatchObject({ sub: 'agent:refunds', run_id: 'r1' });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
  });

  it('no longer vouches for a key it rotated away; a token signed before is refused, one signed after is not', async () => {
    const before = await issuer.sign({ subject: 'agent:refunds' });
    await issuer.rotate();
    const after = await issuer.sign({ subject: 'agent:refunds' });
    await expect(jwtVerify(before, await keys(), expected())).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    await expect(jwtVerify(after, await keys(), expected())).resolves.toBeDefined();
  });

  it('never publishes a private key', async () => {
    const { keys: published } = (await (await get('/jwks')).json()) as JSONWebKeySet;
    expect(published.map((key) => 'd' in key)).toEqual([false]);
  });
});

describe('its sign-in', () => {
  const client = { clientId: 'c', clientSecret: 'a secret+/', redirectUri: 'http://127.0.0.1:1/auth/callback' };
  const verifier = 'v'.repeat(43);
  let issuer: DevIssuer;
  beforeEach(async () => {
    issuer = await startDevIssuer({ audience: 'mayfly-dev', signIn: { ...client, commandLineId: 'cli', people: [{ subject: 'vera', title: '<looks>', claims: { roles: ['r'] } }] } });
  });
  afterEach(() => issuer.stop());

  const authorize = (changes: Readonly<Record<string, string>> = {}): Promise<Response> => {
    const asked = { client_id: 'c', redirect_uri: client.redirectUri, response_type: 'code', state: 's', nonce: 'n', code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256' };
    return fetch(`${issuer.issuer}/authorize?${new URLSearchParams({ ...asked, ...changes }).toString()}`, { redirect: 'manual' });
  };
  const codeOf = async (): Promise<string> => new URL((await authorize({ person: 'vera' })).headers.get('location') ?? '').searchParams.get('code') ?? '';
  const redeem = (code: string, changes: Readonly<Record<string, string>> = {}, secret = client.clientSecret): Promise<Response> =>
    fetch(`${issuer.issuer}/token`, {
      method: 'POST',
      headers: { Authorization: `Basic ${Buffer.from(`c:${encodeURIComponent(secret)}`).toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: client.redirectUri, code_verifier: verifier, ...changes }),
    });

  it('shows who there is, without a script, and sends whoever one picks back with a code', async () => {
    const page = await authorize();
    expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(await page.text()).toContain('&#60;looks&#62;');
    const back = new URL((await authorize({ person: 'vera' })).headers.get('location') ?? '');
    expect([back.origin + back.pathname, back.searchParams.get('state'), back.searchParams.get('iss')]).toEqual([client.redirectUri, 's', issuer.issuer]);
  });

  it.each<[string, Readonly<Record<string, string>>]>([
    ['another client', { client_id: 'x' }],
    ['another place to come back to', { redirect_uri: 'http://127.0.0.1:2/auth/callback' }],
    ['the command line, at another machine', { client_id: 'cli', redirect_uri: 'http://127.0.0.2:1/callback' }],
    ['the command line, where the dashboard comes back to', { client_id: 'cli' }],
    ['the dashboard, where the command line comes back to', { redirect_uri: 'http://127.0.0.1:1/callback' }],
    ['no PKCE', { code_challenge: '' }],
    ['plain PKCE', { code_challenge_method: 'plain' }],
  ])('sends nobody back for %s', async (_what, changes) => {
    const answer = await authorize({ person: 'vera', ...changes });
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  });

  it('gives an id token for a code once, to the client that can prove itself and knows the verifier', async () => {
    expect((await redeem(await codeOf(), {}, 'wrong')).status).toBe(401);
    expect((await redeem(await codeOf(), { code_verifier: 'w'.repeat(43) })).status).toBe(400);
    const code = await codeOf();
    const answer = (await (await redeem(code)).json()) as { id_token: string };
    const keys = createLocalJWKSet((await (await fetch(`${issuer.issuer}/jwks`)).json()) as JSONWebKeySet);
    expect((await jwtVerify(answer.id_token, keys, { audience: 'c', issuer: issuer.issuer })).payload).toMatchObject({ sub: 'vera', nonce: 'n', roles: ['r'] });
    expect((await redeem(code)).status).toBe(400);
  });

  it('gives the command line, which has no secret, a token for the broker; never for a code of the dashboard', async () => {
    const asked = { client_id: 'cli', redirect_uri: 'http://127.0.0.1:41234/callback' };
    const codeFor = async (changes: Readonly<Record<string, string>>): Promise<string> => new URL((await authorize({ person: 'vera', ...changes })).headers.get('location') ?? '').searchParams.get('code') ?? '';
    const redeemAlone = (code: string, redirect: string): Promise<Response> =>
      fetch(`${issuer.issuer}/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'authorization_code', client_id: 'cli', code, redirect_uri: redirect, code_verifier: verifier }) });
    expect((await redeemAlone(await codeFor({}), client.redirectUri)).status).toBe(400);
    const { access_token: token } = (await (await redeemAlone(await codeFor(asked), asked.redirect_uri)).json()) as { access_token: string };
    const keys = createLocalJWKSet((await (await fetch(`${issuer.issuer}/jwks`)).json()) as JSONWebKeySet);
    expect((await jwtVerify(token, keys, { audience: 'mayfly-dev', issuer: issuer.issuer })).payload).toMatchObject({ sub: 'vera', roles: ['r'] });
  });
});
