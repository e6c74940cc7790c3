import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { OctetString } from '@peculiar/asn1-schema';
import { Extension, id_kp_clientAuth, id_kp_codeSigning, id_kp_serverAuth, KeyUsageFlags } from '@peculiar/asn1-x509';
import { makeAuthority, type CertificateWish, type IssuedCertificate } from '../../../dev/make-certificate.ts';
import { systemClock } from '../../../src/core/clock.ts';
import type { EpochMs } from '../../../src/core/time.ts';
import { parseCertificate } from '../../../src/identity/x509/certificate.ts';
import { verifyX509Svid } from '../../../src/identity/x509/verify-x509-svid.ts';

const { digitalSignature, keyCertSign, cRLSign, keyEncipherment } = KeyUsageFlags;
const AGENT = 'spiffe://example.org/agent/refunds';
const HOUR = 3_600_000;

const root = makeAuthority({ commonName: 'example.org root', uris: ['spiffe://example.org'] });
const otherRoot = makeAuthority({ commonName: 'other.org root', uris: ['spiffe://other.org'] });
/** Calls itself as the first does, and signs with another key. */
const impostor = makeAuthority({ commonName: 'example.org root', uris: ['spiffe://example.org'] });
const intermediate = root.issue({ ca: true, commonName: 'example.org intermediate' });

const BUNDLES: Readonly<Record<string, readonly IssuedCertificate[]>> = { 'example.org': [root], 'other.org': [otherRoot], 'empty.org': [] };
const authoritiesOf = (trustDomain: string) => Promise.resolve(BUNDLES[trustDomain]?.map(({ der }) => parseCertificate(der)));

const leaf = (wish: CertificateWish = {}, by: IssuedCertificate = intermediate): readonly Uint8Array[] => by.issue({ uris: [AGENT], ...wish }).chain;
const verify = (chain: readonly Uint8Array[], nowMs: EpochMs = systemClock.now()) => verifyX509Svid(chain, authoritiesOf, nowMs);
const at = (ms: number): Date => new Date(systemClock.now() + ms);
const critical = (extnID: string): Extension => new Extension({ extnID, critical: true, extnValue: new OctetString(Uint8Array.from([5, 0])) });

const SIGNS = 'its key may sign certificates or their revocation';
const NO_PATH = 'no authority of its trust domain issued it';

/** What must be refused, by the requirement that each breaks, and the reason that is given. */
const BAD: readonly (readonly [string, string, () => readonly Uint8Array[]])[] = [
  ['SP-20: no URI', 'it names no SPIFFE ID', () => leaf({ uris: [], dnsNames: ['example.org'] })],
  ['SP-20: two SPIFFE IDs', 'it names more than one URI', () => leaf({ uris: [AGENT, `${AGENT}/b`] })],
  ['SP-20: a SPIFFE ID and another URI', 'it names more than one URI', () => leaf({ uris: [AGENT, 'https://example.org'] })],
  ['SP-20: the same SPIFFE ID twice', 'it names more than one URI', () => leaf({ uris: [AGENT, AGENT] })],
  ['SP-21: a leaf that is an authority', 'it is an authority, which never authenticates', () => leaf({ ca: true, keyUsage: digitalSignature })],
  ['SP-21: no key usage', 'its key usage is missing or not critical', () => leaf({ keyUsage: null })],
  ['SP-21: a key usage that is not critical', 'its key usage is missing or not critical', () => leaf({ keyUsageCritical: false })],
  ['SP-21: a key that may not sign', 'its key may not sign', () => leaf({ keyUsage: keyEncipherment })],
  ['SP-21: a leaf that may sign certificates', SIGNS, () => leaf({ keyUsage: digitalSignature | keyCertSign })],
  ['SP-21: a leaf that may sign revocation lists', SIGNS, () => leaf({ keyUsage: digitalSignature | cRLSign })],
  ['SP-22: a leaf of the trust domain itself', 'its URI is not the SPIFFE ID of a workload', () => leaf({ uris: ['spiffe://example.org'] })],
  ['SP-22: another scheme', 'its URI is not the SPIFFE ID of a workload', () => leaf({ uris: ['https://example.org/agent'] })],
  ['SP-22: an id that is not well formed', 'its URI is not the SPIFFE ID of a workload', () => leaf({ uris: ['spiffe://example.org/a/../b'] })],
  ['SP-22: upper case in the scheme', 'its URI is not the SPIFFE ID of a workload', () => leaf({ uris: ['SPIFFE://example.org/a'] })],
  ['SP-22: an empty subject with names that are not critical', 'its subject is empty, and its names are not critical', () => leaf({ commonName: null, altNameCritical: false })],
  ['SP-23: for servers only', 'it is not for TLS clients', () => leaf({ purposes: [id_kp_serverAuth] })],
  ['SP-23: for code signing only', 'it is not for TLS clients', () => leaf({ purposes: [id_kp_codeSigning] })],
  ['SP-24: signed by the authority of another domain', NO_PATH, () => leaf({}, otherRoot)],
  ['SP-24: signed by an authority that only has the same name', NO_PATH, () => leaf({}, impostor)],
  ['SP-24: signed by itself', NO_PATH, () => [makeAuthority({ ca: false, uris: [AGENT] }).der]],
  ['SP-24: a chain that brings its own root', NO_PATH, () => [...leaf({}, impostor), impostor.der]],
  ['SP-24: a trust domain that is not known', 'its trust domain is not known here', () => leaf({ uris: ['spiffe://evil.org/agent'] })],
  ['SP-24: a trust domain whose bundle is empty', NO_PATH, () => leaf({ uris: ['spiffe://empty.org/agent'] })],
  ['SP-24: without the intermediate', NO_PATH, () => leaf().slice(0, 1)],
  ['SP-24: not valid yet', 'it is not valid yet', () => leaf({ notBefore: at(HOUR / 2) })],
  ['SP-24: expired', 'it has expired', () => leaf({ notBefore: at(-2 * HOUR), notAfter: at(-1_000) })],
  ['SP-24: an intermediate that has expired', 'of its issuer: it has expired', () => leaf({}, root.issue({ ca: true, commonName: 'old', notBefore: at(-2 * HOUR), notAfter: at(-1_000) }))],
  ['SP-24: a signing certificate as a client', 'its URI is not the SPIFFE ID of a workload', () => [root.der]],
  ['SP-24: more authorities than one allows', 'more authorities stand between than are allowed', () => leaf({}, root.issue({ ca: true, commonName: 'short', pathLength: 0 }).issue({ ca: true, commonName: 'one too many' }))],
  ['SP-24: an authority that may name another domain only', 'its issuer may not name it', () => leaf({}, root.issue({ ca: true, commonName: 'narrow', permittedUris: ['other.org', '.example.org'] }))],
  ['SP-24: a critical extension that is unknown', 'a critical extension of it is not known here', () => leaf({ more: [critical('1.2.3.4')] })],
  ['SP-24: an intermediate with such an extension', 'of its issuer: a critical extension of it is not known here', () => leaf({}, root.issue({ ca: true, commonName: 'odd', more: [critical('1.2.3.4')] }))],
  ['SP-24: an extension twice', 'an extension stands in it twice', () => leaf({ more: [new Extension({ extnID: '2.5.29.14', critical: false, extnValue: new OctetString(Uint8Array.from([4, 1, 1])) })] })],
  ['SP-24: a short RSA key', 'its key is too short', () => leaf({ keys: generateKeyPairSync('rsa', { modulusLength: 1_024 }) })],
  ['SP-24: nine certificates', 'too many came with it', () => [...leaf(), ...Array.from({ length: 7 }, () => root.der)]],
  ['SP-25: an intermediate that is no authority', 'its issuer is no authority', () => leaf({}, root.issue({ ca: false, commonName: 'none', keyUsage: keyCertSign }))],
  // OpenSSL passes over an issuer whose key usage forbids it, before we look.
  ['SP-25: an intermediate that may not sign certificates', NO_PATH, () => leaf({}, root.issue({ ca: true, commonName: 'mute', keyUsage: digitalSignature }))],
  ['SP-25: an intermediate that does not say what it may do', 'its issuer may not sign certificates', () => leaf({}, root.issue({ ca: true, commonName: 'silent', keyUsage: null }))],
  ['nothing', 'there is none', () => []],
  ['no certificate', 'it, or one that came with it, cannot be read', () => [Buffer.from('hello')]],
  ['a good leaf with something unreadable', 'it, or one that came with it, cannot be read', () => [...leaf(), Buffer.from([0x30, 0])]],
];

describe('an X.509-SVID is refused', () => {
  it.each(BAD)('%s', async (_name, reason, chain) => {
    await expect(verify(chain())).rejects.toMatchObject({ code: 'invalid_token', message: `the certificate was not accepted: ${reason}` });
  });

  it('SP-24: once its authority has left the bundle', async () => {
    const chain = leaf();
    await expect(verify(chain)).resolves.toMatchObject({ subject: AGENT });
    await expect(verifyX509Svid(chain, () => Promise.resolve([parseCertificate(otherRoot.der)]), systemClock.now())).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('SP-24: at any time outside of its validity', async () => {
    const chain = leaf();
    await expect(verify(chain, (systemClock.now() + 2 * HOUR) as EpochMs)).rejects.toMatchObject({ message: expect.stringContaining('expired') });
    await expect(verify(chain, (systemClock.now() - HOUR) as EpochMs)).rejects.toMatchObject({ message: expect.stringContaining('not valid yet') });
  });
});

describe('an X.509-SVID is accepted', () => {
  it.each<[string, () => readonly Uint8Array[]]>([
    ['below an intermediate', () => leaf()],
    ['SP-20: with a DNS name beside its id', () => leaf({ dnsNames: ['refunds.example.org'] })],
    ['SP-22: with an empty subject and critical names', () => leaf({ commonName: null })],
    ['SP-23: without extended key usage', () => leaf({ purposes: null })],
    ['SP-23: for clients alone', () => leaf({ purposes: [id_kp_clientAuth] })],
    ['SP-24: directly below the root', () => leaf({}, root)],
    ['SP-24: with the root sent along', () => [...leaf(), root.der]],
    ['SP-24: with its intermediates in any order, and others among them', () => {
      const [first, ...rest] = leaf({}, intermediate.issue({ ca: true, commonName: 'second' }));
      return [first as Uint8Array, otherRoot.der, ...rest.toReversed()];
    }],
    ['SP-24: by an authority that may name its domain', () => leaf({}, root.issue({ ca: true, commonName: 'own', permittedUris: ['example.org'] }))],
    ['SP-24: as deep as its authority allows', () => leaf({}, root.issue({ ca: true, commonName: 'short', pathLength: 0 }))],
  ])('%s', async (_name, chain) => {
    expect(await verify(chain())).toMatchObject({ subject: AGENT, id: { trustDomain: 'example.org', path: '/agent/refunds' } });
  });

  it('for as long as every certificate of its path is valid', async () => {
    const soon = at(10 * 60_000);
    const { expiresAtMs } = await verify(leaf({}, root.issue({ ca: true, commonName: 'soon', notAfter: soon })));
    expect(Math.abs(expiresAtMs - soon.getTime())).toBeLessThan(1_000);
  });

  it('each by its own domain, although both authorities are known', async () => {
    expect(await verify(leaf({ uris: ['spiffe://other.org/agent'] }, otherRoot))).toMatchObject({ id: { trustDomain: 'other.org' } });
  });
});

describe('TLS alone (control)', () => {
  it('would take a certificate of the other domain where both authorities are in one pool, as a signed leaf of any name', () => {
    const [der = Buffer.alloc(0)] = leaf({}, otherRoot);
    const pooled = [root, otherRoot].map((authority) => parseCertificate(authority.der));
    // What a pooled bundle accepts is what SP-24 is there to refuse.
    return expect(verifyX509Svid([der], () => Promise.resolve(pooled), systemClock.now())).resolves.toMatchObject({ subject: AGENT });
  });
});
