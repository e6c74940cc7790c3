import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeAuthority, type IssuedCertificate } from '../../dev/make-certificate.ts';
import { bundleEndpoint } from '../../src/identity/bundle-endpoint.ts';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import type { TrustBundle } from '../../src/identity/trust-bundle.ts';
import { parseCertificate } from '../../src/identity/x509/certificate.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { jwkOf, PAIRS } from './published-issuer.ts';

const HOUR = 3_600_000;
const SERVER_ID = 'spiffe://example.org/bundle-endpoint';
const unavailable = expect.objectContaining({ code: 'identity_unavailable' });

const web = makeAuthority({ commonName: 'web' });
const first = makeAuthority({ commonName: 'first', uris: ['spiffe://example.org'], notAfter: new Date(Date.now() + 1_000 * HOUR) });
const second = makeAuthority({ commonName: 'second', uris: ['spiffe://example.org'], notAfter: new Date(Date.now() + 1_000 * HOUR) });
const other = makeAuthority({ commonName: 'other', uris: ['spiffe://other.org'] });
const served = (by: IssuedCertificate, id: string): IssuedCertificate => by.issue({ uris: [id], notAfter: new Date(Date.now() + 500 * HOUR) });

let directory: string;
let server: Server;
let url: string;
let asked: number;
let answer: { status: number; body: string; location?: string };
let clock: ManualClock;
let warned: string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-endpoint-'));
  server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(answer.status, answer.location === undefined ? {} : { location: answer.location }).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `https://bundle.test:${(server.address() as AddressInfo).port}/bundle`;
  await writeFile(join(directory, 'web.pem'), web.pem);
  await writeFile(join(directory, 'bootstrap.json'), await bundle([first]));
});

afterAll(async () => {
  server.close();
  await once(server, 'close');
  await rm(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  clock = new ManualClock(Date.now());
  warned = [];
  asked = 0;
  await serve({ authorities: [first], sequence: 5 });
  show(web.issue({ dnsNames: ['bundle.test'] }));
});

const show = ({ pem, keyPem }: IssuedCertificate): void => server.setSecureContext({ cert: pem, key: keyPem });
async function bundle(authorities: readonly IssuedCertificate[], members: object = {}, kid = 'k1'): Promise<string> {
  const x509 = authorities.map(({ der, keys }) => ({ ...keys.publicKey.export({ format: 'jwk' }), use: 'x509-svid', x5c: [der.toString('base64')] }));
  return JSON.stringify({ keys: [...x509, await jwkOf(PAIRS.ES256, { kid, use: 'jwt-svid' })], ...members });
}
async function serve({ authorities = [first], sequence, hint, kid }: { authorities?: readonly IssuedCertificate[]; sequence?: number; hint?: number; kid?: string }): Promise<void> {
  answer = { status: 200, body: await bundle(authorities, { ...(sequence === undefined ? {} : { spiffe_sequence: sequence }), ...(hint === undefined ? {} : { spiffe_refresh_hint: hint }) }, kid) };
}

const deps = () => ({
  fetch: createOutboundFetch({ environment: 'production' as const, allowHosts: [new URL(url).host], allowPrivateAddresses: true, resolve: () => Promise.resolve(['127.0.0.1']) }),
  clock,
  log: { warn: (_fields: object, message: string) => warned.push(message) },
  authoritiesOf: (name: string) => Promise.resolve(name === 'other.org' ? [parseCertificate(other.der)] : undefined),
});
const overWeb = (): TrustBundle => bundleEndpoint('example.org', { profile: 'https_web', url, ca_file: join(directory, 'web.pem') }, deps());
const overSpiffe = (id = SERVER_ID): TrustBundle =>
  bundleEndpoint('example.org', { profile: 'https_spiffe', url, endpoint_spiffe_id: id, ...(id.startsWith('spiffe://example.org/') ? { bootstrap_file: join(directory, 'bootstrap.json') } : {}) }, deps());
const names = async (source: TrustBundle): Promise<string[]> => (await source.authorities()).map(({ x509 }) => x509.subject);

describe('a bundle endpoint over https_web', () => {
  it('SP-41: gives both kinds of authorities, to a client that knows its name and authority', async () => {
    const source = overWeb();
    expect(await names(source)).toEqual(['CN=first']);
    expect(await source.keyFor('k1', 'ES256')).toMatchObject({ type: 'public' });
    expect(await source.keyFor(undefined, 'ES256')).toBeUndefined();
    expect(asked).toBe(1);
  });

  it.each<[string, () => IssuedCertificate]>([
    ['for another name', () => web.issue({ dnsNames: ['other.test'] })],
    ['of another authority', () => other.issue({ dnsNames: ['bundle.test'] })],
  ])('SP-41: is not believed with a certificate %s', async (_name, certificate) => {
    show(certificate());
    await expect(overWeb().authorities()).rejects.toEqual(unavailable);
    expect(asked).toBe(0);
  });

  it('SP-42: is not followed to another place', async () => {
    answer = { status: 302, body: '', location: url };
    await expect(overWeb().authorities()).rejects.toEqual(unavailable);
    expect(asked).toBe(1);
  });

  it.each([[undefined, 300], [60, 60], [0, 5], [86_400, 3_600]])('SP-33: with the hint %s is asked again after %i s, and not before', async (hint, seconds) => {
    await serve({ ...(hint === undefined ? {} : { hint }) });
    const source = overWeb();
    await source.authorities();
    await serve({ authorities: [second], ...(hint === undefined ? {} : { hint }) });
    clock.advance(seconds * 1_000 - 1);
    expect(await names(source)).toEqual(['CN=first']);
    clock.advance(1);
    expect(await names(source)).toEqual(['CN=second']);
    expect(asked).toBe(2);
  });

  it('SP-33: with a lower sequence brings nothing back; rotated keys come, removed ones go', async () => {
    const source = overWeb();
    await source.authorities();
    await serve({ authorities: [second], sequence: 4, kid: 'old' });
    clock.advance(300_000);
    expect(await names(source)).toEqual(['CN=first']);
    expect(await source.keyFor('old', 'ES256')).toBeUndefined();
    await serve({ authorities: [first, second], sequence: 6, kid: 'new' });
    clock.advance(300_000);
    expect(await names(source)).toEqual(['CN=first', 'CN=second']);
    expect(await source.keyFor('new', 'ES256')).toBeDefined();
    expect(await source.keyFor('k1', 'ES256')).toBeUndefined();
  });

  it('SP-32: emptied, leaves nobody', async () => {
    const source = overWeb();
    await source.authorities();
    answer = { status: 200, body: '{"keys":[],"spiffe_sequence":6}' };
    clock.advance(300_000);
    expect(await names(source)).toEqual([]);
    expect(await source.keyFor('k1', 'ES256')).toBeUndefined();
  });

  it('SP-43: failing, is asked at the next interval and not sooner; its last bundle stands for an hour', async () => {
    const source = overWeb();
    await source.authorities();
    answer = { status: 500, body: '' };
    clock.advance(300_000);
    for (let call = 0; call < 5; call += 1) expect(await names(source)).toEqual(['CN=first']);
    expect(asked).toBe(2);
    expect(warned).toHaveLength(1);
    clock.advance(HOUR);
    await expect(source.authorities()).rejects.toEqual(unavailable);
    await serve({ authorities: [second], sequence: 7 });
    clock.advance(300_000);
    expect(await names(source)).toEqual(['CN=second']);
  });

  it('SP-43: callers that come together ask it once', async () => {
    const source = overWeb();
    expect(await Promise.all([names(source), names(source), names(source)])).toEqual([['CN=first'], ['CN=first'], ['CN=first']]);
    expect(asked).toBe(1);
  });
});

describe('a bundle endpoint over https_spiffe', () => {
  it('SP-41: is known by its SPIFFE ID, first from the bootstrap, then from the latest bundle, and then from nothing else', async () => {
    const source = overSpiffe();
    show(served(first, SERVER_ID));
    await serve({ authorities: [second] });
    expect(await names(source)).toEqual(['CN=second']);
    await serve({ authorities: [first] });
    clock.advance(300_000);
    // The bootstrap has had its day: its authority is not in the latest bundle.
    expect(await names(source)).toEqual(['CN=second']);
    expect(warned).toHaveLength(1);
    show(served(second, SERVER_ID));
    clock.advance(300_000);
    expect(await names(source)).toEqual(['CN=first']);
  });

  it.each<[string, () => IssuedCertificate]>([
    ['another workload of the domain', () => served(first, 'spiffe://example.org/agent')],
    ['a workload of another domain', () => served(other, SERVER_ID)],
    ['a web server, however well certified', () => web.issue({ dnsNames: ['bundle.test'] })],
    ['an SVID for clients only', () => first.issue({ uris: [SERVER_ID], purposes: ['1.3.6.1.5.5.7.3.2'] })],
  ])('SP-41: is not believed as %s', async (_name, certificate) => {
    show(certificate());
    await expect(overSpiffe().authorities()).rejects.toEqual(unavailable);
    expect(asked).toBe(0);
  });

  it('SP-41: of another trust domain is known by the bundle of that one', async () => {
    show(served(other, 'spiffe://other.org/federation'));
    expect(await names(overSpiffe('spiffe://other.org/federation'))).toEqual(['CN=first']);
    show(served(first, 'spiffe://other.org/federation'));
    await expect(overSpiffe('spiffe://other.org/federation').authorities()).rejects.toEqual(unavailable);
  });

  it('SP-42: is not followed to another place', async () => {
    show(served(first, SERVER_ID));
    answer = { status: 307, body: '', location: url };
    await expect(overSpiffe().authorities()).rejects.toEqual(unavailable);
    expect(asked).toBe(1);
  });
});
