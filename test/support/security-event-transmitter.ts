import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';

export const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
export const ACCOUNT_DISABLED = 'https://schemas.openid.net/secevent/risc/event-type/account-disabled';

export const CREDENTIAL_CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';

/** An identity provider that sends signals: its metadata and keys on a real server, its tokens signed by RS256. */
export interface SecurityEventTransmitter {
  readonly issuer: string;
  /** A token about a subject; `claims` and `header` as given over the usual ones, undefined for none. */
  sign(subject: unknown, more?: { readonly type?: string; readonly said?: object; readonly claims?: Readonly<Record<string, unknown>>; readonly header?: Readonly<Record<string, unknown>>; readonly key?: CryptoKey }): Promise<string>;
  stop(): void;
}

export async function startTransmitter(audience: string): Promise<SecurityEventTransmitter> {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid: 'sets-1', alg: 'RS256', use: 'sig' };
  const server = createServer((request, response) => {
    const documents: Record<string, object> = {
      '/.well-known/ssf-configuration': { issuer, jwks_uri: `${issuer}/keys`, spec_version: '1_0', delivery_methods_supported: ['urn:ietf:rfc:8935'] },
      '/keys': { keys: [jwk] },
    };
    const found = documents[request.url ?? ''];
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    sign(subject, { type = SESSION_REVOKED, said: ofType = {}, claims = {}, header = {}, key = privateKey } = {}) {
      const nowSeconds = Math.floor(Date.now() / 1000);
      const usual: Record<string, unknown> = { iss: issuer, aud: audience, iat: nowSeconds, jti: crypto.randomUUID(), txn: 'txn-1', sub_id: subject, events: { [type]: { event_timestamp: nowSeconds, initiating_entity: 'policy', ...ofType } } };
      const said = Object.fromEntries(Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined));
      return new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid: 'sets-1', typ: 'secevent+jwt', ...header }).sign(key);
    },
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
