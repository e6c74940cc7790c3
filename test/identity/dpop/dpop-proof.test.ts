import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from '../../support/fast-check.ts';
import { compactVerify, exportJWK, FlattenedSign, UnsecuredJWT } from 'jose';
import { toEpochSeconds } from '../../../src/core/time.ts';
import { checkProof, type ProofExpectation } from '../../../src/identity/dpop/dpop-proof.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { jwkOf, pairFor, PAIRS, STRANGER } from '../published-issuer.ts';
import { athOf, proofOf, thumbprintOf, TOKEN, URL_OF_CALL, type ProofChange } from './proofs.ts';

const clock = new ManualClock();
const NOW = toEpochSeconds(clock.now());
const JKT = await thumbprintOf(PAIRS.ES256);
const EXPECTED: ProofExpectation = { method: 'POST', uri: URL_OF_CALL, token: { text: TOKEN, jkt: JKT }, nonces: null };

const proof = (change?: ProofChange): Promise<string> => proofOf(NOW, change);
const check = (proofs: readonly string[], expected: Partial<ProofExpectation> = {}) => checkProof(proofs, { ...EXPECTED, ...expected }, clock.now());
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const withHeader = async (members: object): Promise<string> => (await proof()).replace(/^[^.]+/, encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: await jwkOf(PAIRS.ES256), ...members }));

const FORM = 'it is not one JWT in compact form';
const CLAIMS = 'its claims jti, htm, htu and iat must be there and of their types';
const SIGNATURE = 'its signature does not fit its jwk';
const PRIVATE = 'its jwk holds a private key, which is public now';
const URI = 'its htu is not the URL of the request, as the broker is reached by http.public_url';
const ALGORITHM = 'its algorithm is none of ES256, ES384, EdDSA, Ed25519, PS256, RS256';
const OLD = 'it is older than 60 seconds; make one for each request';
const FUTURE = 'it was made in the future';
const secretOf = async () => ({ jwk: await exportJWK(PAIRS.ES256.privateKey) });
const bigRsa = generateKeyPairSync('rsa', { modulusLength: 2_048, publicExponent: 0x10003 });

/** RFC 9449 section 4.3, by the number of the check. */
const BAD: readonly (readonly [string, string, () => Promise<string | readonly string[]>])[] = [
  ['DPoP-1: none', 'there is none; send one in a DPoP header', () => Promise.resolve([])],
  ['DPoP-1: two headers', 'there is more than one DPoP header', async () => [await proof(), await proof()]],
  ['DPoP-1: the same header twice', 'there is more than one DPoP header', async () => Array.from({ length: 2 }, ((one) => () => one)(await proof()))],
  ['DPoP-2: two in one header', FORM, async () => `${await proof()}, ${await proof()}`],
  ['DPoP-2: an empty header', FORM, () => Promise.resolve('')],
  ['DPoP-2: in JSON form', FORM, async () => JSON.stringify(await new FlattenedSign(Buffer.from('{}')).setProtectedHeader({ alg: 'ES256' }).sign(PAIRS.ES256.privateKey))],
  ['DPoP-2: of five parts', FORM, async () => `${await proof()}.a.b`],
  ['DPoP-2: of more than 8 KiB', FORM, () => proof({ claims: { padding: 'x'.repeat(8_192) } })],
  ['DPoP-2: with a header that is no JSON', 'its header cannot be read', async () => (await proof()).replace(/^[^.]+/, 'AAAA')],
  ...['jti', 'htm', 'htu', 'iat'].map((name) => [`DPoP-3: without ${name}`, CLAIMS, () => proof({ claims: { [name]: undefined } })] as const),
  ['DPoP-3: with an empty jti', CLAIMS, () => proof({ claims: { jti: '' } })],
  ['DPoP-3: with a jti of 257 letters', CLAIMS, () => proof({ claims: { jti: 'a'.repeat(257) } })],
  ['DPoP-3: with a number as jti', CLAIMS, () => proof({ claims: { jti: 5 } })],
  ['DPoP-3: with a list as htu', CLAIMS, () => proof({ claims: { htu: [URL_OF_CALL] } })],
  ['DPoP-3: with a time in words', CLAIMS, () => proof({ claims: { iat: String(NOW) } })],
  ...[undefined, 'JWT', 'DPoP+jwt', 'dpop', '', 5, null].map((typ) => [`DPoP-4: of type ${JSON.stringify(typ)}`, 'its typ is not dpop+jwt', () => withHeader({ typ })] as const),
  ['DPoP-5: of the algorithm none', ALGORITHM, () => withHeader({ alg: 'none' })],
  ['DPoP-5: of HMAC', ALGORITHM, () => withHeader({ alg: 'HS256' })],
  ['DPoP-5: of an algorithm in a list', ALGORITHM, () => withHeader({ alg: ['ES256'] })],
  ['DPoP-5: of an algorithm that is not accepted here', ALGORITHM, () => proof({ header: { alg: 'RS512' }, pair: PAIRS.RSA })],
  ['DPoP-5: of an algorithm that its key is not for', 'its jwk does not fit its algorithm', () => withHeader({ alg: 'RS256' })],
  ['DPoP-5: of another curve than its algorithm', 'its jwk does not fit its algorithm', async () => withHeader({ jwk: await jwkOf(PAIRS.ES384) })],
  ['DPoP-5: that demands extensions', 'its header demands extensions', () => withHeader({ crit: ['exp'] })],
  ['DPoP-5: without its payload in base64', 'its header demands extensions', () => withHeader({ b64: false })],
  ['DPoP-6: signed by another key than it brings', SIGNATURE, async () => withHeader({ jwk: await jwkOf(STRANGER) })],
  ['DPoP-6: with another claim than was signed', SIGNATURE, async () => (await proof()).replace(/\.[^.]+\./, `.${encode({ jti: 'a', htm: 'POST', htu: URL_OF_CALL, iat: NOW, ath: athOf(TOKEN) })}.`)],
  ['DPoP-6: without a signature', FORM, () => Promise.resolve(new UnsecuredJWT({ jti: 'a' }).encode())],
  ['DPoP-6: without a key', 'its header brings no jwk', () => withHeader({ jwk: undefined })],
  ['DPoP-6: with a key that is none', 'its jwk is no public key', () => withHeader({ jwk: { kty: 'EC5' } })],
  ['DPoP-6: with a key whose values make none', 'its jwk does not fit its algorithm', () => withHeader({ jwk: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } })],
  ['DPoP-6: with an RSA key that costs time', 'its jwk is no RSA key of at most 4,096 bits', () => proof({ header: { alg: 'RS256' }, pair: bigRsa })],
  ['DPoP-7: with its private key', PRIVATE, async () => withHeader(await secretOf())],
  ['DPoP-7: with a null for its private key', PRIVATE, async () => withHeader({ jwk: { ...(await jwkOf(PAIRS.ES256)), d: null } })],
  ['DPoP-7: with one factor of an RSA key', PRIVATE, async () => withHeader({ alg: 'RS256', jwk: { ...(await jwkOf(PAIRS.RSA)), p: 'AQAB' } })],
  ['DPoP-7: with a symmetric key', PRIVATE, () => withHeader({ jwk: { kty: 'oct', k: 'AAAA' } })],
  ...['GET', 'post', 'POST ', ''].map((htm) => [`DPoP-8: for the method ${JSON.stringify(htm)}`, 'its htm is not the method of the request', () => proof({ claims: { htm } })] as const),
  ...[
    'https://mayfly.example.org/v1/tasks/',
    'https://mayfly.example.org/v1/Tasks',
    'http://mayfly.example.org/v1/tasks',
    'https://mayfly.example.org:8443/v1/tasks',
    'https://evil.example.org/v1/tasks',
    'https://mayfly.example.org.evil.test/v1/tasks',
    'https://mayfly.example.org@evil.test/v1/tasks',
    'https://user@mayfly.example.org/v1/tasks',
    'https://mayfly.example.org/v1/tasks%2Fa',
    'https://mayfly.example.org\\v1\\tasks',
    ' https://mayfly.example.org/v1/tasks',
    'https://mayfly.example.org/v1/ta\tsks',
    '//mayfly.example.org/v1/tasks',
    '/v1/tasks',
    'javascript:0',
    '',
  ].map((htu) => [`DPoP-9: for the URL ${JSON.stringify(htu)}`, URI, () => proof({ claims: { htu } })] as const),
  ['DPoP-11: made 61 seconds ago', OLD, () => proof({ claims: { iat: NOW - 61 } })],
  ['DPoP-11: made 31 seconds ahead', FUTURE, () => proof({ claims: { iat: NOW + 31 } })],
  ['DPoP-11: past its own expiry', OLD, () => proof({ claims: { exp: NOW - 30 } })],
  ['DPoP-11: not valid yet', FUTURE, () => proof({ claims: { nbf: NOW + 31 } })],
  ['DPoP-12: without the hash of the token', 'its ath is not the hash of the token', () => proof({ claims: { ath: undefined } })],
  ['DPoP-12: with the hash of another token', 'its ath is not the hash of the token', () => proof({ claims: { ath: athOf('another') } })],
  ['DPoP-12: by another key than the token is bound to', 'its key is not the one that the token is bound to', () => proof({ pair: STRANGER })],
];

describe('a DPoP proof is refused, for the reason it should be,', () => {
  it.each(BAD)('%s', async (_name, reason, make) => {
    const made = await make();
    await expect(check(typeof made === 'string' ? [made] : made)).rejects.toMatchObject({ code: 'invalid_dpop_proof', status: 401, message: `the DPoP proof was not accepted: ${reason}` });
  });

  it.each([
    ['none', {}],
    ['one that is not ours', { nonce: 'made-up' }],
    ['an empty one', { nonce: '' }],
  ])('DPoP-10: with %s where our nonce is demanded; with it, it is accepted (control)', async (_name, claims) => {
    const nonces = { accepts: (nonce: string) => nonce === 'ours', current: () => 'ours' };
    await expect(check([await proof({ claims })], { nonces })).rejects.toMatchObject({ code: 'use_dpop_nonce', status: 401, headers: { 'DPoP-Nonce': 'ours' } });
    expect(await check([await proof({ claims: { nonce: 'ours' } })], { nonces })).toMatchObject({ jkt: JKT });
  });

  it('whatever its parts hold: never by another error than a problem', async () => {
    const part = fc.oneof(fc.json().map((json) => Buffer.from(json).toString('base64url')), fc.string());
    const header = fc.record({ typ: fc.constant('dpop+jwt'), alg: fc.constantFrom('ES256', 'RS256', 'EdDSA'), jwk: fc.oneof(fc.dictionary(fc.constantFrom('kty', 'crv', 'x', 'y', 'n', 'e', 'alg', 'use'), fc.jsonValue()), fc.jsonValue()) }).map(encode);
    await fc.assert(
      fc.asyncProperty(fc.oneof(header, part), part, part, async (...parts) => {
        await expect(check([parts.join('.')])).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
      }),
    );
  });

  it('while its signature alone would make most of them good (control)', async () => {
    for (const claims of [{ htm: 'GET' }, { htu: 'https://evil.example.org/v1/tasks' }, { iat: NOW - 3_600 }, { ath: athOf('another') }]) {
      expect((await compactVerify(await proof({ claims }), PAIRS.ES256.publicKey)).protectedHeader.typ).toBe('dpop+jwt');
    }
  });
});

describe('a DPoP proof is accepted', () => {
  it.each(['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'])('signed by %s, with the thumbprint of its key', async (alg) => {
    const pair = pairFor(alg);
    const jkt = await thumbprintOf(pair);
    expect(await check([await proof({ header: { alg }, pair })], { token: { text: TOKEN, jkt } })).toMatchObject({ jkt, htu: URL_OF_CALL, iat: NOW });
  });

  it.each([
    ['60 seconds old', { iat: NOW - 60 }],
    ['30 seconds ahead', { iat: NOW + 30 }],
    ['with query and fragment in its htu', { htu: `${URL_OF_CALL}?a=1#b` }],
    ['with the default port in its htu', { htu: 'https://mayfly.example.org:443/v1/tasks' }],
    ['with host and scheme in capitals', { htu: 'HTTPS://Mayfly.Example.ORG/v1/tasks' }],
    ['with an escape that needs none', { htu: 'https://mayfly.example.org/v1/t%61sks' }],
    ['with dots to be removed', { htu: 'https://mayfly.example.org/v1/./x/../tasks' }],
    ['with claims of its own', { client: 'a' }],
    ['with a nonce that nobody asked for', { nonce: 'of-another-server' }],
  ])('%s', async (_name, claims) => {
    expect(await check([await proof({ claims })])).toMatchObject({ jkt: JKT });
  });

  it('of any key and without a hash, where no token is there yet', async () => {
    const jkt = await thumbprintOf(STRANGER);
    expect(await check([await proof({ pair: STRANGER, claims: { ath: undefined } })], { token: null })).toMatchObject({ jkt });
  });
});
