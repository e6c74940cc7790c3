import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { configSchema } from '../../src/config/config-schema.ts';
import { toEpochSeconds } from '../../src/core/time.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createEvidenceVerifier, DECLARATION_TYPE } from '../../src/identity/evidence-verifier.ts';
import { createKeySources, type KeySources } from '../../src/identity/key-sources.ts';
import { createWorkloadApi, type WorkloadApi } from '../../src/identity/workload-api/workload-api.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { bearer } from '../support/presented.ts';
import { until } from '../support/until.ts';
import { startWorkloadApi, type WorkloadApiServer } from '../support/workload-api-server.ts';
import { jwkOf, PAIRS, publishIssuer, signed, STRANGER, type Pair, type PublishedIssuer } from './published-issuer.ts';

const SVID = 'spiffe://example.org/agent/refunds';
const log = { warn: (): void => undefined };

let folder: string;
let issuer: PublishedIssuer;
let agent: WorkloadApiServer;
let workloadApi: WorkloadApi;
let clock: ManualClock;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-agent-'));
  clock = new ManualClock(Date.now());
  issuer = await publishIssuer([await jwkOf(PAIRS.ES256, { kid: 'k1' })]);
  agent = await startWorkloadApi(join(folder, 'agent.sock'), { jwtBundles: { 'spiffe://example.org': await jwks('k1') } });
  workloadApi = createWorkloadApi({ socket: agent.socket, clock, log });
});
afterEach(async () => {
  workloadApi.close();
  await agent.stop();
  await issuer.stop();
  await rm(folder, { recursive: true });
});

const jwks = async (kid: string, pair: Pair = PAIRS.ES256): Promise<Buffer> => Buffer.from(JSON.stringify({ keys: [await jwkOf(pair, { kid, use: 'jwt-svid' })] }));

/** The two who verify tokens in a broker: of callers, and of those who vouch. */
interface Verifiers {
  readonly login: (token: string) => Promise<unknown>;
  readonly evidence: (token: string) => Promise<unknown>;
}

/** Both over the sources that are given, by default the same ones, as a broker has them. */
function verifiers(sources: () => KeySources = one(newSources())): Verifiers {
  const deps = () => ({ identity: settings(), operators: configSchema.shape.operators.parse({ issuer: 'https://people.test', audience: 'operators' }), keys: sources(), outboundFetch: issuer.fetch, clock });
  const authenticator = createAuthenticator({ ...deps(), dpop: undefined, sessions: undefined, useOnce: () => Promise.reject(new Error('nothing here is for one use')) });
  const verifier = createEvidenceVerifier(deps());
  return { login: (token) => authenticator.authenticate(bearer(token)), evidence: (token) => verifier.signedDeclaration(token) };
}
const settings = () => configSchema.shape.identity.parse({ audience: 'mayfly', issuers: [{ issuer: issuer.issuer }], trust_domains: [{ name: 'example.org', workload_api: true }] });
const newSources = (): KeySources => createKeySources(settings().trust_domains, { outboundFetch: issuer.fetch, clock, log, workloadApi });
const one = (sources: KeySources) => (): KeySources => sources;

const claims = (sub: string): object => ({ sub, aud: 'mayfly', iat: toEpochSeconds(clock.now()), exp: toEpochSeconds(clock.now()) + 300, jti: 'j', declaration_digest: 'd' });
const oidc = (typ: string, kid = 'k1', pair?: Pair): Promise<string> => signed({ iss: issuer.issuer, ...claims('agent:refunds') }, { alg: 'ES256', kid, typ }, pair);
const svid = (typ: string): Promise<string> => signed(claims(SVID), { alg: 'ES256', kid: 'k1', typ });

describe('callers and those who vouch', () => {
  it('are verified with keys that their issuer was asked for once', async () => {
    const { login, evidence } = verifiers();
    expect(await login(await oidc('JWT'))).toMatchObject({ subject: 'agent:refunds' });
    expect(await evidence(await oidc(DECLARATION_TYPE))).toMatchObject({ by: { subject: 'agent:refunds' } });
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/jwks']);
  });

  it('are refused together when a key is gone; with sources of their own one of them still is taken (control)', async () => {
    const shared = verifiers();
    const apart = verifiers(newSources);
    const old = await oidc(DECLARATION_TYPE);
    for (const { login, evidence } of [shared, apart]) {
      await login(await oidc('JWT'));
      await evidence(old);
    }
    issuer.serves.jwks = { keys: [await jwkOf(STRANGER, { kid: 'k2' })] };
    clock.advance(30_000);
    // A caller with the new key makes the broker ask.
    for (const { login } of [shared, apart]) await login(await oidc('JWT', 'k2', STRANGER));
    await expect(shared.login(await oidc('JWT'))).rejects.toMatchObject({ code: 'invalid_token' });
    await expect(shared.evidence(old)).rejects.toMatchObject({ code: 'evidence_refused' });
    await expect(apart.evidence(old)).resolves.toMatchObject({ by: { subject: 'agent:refunds' } });
  });

  it('of a trust domain whose bundle the Workload API gives are both known, and both refused once it is emptied', async () => {
    const { login, evidence } = verifiers();
    const token = await svid('JWT');
    const isTaken = (): Promise<boolean> => login(token).then(
      () => true,
      () => false,
    );
    await until(isTaken, { what: 'the first push is taken' });
    expect(await login(token)).toMatchObject({ subject: SVID });
    expect(await evidence(await svid(DECLARATION_TYPE))).toMatchObject({ by: { issuer: 'spiffe://example.org', subject: SVID } });
    agent.give({ jwtBundles: { 'spiffe://example.org': Buffer.from('{"keys":[]}') } });
    await until(async () => !(await isTaken()), { what: 'the emptied bundle is in force' });
    await expect(evidence(await svid(DECLARATION_TYPE))).rejects.toMatchObject({ code: 'evidence_refused' });
  });
});
