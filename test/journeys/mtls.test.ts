import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeAuthority, newKeys, type IssuedCertificate } from '../../dev/make-certificate.ts';
import { AGENT_ID, SECOND_AGENT_ID, type SvidFiles } from '../../dev/spiffe-domain.ts';
import { RunningBroker } from '../support/running-broker.ts';
import { until } from '../support/until.ts';

let running: RunningBroker;
let policies: string;
let stranger: IssuedCertificate;

beforeAll(async () => {
  policies = await mkdtemp(join(tmpdir(), 'mayfly-policies-'));
  await cp(join(import.meta.dirname, '../../config/policies'), policies, { recursive: true });
  await writeFile(join(policies, 'bound-only.cedar'), BOUND_ONLY);
  running = await RunningBroker.start({ policy: { directory: policies } });
  stranger = makeAuthority({ commonName: 'stranger' }).issue({ uris: [AGENT_ID] });
});
afterAll(async () => {
  await running.stop();
  await rm(policies, { recursive: true, force: true });
});

/** For one credential, so that all others stay as the example has them. */
const BOUND_ONLY = `@id("bound-only") @deny_reason("prove possession of a key")
forbid (principal, action, resource == Mayfly::Credential::"task-reference") unless { context.sender_bound };`;
const declarationOf = (name: string) => ({ purpose: 'refund-investigation', actions: ['read'], ttl_seconds: 60, credentials: [{ name }] });

/** What a client shows: PEM. */
interface Shown {
  readonly cert: string;
  readonly key: string;
}
const svid = async ({ certificate_file, key_file }: SvidFiles): Promise<Shown> => ({ cert: await readFile(certificate_file, 'utf8'), key: await readFile(key_file, 'utf8') });
const shown = ({ pem, keyPem }: IssuedCertificate): Shown => ({ cert: pem, key: keyPem });
const thumbprint = ({ cert }: Shown): string => createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');

interface Answer {
  readonly status: number;
  readonly body: { readonly caller?: { readonly subject: string; readonly issuer: string }; readonly detail?: string };
}

/** Asks over TLS who we are, with a certificate, a token, both or neither. */
const whoami = (client: Partial<Shown>, token?: string, agent?: Agent): Promise<Answer> => call('/v1/whoami', { client, token, agent });

interface Call {
  readonly client: Partial<Shown>;
  readonly token?: string | undefined;
  readonly agent?: Agent | undefined;
  /** Posted, where there is one. */
  readonly body?: object;
}
async function call(path: string, { client, token, agent, body }: Call): Promise<Answer> {
  const ca = await readFile(running.stack.spiffe.caFile, 'utf8');
  return new Promise((resolve, reject) => {
    const headers = { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const asked = request(`${running.stack.tlsUrl}${path}`, { ...client, ca, agent: agent ?? false, method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }));
    });
    asked.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const refusedFor = (why: string) => ({ status: 401, body: { code: 'invalid_token', detail: expect.stringContaining(why) } });

describe('over TLS', () => {
  it('SP-20: curl with an X.509-SVID is that workload, and is granted what policy gives it', async () => {
    const { caFile, agent } = running.stack.spiffe;
    const curl = async (path: string, ...more: string[]): Promise<Record<string, unknown>> => {
      const { stdout } = await promisify(execFile)('curl', ['-sS', '--cacert', caFile, '--cert', agent.certificate_file, '--key', agent.key_file, ...more, `${running.stack.tlsUrl}${path}`]);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    expect(await curl('/v1/whoami')).toMatchObject({ caller: { kind: 'workload', subject: AGENT_ID, issuer: 'spiffe://example.org' } });
    const granted = await curl('/v1/tasks', '--json', JSON.stringify(declarationOf('orders-db')));
    expect(granted).toMatchObject({ task: { state: 'active', agent: AGENT_ID }, credentials: [{ name: 'orders-db', state: 'active' }] });
    const { id } = granted['task'] as { id: string };
    expect(await curl(`/v1/tasks/${id}/complete`, '--json', '{}')).toMatchObject({ task: { state: expect.stringMatching(/^(ending|ended)$/) } });
  });

  it('an X.509-SVID is sender-bound for policy; a JWT-SVID of the same agent, over the same connection, is not', async () => {
    const client = await svid(running.stack.spiffe.agent);
    const token = await running.stack.spiffe.jwtSvid(AGENT_ID, running.stack.workloads.audience);
    const body = declarationOf('task-reference');
    expect(await call('/v1/tasks', { client, body })).toMatchObject({ status: 201, body: { task: { agent: AGENT_ID }, credentials: [{ name: 'task-reference' }] } });
    const denied = { status: 403, body: { code: 'policy_denied', detail: 'prove possession of a key' } };
    expect(await call('/v1/tasks', { client: {}, token, body })).toMatchObject(denied);
    expect(await call('/v1/tasks', { client, token, body })).toMatchObject(denied);
    expect(await call('/v1/tasks', { client, token, body: declarationOf('task-token') })).toMatchObject({ status: 201 });
    expect(await whoami(client)).toMatchObject({ body: { caller: { sender_bound: true } } });
    expect(await whoami(client, token)).toMatchObject({ body: { caller: { sender_bound: false } } });
  });

  it('each agent is itself', async () => {
    expect(await whoami(await svid(running.stack.spiffe.secondAgent))).toMatchObject({ body: { caller: { subject: SECOND_AGENT_ID } } });
  });

  it('a token says who calls, whatever certificate stands beside it', async () => {
    const token = await running.agentToken();
    for (const client of [{}, await svid(running.stack.spiffe.agent), shown(stranger)]) {
      expect(await whoami(client, token)).toMatchObject({ status: 200, body: { caller: { subject: 'agent:refunds' } } });
    }
  });

  it('SP-10: a JWT-SVID of the same trust domain is taken too', async () => {
    const token = await running.stack.spiffe.jwtSvid(AGENT_ID, running.stack.workloads.audience);
    expect(await whoami({}, token)).toMatchObject({ body: { caller: { subject: AGENT_ID, issuer: 'spiffe://example.org' } } });
  });

  it('nobody without either, nor with the certificate of another authority', async () => {
    expect(await whoami({})).toMatchObject({ status: 401 });
    expect(await whoami(shown(stranger))).toMatchObject(refusedFor('no authority of its trust domain issued it'));
  });

  it('a certificate does not make up for a token that is refused', async () => {
    expect(await whoami(await svid(running.stack.spiffe.agent), 'a.b.c')).toMatchObject({ status: 401 });
  });
});

describe('a token that is bound to a certificate', () => {
  const bound = async (certificate: Shown): Promise<string> =>
    running.stack.workloads.sign({ subject: 'agent:refunds', claims: { cnf: { 'x5t#S256': thumbprint(certificate) } } });

  it('is taken over a connection of that certificate, whoever issued it', async () => {
    expect(await whoami(shown(stranger), await bound(shown(stranger)))).toMatchObject({ status: 200, body: { caller: { subject: 'agent:refunds' } } });
  });

  it('is refused over any other, and over plain http; an unbound one is not (control)', async () => {
    const token = await bound(shown(stranger));
    expect(await whoami(await svid(running.stack.spiffe.agent), token)).toMatchObject(refusedFor('another certificate'));
    expect(await whoami({}, token)).toMatchObject(refusedFor('the connection has none'));
    expect(await running.call('GET', '/v1/whoami', token)).toMatchObject(refusedFor('the connection has none'));
    expect(await running.call('GET', '/v1/whoami', await running.agentToken())).toMatchObject({ status: 200 });
  });

  it('is refused where its binding cannot be read', async () => {
    const token = await running.stack.workloads.sign({ subject: 'agent:refunds', claims: { cnf: { 'x5t#S256': 5 } } });
    expect(await whoami(shown(stranger), token)).toMatchObject(refusedFor('cannot be read'));
  });
});

describe('without a restart', () => {
  it('SP-32: an emptied bundle refuses a connection that stands, at once, and a new authority is taken', async () => {
    const { spiffe } = running.stack;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const old = await svid(spiffe.agent);
    const next = makeAuthority({ commonName: 'next' });
    const rotated = shown(next.issue({ uris: [AGENT_ID] }));
    const x509 = ({ der, keys }: IssuedCertificate) => ({ ...keys.publicKey.export({ format: 'jwk' }), use: 'x509-svid', x5c: [der.toString('base64')] });
    expect(await whoami(old, undefined, agent)).toMatchObject({ status: 200 });
    try {
      await spiffe.writeBundle([]);
      await until(async () => (await whoami(old, undefined, agent)).status === 401, { timeoutMs: 5_000, what: 'the emptied bundle is in force' });
      await spiffe.writeBundle([...spiffe.bundleKeys, x509(next)]);
      await until(async () => (await whoami(rotated)).status === 200, { timeoutMs: 5_000, what: 'the new authority is in force' });
      expect(await whoami(old)).toMatchObject({ status: 200 });
      await spiffe.writeBundle([x509(next)]);
      await until(async () => (await whoami(old, undefined, agent)).status === 401, { timeoutMs: 5_000, what: 'the old authority is gone' });
      expect(await whoami(rotated)).toMatchObject({ status: 200 });
    } finally {
      agent.destroy();
      await spiffe.writeBundle(spiffe.bundleKeys);
      await until(async () => (await whoami(old)).status === 200, { timeoutMs: 5_000, what: 'the bundle is back' });
    }
  });

  it('a new certificate of the broker is shown, and half of a pair is not', async () => {
    const { spiffe, tlsUrl } = running.stack;
    const shownNow = async (): Promise<string> => {
      const ca = await readFile(spiffe.caFile, 'utf8');
      const socket = connect({ port: Number(new URL(tlsUrl).port), host: '127.0.0.1', ca });
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      const { fingerprint256 } = socket.getPeerCertificate();
      expect(socket.isSessionReused()).toBe(false);
      socket.destroy();
      return fingerprint256;
    };
    const before = await shownNow();
    const next = spiffe.authority.issue({ commonName: 'next', dnsNames: ['localhost'], ips: ['127.0.0.1'], keys: newKeys() });
    await writeFile(spiffe.broker.certificate_file, next.pem);
    await until(async () => (await running.log()).includes('the new certificate cannot be used'), { timeoutMs: 5_000, what: 'the half pair is told' });
    expect(await shownNow()).toBe(before);
    await writeFile(spiffe.broker.key_file, next.keyPem);
    await until(async () => (await shownNow()) === new X509Certificate(next.pem).fingerprint256, { timeoutMs: 5_000, what: 'the new certificate is shown' });
  });
});
