import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import * as asn1 from '@peculiar/asn1-x509';

/** A certificate with what RFC 5280 wants looked at. Node's own class holds the key and the signature; it does not show key usage. */
export interface Certificate {
  readonly x509: X509Certificate;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  /** How many more authorities may stand below this one; undefined: any number. */
  readonly pathLength: number | undefined;
  readonly keyUsage: { readonly critical: boolean; readonly bits: number } | undefined;
  /** OIDs; undefined: for everything. */
  readonly purposes: readonly string[] | undefined;
  readonly uris: readonly string[];
  readonly altNameCritical: boolean;
  readonly subjectIsEmpty: boolean;
  readonly isSelfIssued: boolean;
  readonly signatureAlgorithm: string;
  readonly uriConstraints: { readonly permitted: readonly string[] | undefined; readonly excluded: readonly string[] } | undefined;
  /** Why it must not be used for anything; undefined for a sound one. */
  readonly fault: string | undefined;
}

/** Nobody's chain or authority is larger; parsing costs time. */
const MAX_BYTES = 32_768;

/** Parses one certificate in DER. Throws `TypeError` for anything else. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > MAX_BYTES) throw new TypeError('a certificate is too large');
  try {
    const x509 = new X509Certificate(der);
    // What OpenSSL understood, encoded anew: the two parsers can then not be shown two different certificates.
    const { tbsCertificate } = AsnConvert.parse(x509.raw, asn1.Certificate);
    return { x509, ...factsOf(tbsCertificate) };
  } catch (cause) {
    throw new TypeError('a certificate cannot be read', { cause });
  }
}

/** Parses certificates in DER that follow one another without separators, as the Workload API sends them. Throws `TypeError`. */
export function parseCertificates(ders: Uint8Array): Certificate[] {
  const found: Certificate[] = [];
  for (let rest = ders; rest.byteLength > 0; ) {
    const length = sequenceLength(rest);
    found.push(parseCertificate(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  return found;
}

/** The certificates of a PEM text, in its order. Throws `TypeError` where there is none. */
export function parsePemCertificates(pem: string): Certificate[] {
  const blocks = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([\sA-Za-z0-9+/=]+)-----END CERTIFICATE-----/g)];
  if (blocks.length === 0) throw new TypeError('there is no certificate in PEM');
  return blocks.map(([, base64 = '']) => parseCertificate(Buffer.from(base64, 'base64')));
}

/** The bytes that a DER SEQUENCE takes, its head among them (X.690 section 8.1.3). */
function sequenceLength(der: Uint8Array): number {
  const [tag, first = 0] = der;
  if (tag !== 0x30) throw new TypeError('certificates do not follow one another');
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  if (count === 0 || count > 3 || der.byteLength < 2 + count) throw new TypeError('a certificate has no length');
  return 2 + count + der.subarray(2, 2 + count).reduce((length, byte) => length * 256 + byte, 0);
}

type Facts = Omit<Certificate, 'x509'>;

/** Extensions that are looked at here, or by OpenSSL as it links one certificate to the next. */
const UNDERSTOOD: readonly string[] = [
  asn1.id_ce_basicConstraints, asn1.id_ce_keyUsage, asn1.id_ce_extKeyUsage, asn1.id_ce_subjectAltName, asn1.id_ce_nameConstraints,
  asn1.id_ce_authorityKeyIdentifier, asn1.id_ce_subjectKeyIdentifier,
];

function factsOf(certificate: asn1.TBSCertificate): Facts {
  const all = certificate.extensions ?? new asn1.Extensions();
  const extensions = new Map(all.map((extension) => [extension.extnID, extension]));
  const parsed = <T>(id: string, schema: new () => T): T | undefined => {
    const found = extensions.get(id);
    return found === undefined ? undefined : AsnConvert.parse(found.extnValue.buffer, schema);
  };
  const basic = parsed(asn1.id_ce_basicConstraints, asn1.BasicConstraints);
  const usage = parsed(asn1.id_ce_keyUsage, asn1.KeyUsage);
  const names = parsed(asn1.id_ce_subjectAltName, asn1.SubjectAlternativeName);
  const constraints = parsed(asn1.id_ce_nameConstraints, asn1.NameConstraints);
  const purposes = parsed(asn1.id_ce_extKeyUsage, asn1.ExtendedKeyUsage);
  const unknown = [...extensions.values()].find(({ critical, extnID }) => critical && !UNDERSTOOD.includes(extnID));
  let fault: string | undefined;
  if (extensions.size !== all.length) fault = 'an extension stands in it twice';
  else if (unknown !== undefined) fault = 'a critical extension of it is not known here';
  else if (constraints !== undefined && !areOfUris(constraints)) fault = 'it constrains names of another form than URIs';
  return {
    notBefore: certificate.validity.notBefore.getTime(),
    notAfter: certificate.validity.notAfter.getTime(),
    isCa: basic?.cA ?? false,
    pathLength: basic?.pathLenConstraint,
    keyUsage: usage === undefined ? undefined : { critical: extensions.get(asn1.id_ce_keyUsage)?.critical ?? false, bits: usage.toNumber() },
    purposes: purposes === undefined ? undefined : [...purposes],
    uris: (names ?? new asn1.SubjectAlternativeName()).flatMap(({ uniformResourceIdentifier: uri }) => (uri === undefined ? [] : [uri])),
    altNameCritical: extensions.get(asn1.id_ce_subjectAltName)?.critical ?? false,
    subjectIsEmpty: certificate.subject.length === 0,
    isSelfIssued: Buffer.from(AsnConvert.serialize(certificate.subject)).equals(Buffer.from(AsnConvert.serialize(certificate.issuer))),
    signatureAlgorithm: certificate.signature.algorithm,
    uriConstraints: constraints === undefined ? undefined : { permitted: constraints.permittedSubtrees?.map(uriOf), excluded: (constraints.excludedSubtrees ?? new asn1.GeneralSubtrees()).map(uriOf) },
    fault,
  };
}

const uriOf = ({ base }: asn1.GeneralSubtree): string => base.uniformResourceIdentifier ?? '';
const areOfUris = ({ permittedSubtrees = [], excludedSubtrees = [] }: { readonly permittedSubtrees?: Iterable<asn1.GeneralSubtree>; readonly excludedSubtrees?: Iterable<asn1.GeneralSubtree> }): boolean =>
  [...permittedSubtrees, ...excludedSubtrees].every(({ base }) => base.uniformResourceIdentifier !== undefined);
