import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeAuthority } from '../../dev/make-certificate.ts';
import { DECLARATION_TYPE } from '../../src/identity/evidence-verifier.ts';
import { parseDeclaration } from '../../src/task/declaration.ts';
import { declarationDigest } from '../../src/task/vouched-declaration.ts';
import { jwkOf, PAIRS, signed } from '../identity/published-issuer.ts';
import { RunningBroker, type HttpAnswer } from '../support/running-broker.ts';
import { until } from '../support/until.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api-server.ts';

const PARTNER = 'spiffe://partner.org/agent';
const CLUSTER = 'spiffe://cluster.org/agent';
const POLICIES = `
@id("federated-mint") permit (principal, action == Mayfly::Action::"mint", resource == Mayfly::Credential::"task-token") when { ["${PARTNER}", "${CLUSTER}"].contains(principal.subject) };
@id("federated-vouch") permit (principal, action == Mayfly::Action::"declare_for", resource) when { ["${PARTNER}", "${CLUSTER}"].contains(principal.subject) };
@id("hand-on") permit (principal, action == Mayfly::Action::"delegate", resource == Mayfly::Credential::"task-token");
@id("no-vault-token") forbid (principal, action == Mayfly::Action::"mint", resource == Mayfly::Credential::"vault-token");
@id("ten-minutes") forbid (principal, action == Mayfly::Action::"extend", resource) when { context.ttl_seconds > 600 };`;

let folder: string;
let endpoint: Server;
/** What the bundle endpoint serves. */
let bundle: object;
let agent: WorkloadApiServer;
let broker: RunningBroker;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-callers-'));
  await cp(join(import.meta.dirname, '../../config/policies'), join(folder, 'policies'), { recursive: true });
  await writeFile(join(folder, 'policies', 'more.cedar'), POLICIES);
  const web = makeAuthority({ commonName: 'web' });
  await writeFile(join(folder, 'web.pem'), web.pem);
  const { pem, keyPem } = web.issue({ ips: ['127.0.0.1'] });
  endpoint = createServer({ cert: pem, key: keyPem }, (_request, response) => response.end(JSON.stringify(bundle)));
  endpoint.listen(0, '127.0.0.1');
  await once(endpoint, 'listening');
  bundle = { keys: [await jwkOf(PAIRS.ES256, { kid: 'k1', use: 'jwt-svid' })], spiffe_refresh_hint: 5 };
  agent = await startWorkloadApi(join(folder, 'agent.sock'), { jwtBundles: { 'spiffe://cluster.org': Buffer.from(JSON.stringify({ keys: [await jwkOf(PAIRS.ES384, { kid: 'k1', use: 'jwt-svid' })] })) } });
  broker = await RunningBroker.start({ policy: { directory: join(folder, 'policies') }, workload_api: { socket: agent.socket } }, [], {
    configure({ identity }) {
      const url = `https://127.0.0.1:${(endpoint.address() as AddressInfo).port}/bundle`;
      identity.trust_domains = [
        { name: 'partner.org', bundle_endpoint: { profile: 'https_web', url, ca_file: join(folder, 'web.pem') } },
        { name: 'cluster.org', workload_api: true },
      ];
      Object.assign(identity.issuers[0] ?? {}, { owner: '{team}', environment: '{stage}' });
    },
  });
}, 60_000);

afterAll(async () => {
  await broker.stop();
  await agent.stop();
  endpoint.close();
  await rm(folder, { recursive: true, force: true });
}, 30_000);

const DECLARATION = { purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'task-token' }] };
const declare = (token: string, declaration: object = DECLARATION): Promise<HttpAnswer> => broker.call('POST', '/v1/tasks', token, declaration);

/** Signed by the key of its trust domain. */
function svid(subject: string, { typ = 'JWT', claims = {} }: { typ?: string; claims?: object } = {}): Promise<string> {
  const seconds = Math.floor(Date.now() / 1_000);
  const [alg, pair] = subject === PARTNER ? (['ES256', PAIRS.ES256] as const) : (['ES384', PAIRS.ES384] as const);
  return signed({ sub: subject, aud: broker.stack.workloads.audience, iat: seconds, exp: seconds + 240, ...claims }, { alg, kid: 'k1', typ }, pair);
}

/** A token of an agent that says whose it is and where it runs. */
const tokenOf = (subject: string, team: string): Promise<string> => broker.stack.workloads.sign({ subject, claims: { team, stage: 'test' } });

interface Event {
  readonly type: string;
  readonly by: { readonly subject: string };
  readonly facts: { readonly caller?: unknown; readonly evidence?: unknown };
}
const audited = async (): Promise<Event[]> =>
  (await readFile(broker.stack.auditFile, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { event: Event }).event)
    // The sealer's own records are of nobody's doing.
    .filter((event) => 'facts' in event);

describe('a workload of a trust domain', () => {
  const domains = [
    ['whose bundle comes from a bundle endpoint', PARTNER],
    ['whose bundle comes from the Workload API', CLUSTER],
  ] as const;

  it.each(domains)('%s is granted what policy gives it, and no other domain speaks for it', async (_name, subject) => {
    await until(async () => (await broker.call('GET', '/v1/whoami', await svid(subject))).status === 200, { what: 'the bundle is there' });
    expect(await declare(await svid(subject))).toMatchObject({ status: 201, body: { task: { agent: subject }, credentials: [{ name: 'task-token', state: 'active' }] } });
    const other = subject === PARTNER ? CLUSTER : PARTNER;
    const borrowed = await svid(other, { claims: { sub: subject } });
    expect(await broker.call('GET', '/v1/whoami', borrowed)).toMatchObject({ status: 401 });
  });

  it.each(domains)('%s vouches for what others declare', async (_name, subject) => {
    const asked = { purpose: 'refund-investigation', justification: 'a dispute', ticket: 'OPS-12', actions: ['read'], data_classes: [], context: {}, ttl_seconds: 60, credentials: [{ name: 'task-token', ttl_seconds: 60, params: {} }] };
    const declaration_digest = declarationDigest(parseDeclaration(asked), { issuer: broker.stack.workloads.issuer, subject: 'agent:refunds' });
    const token = await svid(subject, { typ: DECLARATION_TYPE, claims: { declaration_digest, jti: subject } });
    expect(await declare(await tokenOf('agent:refunds', 'payments'), { ...asked, evidence: { kind: 'orchestrator_signed', token } })).toMatchObject({ status: 201, body: { task: { evidence: 'orchestrator_signed', vouched_by: subject } } });
  });

  it.each(domains)('%s is refused once that is emptied', async (_name, subject) => {
    const token = await svid(subject);
    expect((await broker.call('GET', '/v1/whoami', token)).status).toBe(200);
    if (subject === PARTNER) bundle = { ...bundle, keys: [] };
    else agent.give({ jwtBundles: { 'spiffe://cluster.org': Buffer.from('{"keys":[]}') } });
    await until(async () => (await broker.call('GET', '/v1/whoami', token)).status === 401, { timeoutMs: 8_000, everyMs: 50, what: 'the emptied bundle is in force' });
    expect((await declare(token)).status).toBe(401);
  }, 15_000);
});

describe('whose an agent is, by its token,', () => {
  it('is on the record of what it is granted, refused, and hands on', async () => {
    const [mine, theirs] = [await tokenOf('agent:refunds', 'payments'), await tokenOf('agent:payouts', 'treasury')];
    const { id } = await broker.grant(['task-token'], { token: mine });
    const call = async (path: string, body: object, token = mine): Promise<{ status: number; task: string }> => {
      const answer = await broker.call('POST', `/v1/tasks${path}`, token, body);
      return { status: answer.status, task: (answer.body['task'] as { id: string } | undefined)?.id ?? '' };
    };
    expect(await call('', { ...DECLARATION, purpose: 'ledger-close' })).toMatchObject({ status: 403 });
    const evidence = { kind: 'orchestrator_signed', token: 'x.y.z' };
    expect(await call('', { ...DECLARATION, ttl_seconds: 60, credentials: [{ name: 'task-token', ttl_seconds: 60 }], evidence })).toMatchObject({ status: 403 });
    expect(await call(`/${id}/credentials`, { name: 'task-reference' })).toMatchObject({ status: 201 });
    expect(await call(`/${id}/credentials`, { name: 'vault-token' })).toMatchObject({ status: 403 });
    expect(await call(`/${id}/extend`, { ttl_seconds: 400 })).toMatchObject({ status: 200 });
    expect(await call(`/${id}/extend`, { ttl_seconds: 700 })).toMatchObject({ status: 403 });
    const child = { agent: 'agent:payouts', actions: ['read'], ttl_seconds: 60, credentials: [{ name: 'task-token', ttl_seconds: 60 }] };
    expect(await call(`/${id}/delegate`, { ...child, actions: ['read', 'refund'] })).toMatchObject({ status: 422 });
    const delegated = await call(`/${id}/delegate`, child);
    expect(delegated.status).toBe(202);
    expect((await call(`/${delegated.task}/claim`, {}, theirs)).status).toBe(201);
    expect((await call(`/${delegated.task}/claim`, {}, theirs)).status).toBe(409);

    const told = async (): Promise<unknown[][]> => (await audited()).filter(({ type, facts }) => facts.caller !== undefined && !(type === 'task.declared' && facts.evidence === 'orchestrator_signed')).map(({ type, by, facts }) => [type, by.subject, facts.caller]);
    await until(async () => (await told()).some(([type]) => type === 'task.claim_refused'), { what: 'all of it is on the record' });
    const payments = { owner: 'payments', environment: 'test' };
    const treasury = { owner: 'treasury', environment: 'test' };
    expect(await told()).toEqual([
      ['task.declared', 'agent:refunds', payments],
      ['task.denied', 'agent:refunds', payments],
      ['evidence.refused', 'agent:refunds', payments],
      ['lease.intended', 'agent:refunds', payments],
      ['credential.denied', 'agent:refunds', payments],
      ['task.extended', 'agent:refunds', payments],
      ['extension.denied', 'agent:refunds', payments],
      ['delegation.refused', 'agent:refunds', payments],
      ['task.declared', 'agent:refunds', payments],
      ['task.claimed', 'agent:payouts', treasury],
      ['task.claim_refused', 'agent:payouts', treasury],
    ]);
  });
});
