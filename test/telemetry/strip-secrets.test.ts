import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import { looksSecret, stripSecrets } from '../../src/telemetry/strip-secrets.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const signed = `${part({ alg: 'ES256' })}.${part({ sub: 'agent' })}`;
const JWT = `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;

const SECRETS: readonly (readonly [string, string])[] = [
  ['a JWT', JWT],
  ['the first half of a JWT', signed.slice(0, 30)],
  ['a Vault service token', `hvs.${'CAESIJq0'.repeat(8)}`],
  ['a Vault batch token', `hvb.${'AAAAAQKm'.repeat(8)}`],
  ['an OpenBao token', 's.Zm9vYmFyYmF6cXV1eHF1dXV4'],
  ['a reference token', `mfr_${'a1B2'.repeat(8)}`],
  ['a private key', PEM],
  ['an AWS key id', 'ASIAIOSFODNN7EXAMPLE'],
];

describe('stripSecrets', () => {
  it.each(SECRETS)('leaves nothing of %s, wherever it stands in a line', (_name, secret) => {
    for (const line of [secret, `before ${secret} after`, JSON.stringify({ deep: [{ value: secret }] })]) {
      // Control: the secret was there to be found.
      expect(line).toContain(secret === PEM && line.startsWith('{') ? 'PRIVATE KEY' : secret);
      const stripped = stripSecrets(line);
      expect(stripped).toContain('[secret]');
      expect(stripped).not.toContain(secret.slice(4, 24));
      expect(stripped).not.toContain(secret.trimEnd().slice(-60, -40) || secret);
    }
  });

  it('takes the password out of a URL and leaves its host', () => {
    expect(stripSecrets('redis://default:hunter2@127.0.0.1:6379/0')).toBe('redis://[secret]@127.0.0.1:6379/0');
  });

  it('takes the token out of an authorization header', () => {
    expect(stripSecrets('Authorization: Bearer abcdefgh12345678')).toBe('Authorization: Bearer [secret]');
  });

  it.each([
    'tsk_0123456789abcdef0123456789abcdef',
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    'spiffe://example.org/agent/refunds',
    'https://vault.example.org:8200/v1/database/creds/orders-reader',
    'the docs.are-at-some-rather-long-name.example.org',
    'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  ])('leaves %s as it is', (text) => {
    expect(stripSecrets(text)).toBe(text);
    expect(looksSecret(text)).toBe(false);
  });

  it('keeps every JSON line JSON', () => {
    const secret = fc.constantFrom(...SECRETS.map(([, value]) => value), 'redis://u:p@h', 'Bearer abcdefghij');
    const text = fc.tuple(fc.string(), secret, fc.string()).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(fc.dictionary(text, text)), (value) => {
        expect(JSON.parse(stripSecrets(JSON.stringify(value)))).toHaveLength(value.length);
      }),
    );
  });
});
