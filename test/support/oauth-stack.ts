import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { AGENT, SECOND_AGENT } from '../../dev/dev-identities.ts';
import { RunningBroker } from './running-broker.ts';

export const PAYMENTS = 'https://payments.example.org';
export const LEDGER = 'https://ledger.example.org';
export const TASK_TYPE = 'urn:mayfly:task:v1';
export const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
export const JWT_SPIFFE = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
export const JWT = 'urn:ietf:params:oauth:token-type:jwt';

export const CLIENT_ID = 'refunds-client';
export const OTHER_CLIENT_ID = 'payouts-client';
export const SPIFFE_AGENT = 'spiffe://example.test/agent/refunds';

/** A broker with OAuth clients: two with keys of their own, for the agents of the stack, and the workloads of a trust domain. */
export interface OAuthStack {
  readonly broker: RunningBroker;
  /** Of the client `refunds-client`. */
  readonly key: ClientKey;
  readonly otherKey: ClientKey;
  /** A JWT-SVID of the trust domain `example.test`. */
  svid(audience?: string, subject?: string): Promise<string>;
  /** An assertion of the client `refunds-client`, but for what is said otherwise. */
  assertion(claims?: Readonly<Record<string, unknown>>, key?: ClientKey, header?: Readonly<Record<string, unknown>>): Promise<string>;
}

export interface ClientKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: Readonly<Record<string, unknown>>;
}

export async function newClientKey(kid: string): Promise<ClientKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}

/** @param override more configuration; @param users the issuer of persons, where there are any */
export async function startOAuthStack(override: Readonly<Record<string, unknown>> = {}, users?: { readonly issuer: string; readonly audience: string }): Promise<OAuthStack> {
  const [key, otherKey, authority] = await Promise.all([newClientKey('refunds-1'), newClientKey('payouts-1'), newClientKey('authority-1')]);
  const broker = await RunningBroker.start(override, [], {
    async configure(config, { stack, url }) {
      const bundleFile = join(stack.directory, 'bundle.json');
      await writeFile(bundleFile, JSON.stringify({ keys: [{ ...authority.publicJwk, use: 'jwt-svid' }] }));
      const jwksFile = join(stack.directory, 'payouts.jwks.json');
      await writeFile(jwksFile, JSON.stringify({ keys: [otherKey.publicJwk] }));
      const { issuer } = stack.workloads;
      config.http.public_url = url;
      if (users !== undefined) config.identity.users = { issuer: users.issuer, audience: users.audience };
      config.identity.trust_domains = [{ name: 'example.test', bundle_file: bundleFile }];
      config.oauth = {
        clients: [
          { client_id: CLIENT_ID, workload: { issuer, subject: AGENT }, jwks: { keys: [key.publicJwk] } },
          { client_id: OTHER_CLIENT_ID, workload: { issuer, subject: SECOND_AGENT }, jwks_file: jwksFile },
        ],
      };
    },
  });
  return {
    broker,
    key,
    otherKey,
    svid: (audience = 'mayfly-dev', subject = SPIFFE_AGENT) =>
      new SignJWT().setProtectedHeader({ alg: 'ES256', kid: authority.kid, typ: 'JWT' }).setSubject(subject).setAudience(audience).setIssuedAt().setExpirationTime('300s').sign(authority.privateKey),
    assertion: (claims = {}, signer = key, header = {}) => {
      const nowSeconds = Math.floor(Date.now() / 1000);
      const usual: Record<string, unknown> = { iss: CLIENT_ID, sub: CLIENT_ID, aud: broker.url, jti: crypto.randomUUID(), iat: nowSeconds, exp: nowSeconds + 60 };
      const said = Object.fromEntries(Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined));
      return new SignJWT(said).setProtectedHeader({ alg: 'ES256', kid: signer.kid, ...header }).sign(signer.privateKey);
    },
  };
}

/** One task as authorization details. */
export const taskDetails = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify([{ type: TASK_TYPE, purpose: 'refund-investigation', actions: ['read'], ...more }]);
