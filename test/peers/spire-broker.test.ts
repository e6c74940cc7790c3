import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findSpire } from '../../dev/find-tools.ts';
import { BROKER_RIGHTS } from '../../dev/seed-openbao.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { NODE, startSpireAgent, startSpireServer, type SpireAgent, type SpireServer } from '../support/spire.ts';
import { until } from '../support/until.ts';

const programs = findSpire();
const DOMAIN = 'spire.test';
const MAYFLY = `spiffe://${DOMAIN}/mayfly`;
const AGENT = `spiffe://${DOMAIN}/agent`;
const POLICY = `@id("spire-mint") permit (principal, action == Mayfly::Action::"mint", resource == Mayfly::Credential::"vault-token") when { principal.subject == "${AGENT}" };\n`;
/** Where OpenBao is told to take JWT-SVIDs, and for whom they must be. */
const [MOUNT, AUDIENCE] = ['spire', 'openbao'];

(programs === undefined ? describe.skip : describe)('a broker whose identity, callers and login are of SPIRE', () => {
  const spire = programs ?? { server: '', agent: '' };
  let directory: string;
  let server: SpireServer;
  let agent: SpireAgent;
  let broker: RunningBroker;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'spire-'));
    server = await startSpireServer(spire, { directory, trustDomain: DOMAIN, endpointProfile: 'profile "https_spiffe" {}' });
    agent = await startSpireAgent(spire, { server, directory });
    server.run(['entry', 'create', '-parentID', `spiffe://${DOMAIN}${NODE}`, '-spiffeID', MAYFLY, '-selector', `unix:path:${process.execPath}`]);
    await cp(join(import.meta.dirname, '../../config/policies'), join(directory, 'policies'), { recursive: true });
    await writeFile(join(directory, 'policies', 'spire.cedar'), POLICY);
    broker = await RunningBroker.start({ policy: { directory: join(directory, 'policies') }, workload_api: { socket: agent.socket } });
    const root = broker.bao;
    const { keys } = JSON.parse(server.run(['bundle', 'show', '-format', 'spiffe'])) as { keys: (JsonWebKey & { use: string })[] };
    const pem = keys.filter(({ use }) => use === 'jwt-svid').map((key) => createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }));
    await root('POST', `sys/auth/${MOUNT}`, { type: 'jwt' });
    await root('POST', `auth/${MOUNT}/config`, { jwt_validation_pubkeys: pem });
    for (const role of BROKER_RIGHTS) {
      await root('POST', `auth/${MOUNT}/role/${role}`, { role_type: 'jwt', user_claim: 'sub', bound_audiences: [AUDIENCE], bound_subject: MAYFLY, token_policies: [`mayfly-${role}`], token_no_default_policy: true, token_ttl: 1_200 });
    }
    await broker.reconfigure((config) => {
      config.identity.trust_domains = [{ name: DOMAIN, workload_api: true }];
      config.tls = { ...config.tls, certificate: { source: 'workload_api' } };
      const login = (role: string) => ({ method: 'jwt_svid', mount: MOUNT, role, audience: AUDIENCE });
      Object.assign(config.providers['vault-main'] ?? {}, { login: Object.fromEntries(BROKER_RIGHTS.map((right) => [right, login(right)])) });
    });
  }, 120_000);

  afterAll(async () => {
    await broker.stop();
    await agent.stop();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }, 30_000);

  it('grants to a JWT-SVID what is minted and revoked by its own JWT-SVID, and nothing to one for another audience', async () => {
    const svid = (audience: string): string => server.run(['jwt', 'mint', '-spiffeID', AGENT, '-audience', audience]).trim();
    const token = svid(broker.stack.workloads.audience);
    await until(async () => (await broker.call('GET', '/v1/whoami', token)).status === 200, { what: 'the bundle' });
    expect(await broker.call('GET', '/v1/whoami', svid('somebody-else'))).toMatchObject({ status: 401 });
    const grant = await broker.grant(['vault-token'], { token });
    expect(await broker.complete(grant)).toMatchObject({ status: 200, body: { credentials: [{ state: 'revoked' }] } });
  }, 60_000);

  it('shows its X.509-SVID over TLS, and knows a caller by hers', async () => {
    server.run(['x509', 'mint', '-spiffeID', AGENT, '-write', directory]);
    const file = (name: string) => readFile(join(directory, name), 'utf8');
    const [cert, key, ca] = await Promise.all([file('svid.pem'), file('key.pem'), file('bundle.pem')]);
    const seen: string[] = [];
    const checkServerIdentity = (_host: string, shown: PeerCertificate): undefined => void seen.push(shown.subjectaltname ?? '');
    const whoami = () =>
      new Promise<unknown>((resolve, reject) => {
        const asked = request(`${broker.stack.tlsUrl}/v1/whoami`, { cert, key, ca, checkServerIdentity, agent: false }, (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => resolve(JSON.parse(text)));
        });
        asked.on('error', reject).end();
      });
    expect(await whoami()).toMatchObject({ caller: { kind: 'workload', subject: AGENT, issuer: `spiffe://${DOMAIN}` } });
    expect(seen).toEqual([`URI:${MAYFLY}`]);
  });
});
