import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { findSpire } from '../../dev/find-tools.ts';
import { makeAuthority } from '../../dev/make-certificate.ts';
import { systemClock } from '../../src/core/clock.ts';
import { createTlsServer } from '../../src/http/tls-server.ts';
import { bundleEndpoint } from '../../src/identity/bundle-endpoint.ts';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { createWorkloadApi, type WorkloadApi } from '../../src/identity/workload-api/workload-api.ts';
import type { TrustBundle } from '../../src/identity/trust-bundle.ts';
import { verifyX509Svid } from '../../src/identity/x509/verify-x509-svid.ts';
import { NODE, startSpireAgent, startSpireServer, type SpireAgent, type SpireServer } from '../support/spire.ts';
import { until } from '../support/until.ts';

const programs = findSpire();
const OWN = 'spire.test';
const PARTNER = 'partner.test';
const MAYFLY = `spiffe://${OWN}/mayfly`;

(programs === undefined ? describe.skip : describe)('SPIRE, unchanged', () => {
  const spire = programs ?? { server: '', agent: '' };
  let directory: string;
  let server: SpireServer;
  let partner: SpireServer;
  let agent: SpireAgent;
  let client: WorkloadApi;
  let entry: string;
  const warned: string[] = [];
  const log = { warn: (_fields: object, message: string) => warned.push(message) };

  /** The agent asks its server every five seconds, and our streams may be waiting to be opened again. */
  const soon = (condition: () => Promise<boolean>, what: string) => until(condition, { timeoutMs: 60_000, everyMs: 100, what });
  const authorities = (bundle: TrustBundle) => bundle.authorities().then((all) => all.length, () => -1);
  const keyOf = async (bundle: TrustBundle, token: string) => bundle.keyFor(String(decodeProtectedHeader(token).kid), 'ES256').catch(() => undefined);
  const jwtSvid = async (audience: string): Promise<string> => (await client.jwtSvid(audience, AbortSignal.timeout(10_000))).expose();
  const authorityId = (kind: 'x509' | 'jwt', state: 'active' | 'prepared' | 'old'): string => {
    const shown = JSON.parse(server.run(['localauthority', kind, 'show', '-output', 'json'])) as Record<string, { authority_id?: string } | undefined>;
    return shown[state]?.authority_id ?? '';
  };

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'spire-'));
    const web = makeAuthority({ commonName: 'web' });
    const served = web.issue({ ips: ['127.0.0.1'] });
    const file = (name: string): string => join(directory, name);
    await Promise.all([writeFile(file('web.pem'), web.pem), writeFile(file('served.pem'), served.pem), writeFile(file('served-key.pem'), served.keyPem, { mode: 0o600 })]);
    server = await startSpireServer(spire, { directory, trustDomain: OWN, endpointProfile: 'profile "https_spiffe" {}' });
    partner = await startSpireServer(spire, { directory, trustDomain: PARTNER, endpointProfile: `profile "https_web" { serving_cert_file { cert_file_path = "${file('served.pem')}" key_file_path = "${file('served-key.pem')}" file_sync_interval = "1h" } }` });
    server.run(['bundle', 'set', '-id', `spiffe://${PARTNER}`, '-format', 'spiffe'], partner.run(['bundle', 'show', '-format', 'spiffe']));
    agent = await startSpireAgent(spire, { server, directory });
    client = createWorkloadApi({ socket: agent.socket, clock: systemClock, log });
  }, 90_000);

  afterAll(async () => {
    client.close();
    await agent.stop();
    await Promise.all([server.stop(), partner.stop()]);
    await rm(directory, { recursive: true, force: true });
  }, 30_000);

  it('gives nothing to a program that it does not know, and is asked until it does', async () => {
    const own = client.bundleOf(OWN);
    await until(() => warned.length > 0, { what: 'the refusal is told' });
    await expect(own.authorities()).rejects.toMatchObject({ code: 'identity_unavailable' });
    await expect(jwtSvid('openbao')).rejects.toThrow('the Workload API gives no JWT-SVID (7)');
    const created = server.run(['entry', 'create', '-parentID', `spiffe://${OWN}${NODE}`, '-spiffeID', MAYFLY, '-selector', `unix:path:${process.execPath}`, '-federatesWith', `spiffe://${PARTNER}`, '-x509SVIDTTL', '10']);
    entry = /Entry ID\s+: (\S+)/.exec(created)?.[1] ?? '';
    await soon(async () => (await authorities(own)) === 1, 'the bundle');
  }, 90_000);

  it('gives both kinds of bundle, of its own domain and of a federated one, and none of a third', async () => {
    const [own, federated, third] = [client.bundleOf(OWN), client.bundleOf(PARTNER), client.bundleOf('third.test')];
    const token = await jwtSvid('openbao');
    expect(decodeJwt(token)).toMatchObject({ sub: MAYFLY, aud: ['openbao'] });
    const foreign = partner.run(['jwt', 'mint', '-spiffeID', `spiffe://${PARTNER}/agent`, '-audience', 'mayfly']).trim();
    await soon(async () => (await keyOf(own, token)) !== undefined && (await keyOf(federated, foreign)) !== undefined, 'the JWT authorities');
    expect([await authorities(own), await authorities(federated), await authorities(third)]).toEqual([1, 1, 0]);
    // One domain never speaks for another.
    expect([await keyOf(own, foreign), await keyOf(federated, token)]).toEqual([undefined, undefined]);
  }, 90_000);

  it('gives an X.509-SVID that our TLS listener shows, that OpenSSL and we verify by its bundle, and the next one in time', async () => {
    const own = client.bundleOf(OWN);
    const listener = createTlsServer((_request, response) => void response.end(), client.certificate(), 'none');
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const ca = server.run(['bundle', 'show']);
    const shown = async (): Promise<DetailedPeerCertificate | undefined> => {
      const socket = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', ca, checkServerIdentity: () => undefined });
      try {
        await once(socket, 'secureConnect');
        return socket.getPeerCertificate(true);
      } catch {
        return undefined;
      } finally {
        socket.destroy();
      }
    };
    try {
      await soon(async () => (await shown()) !== undefined, 'the first SVID is shown');
      const first = await shown();
      expect(await verifyX509Svid([first?.raw ?? Buffer.alloc(0)], () => own.authorities(), systemClock.now(), 'server')).toMatchObject({ subject: MAYFLY });
      // It lives for ten seconds: without the next one nobody could connect after that.
      await soon(async () => ![undefined, first?.fingerprint256].includes((await shown())?.fingerprint256), 'the next SVID is shown');
    } finally {
      listener.close();
      await once(listener, 'close');
    }
  }, 90_000);

  it('ends a federation, and leaves nobody of the other domain', async () => {
    const federated = client.bundleOf(PARTNER);
    expect(await authorities(federated)).toBe(1);
    server.run(['entry', 'update', '-entryID', entry, '-parentID', `spiffe://${OWN}${NODE}`, '-spiffeID', MAYFLY, '-selector', `unix:path:${process.execPath}`]);
    await soon(async () => (await authorities(federated)) === 0, 'the federation has ended');
    expect(await authorities(client.bundleOf(OWN))).toBe(1);
  }, 90_000);

  it('may be away for a while: bundles stay, and it is heard again when it is back', async () => {
    const own = client.bundleOf(OWN);
    await agent.stop();
    await expect(jwtSvid('openbao')).rejects.toThrow('(14)');
    expect(await authorities(own)).toBe(1);
    agent = await startSpireAgent(spire, { server, directory });
    await soon(async () => (await jwtSvid('openbao').catch(() => '')) !== '', 'it gives JWT-SVIDs');
    server.run(['localauthority', 'x509', 'prepare']);
    await soon(async () => (await authorities(own)) === 2, 'what changed is pushed');
  }, 150_000);

  it('pushes new authorities as its operator activates them, and the end of the old ones', async () => {
    const own = client.bundleOf(OWN);
    const before = await jwtSvid('openbao');
    server.run(['localauthority', 'jwt', 'prepare']);
    for (const kind of ['jwt', 'x509'] as const) {
      server.run(['localauthority', kind, 'activate', '-authorityID', authorityId(kind, 'prepared')]);
      server.run(['localauthority', kind, 'taint', '-authorityID', authorityId(kind, 'old')]);
    }
    const kid = (token: string) => decodeProtectedHeader(token).kid;
    await soon(async () => kid(await jwtSvid('openbao')) !== kid(before) && (await keyOf(own, await jwtSvid('openbao'))) !== undefined, 'tokens are of the new authority');
    // What is only tainted still counts, so that whoever has it can change.
    expect(await keyOf(own, before)).toBeDefined();
    expect(await authorities(own)).toBe(2);
    for (const kind of ['jwt', 'x509'] as const) server.run(['localauthority', kind, 'revoke', '-authorityID', authorityId(kind, 'old')]);
    await soon(async () => (await authorities(own)) === 1 && (await keyOf(own, before)) === undefined, 'the old authorities are gone');
  }, 150_000);

  it('serves bundle endpoints of both profiles; a server with another id, or a certificate of somebody else, is not believed', async () => {
    const bootstrap = join(directory, 'bootstrap.json');
    await writeFile(bootstrap, server.run(['bundle', 'show', '-format', 'spiffe']));
    const fetch = createOutboundFetch({ environment: 'production', allowHosts: [server, partner].map(({ endpointUrl }) => new URL(endpointUrl).host), allowPrivateAddresses: true });
    const of = (trustDomain: string, endpoint: Parameters<typeof bundleEndpoint>[1]) => bundleEndpoint(trustDomain, endpoint, { fetch, clock: systemClock, log, authoritiesOf: () => Promise.resolve(undefined) });
    const overSpiffe = (id: string) => of(OWN, { profile: 'https_spiffe', url: server.endpointUrl, endpoint_spiffe_id: id, bootstrap_file: bootstrap });
    const overWeb = (caFile?: string) => of(PARTNER, { profile: 'https_web', url: partner.endpointUrl, ca_file: caFile });
    const own = overSpiffe(`spiffe://${OWN}/spire/server`);
    expect(await authorities(own)).toBe(1);
    expect(await keyOf(own, await jwtSvid('openbao'))).toBeDefined();
    expect(await authorities(overWeb(join(directory, 'web.pem')))).toBe(1);
    expect(await authorities(overSpiffe(`spiffe://${OWN}/spire/another`))).toBe(-1);
    expect(await authorities(overWeb())).toBe(-1);
    // What changes is there after its refresh hint, without a restart.
    server.run(['localauthority', 'x509', 'prepare']);
    await soon(async () => (await authorities(own)) === 2, 'the refreshed bundle');
  }, 90_000);
});
