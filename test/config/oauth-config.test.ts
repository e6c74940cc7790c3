import { describe, expect, it } from '@jest/globals';
import { changed, faultsOf, load, RIGHT } from './config-fixture.ts';

const CLIENT = '{ client_id: c, workload: { issuer: https://issuer.test, subject: agent:a }, jwks: { keys: [{ kty: EC, crv: P-256, x: a, y: b }] } }';
/** The right configuration with OAuth clients; the first stands on line 46. */
const withClients = (...clients: readonly string[]): string => `${RIGHT}oauth:\n  clients:\n${clients.map((client) => `    - ${client}\n`).join('')}`;
const but = (from: string, to: string): string => CLIENT.replace(from, to);

describe('the OAuth face in a configuration', () => {
  it('is taken with a client of a configured workload, and with none', () => {
    expect(load(withClients(CLIENT)).oauth).toMatchObject({ clients: [{ client_id: 'c', algorithms: ['ES256'] }], max_assertion_seconds: 3_600 });
    expect(load(RIGHT).oauth.clients).toEqual([]);
    expect(load(`${RIGHT}oauth:\n  issuer: https://mayfly.test\n`).oauth.issuer).toBe('https://mayfly.test');
  });

  it.each([
    ['one name twice', [CLIENT, CLIENT], 'clients.1.client_id', 'is listed twice'],
    ['the name of an issuer', [but('client_id: c', 'client_id: "https://issuer.test"')], 'clients.0.client_id', 'is the name of an issuer'],
    ['the name of a SPIFFE ID', [but('client_id: c', 'client_id: "spiffe://example.org/a"')], 'clients.0.client_id', /must not look like a SPIFFE ID/],
    ['a workload nobody vouches for', [but('https://issuer.test', 'https://other.test')], 'clients.0.workload.issuer', 'must be one of identity.issuers: https://issuer.test'],
    ['an operator', [but('https://issuer.test', 'https://login.test')], 'clients.0.workload.issuer', /must be one of identity\.issuers/],
    ['a member of a trust domain', [but('https://issuer.test', 'spiffe://example.org')], 'clients.0.workload.issuer', /must be an http or https URL/],
    ['a member of a trust domain, under an issuer', [but('agent:a', 'spiffe://example.org/agent')], 'clients.0.workload.subject', /may vouch for/],
    ['no key', [but(', jwks: { keys: [{ kty: EC, crv: P-256, x: a, y: b }] }', '')], 'clients.0', 'needs either jwks or jwks_file'],
    ['keys in two places', [but('jwks:', 'jwks_file: k, jwks:')], 'clients.0', 'needs either jwks or jwks_file'],
    ['a private key', [but('y: b', 'y: b, d: c')], 'clients.0.jwks.keys.0', /only public ones/],
    ['a shared key', [but('kty: EC, crv: P-256, x: a, y: b', 'kty: oct, k: c2VjcmV0')], 'clients.0.jwks.keys.0', /only public ones/],
    ['an algorithm with a shared key', [but('client_id: c', 'algorithms: [HS256], client_id: c')], 'clients.0.algorithms.0', /must be one of/],
  ] as const)('with %s is refused', (_what, clients, key, detail) => {
    const faults = faultsOf(withClients(...clients)).map((fault) => ({ key: fault.key, detail: fault.detail }));
    expect(faults).toContainEqual({ key: `oauth.${key}`, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) });
  });

  it('with an issuer whose tokens nobody here signs is refused', () => {
    expect(faultsOf(`${RIGHT}oauth:\n  issuer: https://another.test\n`)).toMatchObject([{ detail: 'must be the issuer of a jwt provider: https://mayfly.test' }]);
    const without = changed('  tokens:\n    type: jwt\n    issuer: https://mayfly.test\n    signing_key_files: [signing.pem]\n', '', changed('  task-token:\n    kind: jwt\n    provider: tokens\n    owner: team-payments\n    audience: https://payments.test\n', ''));
    expect(faultsOf(`${without}oauth:\n  issuer: https://mayfly.test\n`)).toMatchObject([{ detail: 'needs a provider of type jwt with this issuer' }]);
  });
});

describe('a transaction token in a configuration', () => {
  /** The right configuration with its token made one. */
  const transaction = (lines: string, on = true): string =>
    changed('    audience: https://payments.test\n', `    audience: shop.test\n    transaction_token: true\n${lines}`) + (on ? 'oauth:\n  experimental_transaction_tokens: true\n' : '');

  it('is taken where it is switched on, and short', () => {
    expect(load(transaction('    max_ttl_seconds: 300\n')).credentials['task-token']).toMatchObject({ transaction_token: true });
    expect(load(RIGHT).oauth.experimental_transaction_tokens).toBe(false);
  });

  it.each([
    ['that is not switched on', transaction('    max_ttl_seconds: 60\n', false), 'transaction_token', 'needs oauth.experimental_transaction_tokens: true'],
    ['that is longer', transaction('    max_ttl_seconds: 301\n'), 'max_ttl_seconds', /must be given, and at most 300/],
    ['of no said length', transaction(''), 'max_ttl_seconds', /must be given, and at most 300/],
    ['that nobody can read', transaction('    max_ttl_seconds: 60\n    introspection_required: true\n'), 'introspection_required', /must be false/],
  ] as const)('%s is refused', (_what, text, key, detail) => {
    const faults = faultsOf(text).map((fault) => ({ key: fault.key, detail: fault.detail }));
    expect(faults).toEqual([{ key: `credentials.task-token.${key}`, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) }]);
  });
});

describe('where clients reach the TLS listener', () => {
  const tls = (url: string): string => `${RIGHT}tls:\n  public_url: ${url}\n  certificate: { source: files, certificate_file: c, key_file: k }\n`;

  it('is an https URL with nothing else in it', () => {
    expect(load(tls('https://mtls.test:8443')).tls).toMatchObject({ public_url: 'https://mtls.test:8443' });
    for (const url of ['http://mtls.test', 'https://user:pw@mtls.test', 'https://mtls.test?a=b']) expect(faultsOf(tls(url))).toMatchObject([{ key: 'tls.public_url' }]);
  });
});
