import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { makeAuthority } from '../../dev/make-certificate.ts';
import { parseBundle, parseJwtBundle } from '../../src/identity/parse-bundle.ts';
import { jwkOf, PAIRS } from './published-issuer.ts';

const authority = makeAuthority({ commonName: 'first' });
const second = makeAuthority({ commonName: 'second' });
const x5c = authority.der.toString('base64');
const EC = authority.keys.publicKey.export({ format: 'jwk' });
const bundle = (...keys: object[]): string => JSON.stringify({ keys });

describe('an X.509 authority of a bundle', () => {
  it('SP-31: is the first certificate of x5c alone', () => {
    const { x509Authorities } = parseBundle(bundle({ ...EC, use: 'x509-svid', x5c: [x5c, second.der.toString('base64')] }));
    expect(x509Authorities.map(({ x509 }) => x509.subject)).toEqual(['CN=first']);
  });

  it.each<[string, object, number]>([
    ['SP-31: with a kid', { use: 'x509-svid', kid: 'a', x5c: [x5c] }, 1],
    ['SP-31: without x5c', { use: 'x509-svid' }, 1],
    ['SP-31: with an empty x5c', { use: 'x509-svid', x5c: [] }, 1],
    ['SP-31: with rubbish in x5c', { use: 'x509-svid', x5c: ['rubbish'] }, 1],
    ['SP-30: without use', { x5c: [x5c] }, 0],
    ['SP-30: with the use in upper case', { use: 'X509-SVID', x5c: [x5c] }, 0],
    ['SP-30: of a use to come', { use: 'wit-svid', kid: 'w' }, 0],
    ['SP-30: with an unknown key type', { use: 'x509-svid', kty: 'new', x5c: [x5c] }, 1],
  ])('%s is passed over alone', (_name, members, told) => {
    const { x509Authorities, passedOver } = parseBundle(bundle({ ...EC, ...members }, { ...EC, use: 'x509-svid', x5c: [x5c] }));
    expect(x509Authorities).toHaveLength(1);
    expect(passedOver).toHaveLength(told);
  });

  it('SP-34: never makes a JWT authority, nor the other way round', async () => {
    const { jwtAuthorities, x509Authorities } = parseBundle(bundle({ ...EC, use: 'x509-svid', x5c: [x5c] }, { ...(await jwkOf(PAIRS.ES256, { kid: 'k', use: 'jwt-svid' })), x5c: [x5c] }));
    expect([jwtAuthorities.size, x509Authorities.length]).toEqual([1, 1]);
  });
});

describe('a bundle', () => {
  it.each([
    ['SP-35: a list of keys twice', '{"keys":[],"keys":[]}'],
    ['SP-35: a sequence twice', '{"keys":[],"spiffe_sequence":2,"spiffe_sequence":1}'],
    ['SP-35: a member of a key twice', '{"keys":[{"kty":"EC","use":"jwt-svid","use":"x509-svid"}]}'],
    ['SP-33: a hint that is no whole number', '{"keys":[],"spiffe_refresh_hint":1.5}'],
    ['more than 1 MiB', `{"keys":["${'a'.repeat(1024 * 1024)}"]}`],
  ])('with %s is refused', (_name, text) => {
    expect(() => parseBundle(text)).toThrow();
  });

  it('SP-35: would be taken by JSON.parse alone, with the last of the two (control)', () => {
    expect(JSON.parse('{"keys":[],"spiffe_sequence":2,"spiffe_sequence":1}')).toEqual({ keys: [], spiffe_sequence: 1 });
  });
});

describe('whatever is in place of a bundle', () => {
  /** A key, most of it right, with anything in place of some of it. */
  const spoiled = fc.dictionary(fc.constantFrom('kty', 'use', 'kid', 'x5c', 'crv', 'x', 'y', 'n', 'e', 'd'), fc.oneof(fc.constantFrom('EC', 'x509-svid', 'jwt-svid', 'P-256', [x5c.slice(4)], ['']), fc.jsonValue({ maxDepth: 2 })));
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(spoiled, { maxLength: 4 }).map((keys) => JSON.stringify({ keys })),
    fc.record({ at: fc.nat(400), by: fc.string({ maxLength: 3 }) }).map(({ at, by }) => {
      const text = bundle({ ...EC, use: 'x509-svid', x5c: [x5c] });
      return text.slice(0, at) + by + text.slice(at + 1);
    }),
  );

  it('is either a bundle, or refused with a message; it never ends the process, and never gives a key that was not there', async () => {
    await fc.assert(
      fc.asyncProperty(anything, async (text) => {
        for (const parse of [parseBundle, parseJwtBundle]) {
          try {
            const { jwtAuthorities, x509Authorities } = parse(text);
            for (const { x509 } of x509Authorities) expect(x509.subject).toBe('CN=first');
            for (const algorithm of ['ES256', 'RS256']) expect([undefined, 'public']).toContain((await jwtAuthorities.find('k', algorithm))?.type);
          } catch (error) {
            expect(error).toMatchObject({ message: expect.stringMatching(/./) });
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
