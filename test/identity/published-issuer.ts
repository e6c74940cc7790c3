import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT, type JWK } from 'jose';
import { createOutboundFetch, type OutboundFetch } from '../../src/identity/outbound-fetch.ts';

/** An issuer on loopback that publishes what a test tells it to. */
export interface PublishedIssuer {
  readonly issuer: string;
  /** Requests answered so far, by path. */
  readonly asked: string[];
  /** What is served; a string as it stands. `status` other than 200 for all of it. */
  serves: { discovery: unknown; jwks: unknown; status: number };
  /** Until it resolves no answer is given. */
  gate: Promise<void>;
  readonly fetch: OutboundFetch;
  stop(): Promise<void>;
}

export async function publishIssuer(keys: readonly object[] = []): Promise<PublishedIssuer> {
  const server = createServer((request, response) => {
    published.asked.push(request.url ?? '');
    const { discovery, jwks, status } = published.serves;
    const document = request.url === '/.well-known/openid-configuration' ? discovery : jwks;
    void published.gate.then(() => response.writeHead(status).end(typeof document === 'string' ? document : JSON.stringify(document)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `http://${host}`;
  const published: PublishedIssuer = {
    issuer,
    asked: [],
    serves: { discovery: { issuer, jwks_uri: `${issuer}/jwks` }, jwks: { keys }, status: 200 },
    gate: Promise.resolve(),
    fetch: createOutboundFetch({ environment: 'development', allowHosts: [host], allowPrivateAddresses: true }),
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return published;
}

export interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** One pair for each family of algorithms. */
export const PAIRS = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  RSA: generateKeyPairSync('rsa', { modulusLength: 2_048 }),
  EdDSA: generateKeyPairSync('ed25519'),
} satisfies Record<string, Pair>;

/** Another P-256 pair, of somebody else. */
export const STRANGER: Pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The pair that signs with an algorithm. */
export const pairFor = (algorithm: string): Pair => (/^[RP]S/.test(algorithm) ? PAIRS.RSA : PAIRS[algorithm as Exclude<keyof typeof PAIRS, 'RSA'>]);

/** A public key as it is published. */
export const jwkOf = async ({ publicKey }: Pair, members: object = {}): Promise<JWK & Record<string, unknown>> => ({ ...(await exportJWK(publicKey)), ...members });

/** Signs anything: also what no honest issuer would. */
export const signed = (claims: object, header: { alg: string } & Record<string, unknown>, { privateKey }: Pair = pairFor(header.alg)): Promise<string> =>
  new SignJWT(claims as Record<string, unknown>).setProtectedHeader(header).sign(privateKey, typeof header['crit'] === 'object' ? { crit: { b64: true, exp: true } } : {});
