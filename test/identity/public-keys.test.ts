import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { PublicKeys, usableJwks } from '../../src/identity/public-keys.ts';
import { jwkOf, pairFor, PAIRS, STRANGER } from './published-issuer.ts';

const keysOf = (...jwks: readonly unknown[]): PublicKeys => new PublicKeys(usableJwks(jwks));

describe('public keys', () => {
  it.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'])('give a key for %s from the one of its type, and from no other', async (algorithm) => {
    const fitting = await jwkOf(pairFor(algorithm), { kid: 'k' });
    const others = await Promise.all(Object.values(PAIRS).filter((pair) => pair !== pairFor(algorithm)).map((pair) => jwkOf(pair, { kid: 'k' })));
    expect(await keysOf(fitting, ...others).find('k', algorithm)).toMatchObject({ type: 'public' });
    expect(await keysOf(...others).find('k', algorithm)).toBeUndefined();
  });

  it.each(['none', 'HS256', 'RSA-OAEP', '__proto__', 'toString', ''])('give none for the algorithm %j', async (algorithm) => {
    const all = await Promise.all(Object.values(PAIRS).map((pair) => jwkOf(pair, { kid: 'k' })));
    expect(await keysOf(...all).find('k', algorithm)).toBeUndefined();
  });

  it('give the same object for as long as they are asked, so that a key can be recognised', async () => {
    const keys = keysOf(await jwkOf(PAIRS.ES256, { kid: 'k' }));
    expect(await keys.find('k', 'ES256')).toBe(await keys.find('k', 'ES256'));
    expect(await keys.find('k', 'ES256')).not.toBe(await keysOf(await jwkOf(PAIRS.ES256, { kid: 'k' })).find('k', 'ES256'));
  });

  it('give none where two keys have one name, and none without a name where several fit', async () => {
    const [one, other] = [await jwkOf(PAIRS.ES256, { kid: 'k' }), await jwkOf(STRANGER, { kid: 'k' })];
    expect(await keysOf(one, other).find('k', 'ES256')).toBeUndefined();
    expect(await keysOf(one, { ...other, kid: 'l' }).find(undefined, 'ES256')).toBeUndefined();
    expect(await keysOf(one, { ...other, kid: 'l' }).find('k', 'ES256')).toBeDefined();
    expect(await keysOf(one).find(undefined, 'ES256')).toBeDefined();
  });

  it('keep to the algorithm that a key is published for', async () => {
    const keys = keysOf(await jwkOf(PAIRS.RSA, { kid: 'k', alg: 'PS256' }));
    expect(await keys.find('k', 'RS256')).toBeUndefined();
    expect(await keys.find('k', 'PS256')).toBeDefined();
  });

  it('pass over, alone, what is no usable key: symmetric, private, of another form or with values that make none', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const odd = [
      null, 7, 'key', {}, { kty: 'oct', k: 'AAAA', kid: 'k' }, { kty: 'EC', kid: 7 }, { kty: 'new', kid: 'k' }, { ...privateKey.export({ format: 'jwk' }), kid: 'k' },
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'bad' }, { kty: 'RSA', kid: 'bad' },
    ];
    const keys = keysOf(...odd, await jwkOf(PAIRS.ES256, { kid: 'k' }));
    expect(await keys.find('k', 'ES256')).toBeDefined();
    expect(await keys.find('bad', 'ES256')).toBeUndefined();
    expect(await keys.find('bad', 'RS256')).toBeUndefined();
  });
});
