import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createOutboundFetch, OutboundRefused, type OutboundFetchOptions } from '../../src/identity/outbound-fetch.ts';

let server: Server;
let host: string;
let asked: string[];

beforeAll(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.headers.host ?? ''}${request.url ?? ''}`);
    if (request.url === '/away') response.writeHead(302, { Location: 'http://169.254.169.254/' }).end();
    else if (request.url === '/large') response.end('x'.repeat(2 * 1024 * 1024));
    else response.end('{"ok":true}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
});

const fetcher = (options: Partial<OutboundFetchOptions> = {}) =>
  createOutboundFetch({ environment: 'development', allowHosts: [host, 'issuer.test', '10.0.0.1', '[::1]'], allowPrivateAddresses: true, ...options });

describe('the outbound fetch', () => {
  it('asks a configured host (control)', async () => {
    expect(await fetcher()(`http://${host}/`)).toEqual({ status: 200, body: '{"ok":true}' });
  });

  it('asks the address that was resolved and checked, under the name that was configured', async () => {
    const port = host.split(':')[1] ?? '';
    const pinned = fetcher({ allowHosts: ['issuer.test'], resolve: () => Promise.resolve(['127.0.0.1']) });
    expect((await pinned(`http://issuer.test:${port}/x`)).status).toBe(200);
    expect(asked).toContain(`issuer.test:${port}/x`);
  });

  it.each([
    ['a host that is not configured', 'http://evil.test/', {}],
    ['another port of a configured host', 'http://127.0.0.1:1/', {}],
    ['plain http in production', 'http://issuer.test/', { environment: 'production' as const }],
    ['another scheme', 'file:///etc/passwd', {}],
    ['credentials in the URL', 'http://user:pass@issuer.test/', {}],
    ['a private address where none is allowed', 'https://10.0.0.1/', { allowPrivateAddresses: false }],
    ['loopback where none is allowed', 'https://[::1]/', { allowPrivateAddresses: false }],
  ])('refuses %s', async (_name, url, options) => {
    await expect(fetcher(options)(url)).rejects.toThrow(OutboundRefused);
  });

  it.each([
    '169.254.169.254', '169.254.170.2', '169.254.0.1', '100.100.100.200', 'fd00:ec2::254', 'fd00:ec2::23', 'fe80::1', '::ffff:169.254.169.254', '0.0.0.0', '255.255.255.255', '224.0.0.1',
  ])('refuses the address %s always, also behind a name', async (address) => {
    const behind = fetcher({ allowHosts: ['issuer.test'], resolve: () => Promise.resolve([address]) });
    await expect(behind('http://issuer.test/')).rejects.toThrow(OutboundRefused);
  });

  it.each(['127.0.0.1', '10.1.2.3', '192.168.1.1', '172.16.0.1', '::1', 'fc00::1', '100.64.0.1', '::ffff:10.0.0.1'])('refuses the private address %s behind a name where none is allowed', async (address) => {
    const behind = fetcher({ allowHosts: ['issuer.test'], allowPrivateAddresses: false, resolve: () => Promise.resolve([address]) });
    await expect(behind('https://issuer.test/')).rejects.toThrow(OutboundRefused);
  });

  it('refuses a name with one good and one bad address', async () => {
    const behind = fetcher({ allowHosts: ['issuer.test'], allowPrivateAddresses: false, resolve: () => Promise.resolve(['93.184.216.34', '127.0.0.1']) });
    await expect(behind('https://issuer.test/')).rejects.toThrow(OutboundRefused);
  });

  it('follows no redirect', async () => {
    await expect(fetcher()(`http://${host}/away`)).rejects.toThrow(OutboundRefused);
  });

  it('reads no more than a mebibyte', async () => {
    await expect(fetcher()(`http://${host}/large`)).rejects.toThrow();
  });
});
