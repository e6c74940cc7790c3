import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, SignJWT } from 'jose';
import { makeAuthority, newKeys, type IssuedCertificate } from './make-certificate.ts';

/** The trust domain of the development stack. */
export const TRUST_DOMAIN = 'example.org';
export const AGENT_ID = `spiffe://${TRUST_DOMAIN}/agent/refunds`;
export const SECOND_AGENT_ID = `spiffe://${TRUST_DOMAIN}/agent/payouts`;
const BROKER_ID = `spiffe://${TRUST_DOMAIN}/mayfly`;

export interface SvidFiles {
  readonly certificate_file: string;
  readonly key_file: string;
}

/** A SPIFFE trust domain in a folder: an authority, its bundle, and X.509-SVIDs that are kept fresh. */
export interface SpiffeDomain {
  readonly bundleFile: string;
  /** PEM, for clients of the broker's TLS listener. */
  readonly caFile: string;
  readonly broker: SvidFiles;
  readonly agent: SvidFiles;
  readonly secondAgent: SvidFiles;
  readonly authority: IssuedCertificate;
  /** A JWT-SVID by the domain's key. */
  jwtSvid(subject: string, audience: string): Promise<string>;
  /** Puts another bundle in place of the domain's own. */
  writeBundle(keys: readonly object[]): Promise<void>;
  /** The domain's own bundle. */
  readonly bundleKeys: readonly object[];
  stop(): void;
}

/** SVIDs live this long, and are written anew this often: a file is never close to its end. */
const LIFE_MS = 600_000;
const REFRESH_MS = 120_000;
const YEAR_MS = 365 * 24 * 3_600_000;

/** Creates the domain below a folder. Files are 0600. */
export async function startSpiffeDomain(directory: string): Promise<SpiffeDomain> {
  await mkdir(directory, { mode: 0o700 });
  const authority = makeAuthority({ commonName: 'Mayfly development trust domain', uris: [`spiffe://${TRUST_DOMAIN}`], notAfter: new Date(Date.now() + YEAR_MS) });
  const jwtKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const bundleKeys = [
    { ...(await exportJWK(createPublicKey(authority.keys.privateKey))), use: 'x509-svid', x5c: [authority.der.toString('base64')] },
    { ...(await exportJWK(jwtKey.publicKey)), use: 'jwt-svid', kid: 'dev' },
  ];
  const write = async (name: string, content: string): Promise<string> => {
    const file = join(directory, name);
    // Replaced in one step, so that a reader never sees half of it.
    await writeFile(`${file}.new`, content, { mode: 0o600 });
    await rename(`${file}.new`, file);
    return file;
  };
  let sequence = 0;
  const writeBundle = async (keys: readonly object[]): Promise<string> => write('bundle.json', JSON.stringify({ keys, spiffe_sequence: (sequence += 1), spiffe_refresh_hint: 60 }));

  // One key for as long as the stack runs: a reader between the two files still has a pair that fits.
  const svids = { broker: BROKER_ID, agent: AGENT_ID, 'second-agent': SECOND_AGENT_ID } as const;
  const keys = new Map(Object.keys(svids).map((name) => [name, newKeys()]));
  const files = (name: keyof typeof svids): SvidFiles => ({ certificate_file: join(directory, `${name}.pem`), key_file: join(directory, `${name}.key`) });
  const writeSvids = async (): Promise<void> => {
    for (const [name, id] of Object.entries(svids)) {
      const served = name === 'broker' ? { dnsNames: ['localhost'], ips: ['127.0.0.1'] } : {};
      const svid = authority.issue({ commonName: name, uris: [id], notAfter: new Date(Date.now() + LIFE_MS), keys: keys.get(name) ?? newKeys(), ...served });
      await write(`${name}.key`, svid.keyPem);
      await write(`${name}.pem`, svid.pem);
    }
  };
  await writeSvids();
  const timer = setInterval(() => void writeSvids().catch(() => undefined), REFRESH_MS);
  return {
    bundleFile: await writeBundle(bundleKeys),
    caFile: await write('ca.pem', authority.pem),
    broker: files('broker'),
    agent: files('agent'),
    secondAgent: files('second-agent'),
    authority,
    bundleKeys,
    jwtSvid: (subject, audience) =>
      new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: 'dev' }).setSubject(subject).setAudience(audience).setIssuedAt().setExpirationTime('5m').sign(jwtKey.privateKey),
    async writeBundle(changed) {
      await writeBundle(changed);
    },
    stop: () => clearInterval(timer),
  };
}
