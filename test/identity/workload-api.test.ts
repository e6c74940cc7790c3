import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeAuthority, type IssuedCertificate } from '../../dev/make-certificate.ts';
import { createTlsServer } from '../../src/http/tls-server.ts';
import { createWorkloadApi, type WorkloadApi } from '../../src/identity/workload-api/workload-api.ts';
import type { TrustBundle } from '../../src/identity/trust-bundle.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api-server.ts';
import { jwkOf, PAIRS, STRANGER } from './published-issuer.ts';

const HOUR = 3_600_000;
const unavailable = expect.objectContaining({ code: 'identity_unavailable' });
const first = makeAuthority({ commonName: 'first' });
const second = makeAuthority({ commonName: 'second' });

let directory: string;
let agent: WorkloadApiServer;
let client: WorkloadApi;
let clock: ManualClock;
let warned: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mayfly-agent-'));
  agent = await startWorkloadApi(join(directory, 'agent.sock'));
  clock = new ManualClock(Date.now());
  warned = [];
  client = createWorkloadApi({ socket: agent.socket, clock, log: { warn: (_fields, message) => warned.push(message) } });
});

afterEach(async () => {
  client.close();
  await agent.stop();
  await rm(directory, { recursive: true, force: true });
});

const jwks = async (...keys: Promise<object>[]): Promise<Buffer> => Buffer.from(JSON.stringify({ keys: await Promise.all(keys) }));
const x509 = (...authorities: readonly IssuedCertificate[]): Buffer => Buffer.concat(authorities.map(({ der }) => der));
const names = async (bundle: TrustBundle): Promise<string[]> => (await bundle.authorities().catch(() => [])).map(({ x509: { subject } }) => subject);
const soon = (condition: () => Promise<boolean>, what: string): Promise<unknown> => until(condition, { timeoutMs: 8_000, what });

describe('bundles from the Workload API', () => {
  it('SP-30: come of both kinds, each trust domain by itself, and change as the agent pushes', async () => {
    agent.give({
      x509Bundles: { 'spiffe://example.org': x509(first), 'spiffe://other.org': x509(second) },
      jwtBundles: { 'spiffe://example.org': await jwks(jwkOf(PAIRS.ES256, { kid: 'a' })), 'spiffe://other.org': await jwks(jwkOf(STRANGER, { kid: 'b' })) },
    });
    const [own, other] = [client.bundleOf('example.org'), client.bundleOf('other.org')];
    await soon(async () => (await names(own)).length === 1, 'the first push');
    expect(await names(own)).toEqual(['CN=first']);
    expect(await names(other)).toEqual(['CN=second']);
    expect(await own.keyFor('a', 'ES256')).toBeDefined();
    expect(await own.keyFor('b', 'ES256')).toBeUndefined();
    expect(await own.keyFor(undefined, 'ES256')).toBeUndefined();
    expect(agent.refused()).toBe(0);

    agent.give({ x509Bundles: { 'spiffe://example.org': x509(first, second), 'spiffe://other.org': x509(second) } });
    await soon(async () => (await names(own)).length === 2, 'a new authority');
    agent.give({ jwtBundles: { 'spiffe://example.org': await jwks(jwkOf(STRANGER, { kid: 'c', use: 'jwt-svid' })) } });
    await soon(async () => (await own.keyFor('c', 'ES256')) !== undefined, 'a new key');
    expect(await own.keyFor('a', 'ES256')).toBeUndefined();
  });

  it('SP-32: emptied, or SP-43: named no more, leave nobody at once', async () => {
    agent.give({ x509Bundles: { 'spiffe://example.org': x509(first), 'spiffe://other.org': x509(second) }, jwtBundles: {} });
    const [own, other] = [client.bundleOf('example.org'), client.bundleOf('other.org')];
    await soon(async () => (await names(own)).length === 1, 'the first push');
    agent.give({ x509Bundles: { 'spiffe://example.org': Buffer.alloc(0) } });
    await soon(async () => (await own.authorities()).length === 0, 'the emptied bundle');
    expect(await other.authorities()).toEqual([]);
  });

  it('stay for an hour while the agent is away, and are asked for anew until it is back', async () => {
    const bundle = client.bundleOf('example.org');
    await expect(bundle.authorities()).rejects.toEqual(unavailable);
    agent.give({ x509Bundles: { 'spiffe://example.org': x509(first) } });
    await soon(async () => (await names(bundle)).length === 1, 'the first push');
    agent.breakStreams();
    await soon(() => Promise.resolve(warned.length >= 2), 'the break of both streams is told');
    expect(await names(bundle)).toEqual(['CN=first']);
    clock.advance(HOUR);
    await expect(bundle.authorities()).rejects.toEqual(unavailable);
    agent.give({ x509Bundles: { 'spiffe://example.org': x509(second) } });
    agent.comeBack();
    await soon(async () => (await names(bundle))[0] === 'CN=second', 'the agent is heard again');
  });

  it.each<[string, Buffer]>([
    ['cut off', x509(first).subarray(0, 100)],
    ['followed by rubbish', Buffer.concat([x509(first), Buffer.from('rubbish')])],
  ])('that are %s are not taken, and the last good ones stay', async (_name, spoiled) => {
    agent.give({ x509Bundles: { 'spiffe://example.org': x509(first) } });
    const bundle = client.bundleOf('example.org');
    await soon(async () => (await names(bundle)).length === 1, 'the first push');
    agent.give({ x509Bundles: { 'spiffe://example.org': spoiled } });
    await soon(() => Promise.resolve(warned.length > 0), 'it is told');
    expect(await names(bundle)).toEqual(['CN=first']);
  });
});

describe('the identity of the broker', () => {
  const svidOf = (issued: IssuedCertificate) => ({ spiffe_id: 'spiffe://example.org/mayfly', x509_svid: Buffer.concat(issued.chain), x509_svid_key: issued.keys.privateKey.export({ type: 'pkcs8', format: 'der' }) });

  it('SP-20: its X.509-SVID is what the TLS listener shows, and the next one as soon as the agent pushes it', async () => {
    const intermediate = first.issue({ ca: true, commonName: 'between' });
    const [one, two] = [intermediate, intermediate].map((by) => by.issue({ uris: ['spiffe://example.org/mayfly'] })) as [IssuedCertificate, IssuedCertificate];
    const server = createTlsServer((_request, response) => void response.end(), client.certificate(), 'none');
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const shown = async (): Promise<string | undefined> => {
      const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ca: first.pem, checkServerIdentity: () => undefined });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerCertificate().fingerprint256;
      } catch {
        return undefined;
      } finally {
        socket.destroy();
      }
    };
    try {
      expect(await shown()).toBeUndefined();
      agent.give({ svid: svidOf(one) });
      await soon(async () => (await shown()) === new X509Certificate(one.pem).fingerprint256, 'the first SVID is shown');
      agent.give({ svid: svidOf(two) });
      await soon(async () => (await shown()) === new X509Certificate(two.pem).fingerprint256, 'the second SVID is shown');
    } finally {
      server.close();
      await once(server, 'close');
    }
  });

  it('SP-15: its JWT-SVID is for the audience that is asked for; an agent that gives none is named, and nothing of its answer', async () => {
    await expect(client.jwtSvid('openbao', AbortSignal.timeout(5_000))).rejects.toThrow('the Workload API gives no JWT-SVID (7)');
    agent.give({ jwtSvid: (audience) => Promise.resolve(`svid for ${audience.join()}`) });
    expect((await client.jwtSvid('openbao', AbortSignal.timeout(5_000))).expose()).toBe('svid for openbao');
  });
});
