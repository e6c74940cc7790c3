import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDevSignIn, type DevSignInOptions } from './dev-sign-in.ts';
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

export interface DevIssuerOptions {
  readonly audience: string;
  /** Lets people sign in with a browser, where given. */
  readonly signIn?: DevSignInOptions;
}

/** An OpenID Connect issuer on loopback for development: discovery, keys, tokens for whoever holds this object, and sign-in for people. */
export async function startDevIssuer({ audience, signIn: people }: DevIssuerOptions): Promise<DevIssuer> {
  let key = await newKey();
  let old: typeof key | undefined;
  const server = createServer((request, response) => void answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const signIn = people === undefined ? undefined : createDevSignIn(people, issuer, sign);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if ((await signIn?.answer(request, response)) === true) return;
    const document = documentFor(request.url ?? '/');
    response.writeHead(document === undefined ? 404 : 200, { 'Content-Type': 'application/json' }).end(JSON.stringify(document ?? {}));
  }

  function documentFor(path: string): object | undefined {
    if (path === '/.well-known/openid-configuration') {
      return { issuer, jwks_uri: `${issuer}/jwks`, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'], ...signIn?.metadata };
    }
    return path === '/jwks' ? { keys: [key, ...(old === undefined ? [] : [old])].map(({ jwk }) => jwk) } : undefined;
  }

  function sign({ subject, claims = {}, lifetimeSeconds = LIFETIME_SECONDS, audience: other = audience, type = 'JWT' }: TokenRequest): Promise<string> {
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: type })
      .setIssuer(issuer)
      .setSubject(subject)
      .setAudience(other)
      .setIssuedAt()
      .setJti(randomUUID())
      .setExpirationTime(`${lifetimeSeconds}s`)
      .sign(key.privateKey);
  }

  return {
    issuer,
    audience,
    sign,
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
