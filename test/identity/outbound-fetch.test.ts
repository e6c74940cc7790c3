import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Secret } from '../../src/core/secret.ts';
import { createOutboundFetch, OutboundRefused, type FetchOptions, type OutboundFetchOptions } from '../../src/identity/outbound-fetch.ts';
import { selfSignedCertificate } from '../support/self-signed-certificate.ts';

let servers: Server[];
let directory: string;
let port: number;
let tlsPort: number;
let asked: string[];

const answer: RequestListener = (request, response) => {
  asked.push(`${request.headers.host ?? ''}${request.url ?? ''} ${request.headers.accept ?? ''}`);
  if (request.url === '/echo') {
    const { method, headers } = request;
    void text(request).then((body) => response.end(JSON.stringify({ method, type: headers['content-type'], authorization: headers.authorization, body })));
    return;
  }
  const redirect = /^\/status\/(\d+)$/.exec(request.url ?? '')?.[1];
  if (redirect !== undefined) response.writeHead(Number(redirect), { Location: '/' }).write('an answer that does not end');
  else if (request.url === '/large') response.end('x'.repeat(1024 * 1024 + 1));
  else if (request.url === '/largest') response.end('x'.repeat(1024 * 1024));
  else if (request.url === '/endless') response.write('x');
  else response.setHeader('X-Kept', 'yes').end('{"ok":true}');
};

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  asked = [];
  servers = [];
  directory = await mkdtemp(join(tmpdir(), 'mayfly-outbound-'));
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cert = selfSignedCertificate('issuer.test', keys);
  await writeFile(join(directory, 'ca.pem'), cert);
  await writeFile(join(directory, 'other-ca.pem'), selfSignedCertificate('issuer.test', generateKeyPairSync('ec', { namedCurve: 'P-256' })));
  port = await listen(createServer(answer));
  tlsPort = await listen(createTlsServer({ key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), cert }, answer));
});

afterAll(async () => {
  await Promise.all(
    servers.map(async (server) => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }),
  );
  await rm(directory, { recursive: true, force: true });
});

const url = (path = '/'): string => `http://127.0.0.1:${port}${path}`;
const toLoopback = (): Promise<readonly string[]> => Promise.resolve(['127.0.0.1']);

const fetcher = (options: Partial<OutboundFetchOptions> = {}) =>
  createOutboundFetch({ environment: 'development', allowHosts: ['127.0.0.1', 'issuer.test', '10.0.0.1', '[::1]', 'other.test'], allowPrivateAddresses: true, ...options });

describe('the outbound fetch', () => {
  it('asks a configured host (control)', async () => {
    expect(await fetcher()(url())).toMatchObject({ status: 200, body: '{"ok":true}', headers: { 'x-kept': 'yes' } });
  });

  it('asks for JSON, or for what it is told to', async () => {
    await fetcher()(url('/a'));
    await fetcher()(url('/b'), { accept: 'application/jwk-set+json' });
    expect(asked).toEqual(expect.arrayContaining([`127.0.0.1:${port}/a application/json`, `127.0.0.1:${port}/b application/jwk-set+json`]));
  });

  it('posts JSON, as whom it is told to', async () => {
    const echo = async (options: FetchOptions): Promise<unknown> => JSON.parse((await fetcher()(url('/echo'), options)).body);
    expect(await echo({})).toEqual({ method: 'GET', body: '' });
    expect(await echo({ json: { asked: ['ü'] }, bearer: new Secret('who.i.am') })).toEqual({ method: 'POST', type: 'application/json', authorization: 'Bearer who.i.am', body: '{"asked":["ü"]}' });
    expect(await echo({ json: new Secret('{"token":"t"}') })).toEqual({ method: 'POST', type: 'application/json', body: '{"token":"t"}' });
  });

  it.each([307, 308])('posts nothing to where a redirect points (%i)', async (status) => {
    const before = asked.length;
    await expect(fetcher()(url(`/status/${status}`), { json: { a: 1 } })).rejects.toThrow('redirects are not followed');
    expect(asked).toHaveLength(before + 1);
  });

  it('resolves a name once and asks that address under the configured name, however often the answer changes', async () => {
    const answers = [['127.0.0.1'], ['169.254.169.254']];
    let resolved = 0;
    const rebinding = fetcher({ resolve: () => Promise.resolve(answers[resolved++] ?? []) });
    expect((await rebinding(`http://issuer.test:${port}/pinned`)).status).toBe(200);
    expect(asked).toContain(`issuer.test:${port}/pinned application/json`);
    expect(resolved).toBe(1);
    await expect(rebinding(`http://issuer.test:${port}/pinned`)).rejects.toThrow(OutboundRefused);
  });

  it('tries the next of the checked addresses when one does not answer', async () => {
    const two = fetcher({ resolve: () => Promise.resolve(['::1', '127.0.0.1']) });
    expect((await two(`http://issuer.test:${port}/`)).status).toBe(200);
  });

  it.each([
    ['a host that is not configured', 'http://evil.test/', {}],
    ['a host that ends like a configured one', 'http://evil-issuer.test/', {}],
    ['a host below a configured one', 'http://x.issuer.test/', {}],
    ['a configured host with a dot at the end', 'http://issuer.test./', {}],
    ['another port of a host that is configured with its port', 'http://127.0.0.1:1/', { allowHosts: ['127.0.0.1:2'] }],
    ['plain http in production', 'http://issuer.test/', { environment: 'production' as const }],
    ['another scheme', 'file:///etc/passwd', {}],
    ['a data URL', 'data:application/json,{}', {}],
    ['a user in the URL', 'http://user@issuer.test/', {}],
    ['a password in the URL', 'http://:pass@issuer.test/', {}],
    ['a configured name as user of another host', 'http://issuer.test@evil.test/', {}],
    ['a private address where none is allowed', 'https://10.0.0.1/', { allowPrivateAddresses: false }],
    ['loopback where none is allowed', 'https://[::1]/', { allowPrivateAddresses: false }],
    ['an address written as one number', 'http://2852039166/', { allowHosts: ['2852039166', '169.254.169.254'] }],
    ['an address written in octal', 'http://0251.0376.0251.0376/', { allowHosts: ['169.254.169.254'] }],
    ['the mapped form of a metadata address', 'http://[::ffff:169.254.169.254]/', { allowHosts: ['[::ffff:a9fe:a9fe]'] }],
    ['a name without an address', 'http://issuer.test/', { resolve: () => Promise.resolve([]) }],
    ['a name of a metadata address', 'http://issuer.test/', { resolve: () => Promise.resolve(['169.254.169.254']) }],
    ['a name of a private address where none is allowed', 'https://issuer.test/', { allowPrivateAddresses: false, resolve: toLoopback }],
    ['a name with one good and one bad address', 'https://issuer.test/', { resolve: () => Promise.resolve(['93.184.216.34', '169.254.169.254']) }],
  ])('refuses %s', async (_name, target, options) => {
    const before = asked.length;
    await expect(fetcher(options)(target)).rejects.toThrow(OutboundRefused);
    expect(asked).toHaveLength(before);
  });

  it.each([301, 302, 303, 307, 308])('follows no redirect (%i), and does not wait for the end of it', async (status) => {
    const before = asked.length;
    await expect(fetcher()(url(`/status/${status}`))).rejects.toThrow('redirects are not followed');
    expect(asked).toHaveLength(before + 1);
  });

  it('reads a mebibyte, and not a byte more', async () => {
    expect((await fetcher()(url('/largest'))).body).toHaveLength(1024 * 1024);
    await expect(fetcher()(url('/large'))).rejects.toThrow(/exceeded/i);
  });

  it('gives up after five seconds in all: an answer that never ends, a name that is never resolved', async () => {
    const startedMs = performance.now();
    const never = fetcher({ resolve: () => new Promise(() => undefined) });
    await Promise.all([
      expect(fetcher()(url('/endless'))).rejects.toMatchObject({ name: 'TimeoutError' }),
      expect(never('http://issuer.test/')).rejects.toMatchObject({ name: 'TimeoutError' }),
    ]);
    expect(performance.now() - startedMs).toBeLessThan(7_000);
  });

  it('gives up sooner when it is told to', async () => {
    const never = fetcher({ resolve: () => new Promise(() => undefined) });
    const controller = new AbortController();
    const waiting = Promise.all([
      expect(fetcher()(url('/endless'), { signal: controller.signal })).rejects.toThrow('told to'),
      expect(never('http://issuer.test/', { signal: controller.signal })).rejects.toThrow('told to'),
    ]);
    controller.abort(new Error('told to'));
    await waiting;
    await expect(never('http://issuer.test/', { signal: controller.signal })).rejects.toThrow('told to');
  });

  describe('over TLS', () => {
    const trusting = (file: string) => fetcher({ environment: 'production', resolve: toLoopback, caFor: (host) => (host.endsWith(`:${tlsPort}`) ? join(directory, file) : undefined) });

    it('trusts the certificates configured for a host', async () => {
      expect((await trusting('ca.pem')(`https://issuer.test:${tlsPort}/`)).status).toBe(200);
    });

    it('trusts nobody else: other certificates, another name, or none configured (control)', async () => {
      await expect(trusting('other-ca.pem')(`https://issuer.test:${tlsPort}/`)).rejects.toThrow(/certificate|signature/);
      await expect(trusting('ca.pem')(`https://other.test:${tlsPort}/`)).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      await expect(fetcher({ resolve: toLoopback })(`https://issuer.test:${tlsPort}/`)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    });
  });
});
