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
