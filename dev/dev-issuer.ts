import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, exportJWK, exportPKCS8, generateKeyPair, SignJWT, type CryptoKey } from 'jose';

export interface TokenRequest {
  readonly subject: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly lifetimeSeconds?: number;
  readonly audience?: string;
  /** The `typ` of its header; `JWT` where not given. */
  readonly type?: string;
}

export interface DevIssuer {
  readonly issuer: string;
  readonly audience: string;
  /** Signs a token of this issuer. */
  sign(request: TokenRequest): Promise<string>;
  /** Replaces the signing key; the old one is published no longer, or, with `keepOld`, until the next time. */
  rotate(options?: { readonly keepOld?: boolean }): Promise<void>;
  /** The key that it signs with now, PEM: for an orchestrator that signs its declarations itself. */
  exportKey(): Promise<string>;
  stop(): Promise<void>;
}

/** A token lives this long unless asked otherwise: as long as a task may take to start, not longer. */
const LIFETIME_SECONDS = 600;

/** An OpenID Connect issuer on loopback for development: discovery, keys, and tokens for whoever holds this object. */
export async function startDevIssuer({ audience }: { readonly audience: string }): Promise<DevIssuer> {
  let key = await newKey();
  let old: typeof key | undefined;
  const server = createServer((request, response) => {
    const document = documentFor(request.url ?? '/');
    response.writeHead(document === undefined ? 404 : 200, { 'Content-Type': 'application/json' }).end(JSON.stringify(document ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  function documentFor(path: string): object | undefined {
    if (path === '/.well-known/openid-configuration') {
      return { issuer, jwks_uri: `${issuer}/jwks`, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] };
    }
    return path === '/jwks' ? { keys: [key, ...(old === undefined ? [] : [old])].map(({ jwk }) => jwk) } : undefined;
  }

  return {
    issuer,
    audience,
    sign: ({ subject, claims = {}, lifetimeSeconds = LIFETIME_SECONDS, audience: other = audience, type = 'JWT' }) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: type })
        .setIssuer(issuer)
        .setSubject(subject)
        .setAudience(other)
        .setIssuedAt()
        .setJti(randomUUID())
        .setExpirationTime(`${lifetimeSeconds}s`)
        .sign(key.privateKey),
    async rotate({ keepOld = false } = {}) {
      old = keepOld ? key : undefined;
      key = await newKey();
    },
    exportKey: () => exportPKCS8(key.privateKey),
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function newKey(): Promise<{ kid: string; privateKey: CryptoKey; jwk: object }> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  // RFC 7638: whoever has the key can name it.
  const kid = await calculateJwkThumbprint(jwk);
  return { kid, privateKey, jwk: { ...jwk, kid, alg: 'ES256', use: 'sig' } };
}
