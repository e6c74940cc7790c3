import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import * as asn1 from '@peculiar/asn1-x509';

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** What a certificate is to say; what is not said is as an X.509-SVID should have it. */
export interface CertificateWish {
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ips?: readonly string[];
  /** The common name; an empty subject when null. */
  readonly commonName?: string | null;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** Null leaves the extension out. */
  readonly keyUsage?: number | null;
  readonly keyUsageCritical?: boolean;
  readonly altNameCritical?: boolean;
  /** Null leaves the extension out. */
  readonly purposes?: readonly string[] | null;
  readonly permittedUris?: readonly string[];
  readonly more?: readonly asn1.Extension[];
  readonly keys?: KeyPair;
}

/** A certificate with its key and what signs below it. */
export interface IssuedCertificate {
  readonly der: Buffer;
  readonly pem: string;
  readonly keys: KeyPair;
  readonly keyPem: string;
  /** In DER, up to but without the root: what a TLS peer sends. */
  readonly chain: readonly Buffer[];
  issue(wish: CertificateWish): IssuedCertificate;
}

const ECDSA_SHA256 = new asn1.AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' });
const COMMON_NAME = '2.5.4.3';
const { digitalSignature, keyCertSign, cRLSign } = asn1.KeyUsageFlags;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export const newKeys = (): KeyPair => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** An authority that signs itself. */
export const makeAuthority = (wish: CertificateWish): IssuedCertificate => make({ ca: true, ...wish }, undefined);

function make(wish: CertificateWish, issuer: { readonly subject: asn1.Name; readonly keys: KeyPair; readonly chain: readonly Buffer[] } | undefined): IssuedCertificate {
  const keys = wish.keys ?? newKeys();
  const subject = nameOf(wish);
  // Each certificate reads its own issuer's name and signs with its own issuer's key.
  const by = issuer ?? { subject, keys, chain: [] };
  const tbs = new asn1.TBSCertificate({
    version: asn1.Version.v3,
    serialNumber: Uint8Array.from([1, ...randomBytes(8)]).buffer,
    signature: ECDSA_SHA256,
    issuer: by.subject,
    subject,
    validity: new asn1.Validity({ notBefore: wish.notBefore ?? ago(MINUTE_MS), notAfter: wish.notAfter ?? ago(-HOUR_MS) }),
    subjectPublicKeyInfo: AsnConvert.parse(keys.publicKey.export({ type: 'spki', format: 'der' }), asn1.SubjectPublicKeyInfo),
    extensions: new asn1.Extensions(extensionsOf(wish, keys, by.keys)),
  });
  const signatureValue = sign('sha256', Buffer.from(AsnConvert.serialize(tbs)), by.keys.privateKey);
  const der = Buffer.from(AsnConvert.serialize(new asn1.Certificate({ tbsCertificate: tbs, signatureAlgorithm: ECDSA_SHA256, signatureValue: Uint8Array.from(signatureValue).buffer })));
  const chain = issuer === undefined ? [] : [der, ...by.chain];
  return {
    der,
    pem: pemOf(der),
    keys,
    keyPem: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    chain,
    issue: (below) => make(below, { subject, keys, chain }),
  };
}

/** The PEM form of a certificate in DER. */
export const pemOf = (der: Uint8Array): string => `-----BEGIN CERTIFICATE-----\n${(Buffer.from(der).toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;

const ago = (ms: number): Date => new Date(Date.now() - ms);

function nameOf({ commonName = 'test' }: CertificateWish): asn1.Name {
  if (commonName === null) return new asn1.Name();
  return new asn1.Name([new asn1.RelativeDistinguishedName([new asn1.AttributeTypeAndValue({ type: COMMON_NAME, value: new asn1.AttributeValue({ utf8String: commonName }) })])]);
}

function extensionsOf(wish: CertificateWish, keys: KeyPair, issuerKeys: KeyPair): asn1.Extension[] {
  const { ca = false, pathLength, uris = [], dnsNames = [], ips = [] } = wish;
  const extension = (extnID: string, critical: boolean, value: unknown): asn1.Extension =>
    new asn1.Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
  const usage = wish.keyUsage === undefined ? (ca ? keyCertSign | cRLSign : digitalSignature) : wish.keyUsage;
  const purposes = wish.purposes === undefined ? (ca ? null : [asn1.id_kp_serverAuth, asn1.id_kp_clientAuth]) : wish.purposes;
  const names = [
    ...uris.map((uniformResourceIdentifier) => new asn1.GeneralName({ uniformResourceIdentifier })),
    ...dnsNames.map((dNSName) => new asn1.GeneralName({ dNSName })),
    ...ips.map((iPAddress) => new asn1.GeneralName({ iPAddress })),
  ];
  return [
    extension(asn1.id_ce_basicConstraints, true, new asn1.BasicConstraints({ cA: ca, ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }) })),
    ...(usage === null ? [] : [extension(asn1.id_ce_keyUsage, wish.keyUsageCritical ?? true, new asn1.KeyUsage(usage))]),
    ...(purposes === null ? [] : [extension(asn1.id_ce_extKeyUsage, false, new asn1.ExtendedKeyUsage([...purposes]))]),
    ...(names.length === 0 ? [] : [extension(asn1.id_ce_subjectAltName, wish.altNameCritical ?? wish.commonName === null, new asn1.SubjectAlternativeName(names))]),
    ...(wish.permittedUris === undefined ? [] : [extension(asn1.id_ce_nameConstraints, true, constraintsOf(wish.permittedUris))]),
    extension(asn1.id_ce_subjectKeyIdentifier, false, new asn1.SubjectKeyIdentifier(identifierOf(keys))),
    extension(asn1.id_ce_authorityKeyIdentifier, false, new asn1.AuthorityKeyIdentifier({ keyIdentifier: new asn1.KeyIdentifier(identifierOf(issuerKeys)) })),
    ...(wish.more ?? []),
  ];
}

const constraintsOf = (uris: readonly string[]): asn1.NameConstraints =>
  new asn1.NameConstraints({
    permittedSubtrees: new asn1.GeneralSubtrees(uris.map((uri) => new asn1.GeneralSubtree({ base: new asn1.GeneralName({ uniformResourceIdentifier: uri }), minimum: 0 }))),
  });

/** RFC 7093 section 2: of the public key, 160 bits of its SHA-256. */
const identifierOf = ({ publicKey }: KeyPair): ArrayBuffer =>
  Uint8Array.from(createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest().subarray(0, 20)).buffer;
