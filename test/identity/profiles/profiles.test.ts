import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { configSchema } from '../../../src/config/config-schema.ts';
import { toEpochSeconds } from '../../../src/core/time.ts';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import type { Caller } from '../../../src/identity/caller.ts';
import { createKeySources } from '../../../src/identity/key-sources.ts';
import { createOutboundFetch } from '../../../src/identity/outbound-fetch.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { bearer } from '../../support/presented.ts';
import { serviceAccountClaims, startTokenReviewServer, type TokenReviewServer } from '../../support/token-review-server.ts';
import { jwkOf, PAIRS, publishIssuer, signed, type PublishedIssuer } from '../published-issuer.ts';

const AUDIENCE = 'https://mayfly.test';
const REVIEWER = 'the-brokers-own-token';

let issuer: PublishedIssuer;
let reviewer: TokenReviewServer;
let clock: ManualClock;
let folder: string;

beforeAll(async () => {
  issuer = await publishIssuer([await jwkOf(PAIRS.ES256, { kid: 'k1' })]);
  reviewer = await startTokenReviewServer(REVIEWER);
  folder = await mkdtemp(join(tmpdir(), 'mayfly-profiles-'));
  await writeFile(join(folder, 'token'), `${REVIEWER}\n`);
});
afterAll(async () => {
  await Promise.all([issuer.stop(), reviewer.stop()]);
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  clock = new ManualClock();
  reviewer.genuine.clear();
});

function front(settings: object): { authenticate(token: string): Promise<Caller> } {
  const { identity, operators } = configSchema.shape;
  const outboundFetch = createOutboundFetch({ environment: 'development', allowHosts: ['127.0.0.1'], allowPrivateAddresses: true });
  const created = createAuthenticator({
    sessions: undefined,
    identity: identity.parse({ audience: AUDIENCE, issuers: [{ issuer: issuer.issuer, ...settings }] }),
    operators: operators.parse({ issuer: 'https://people.test', audience: 'operators' }),
    keys: createKeySources([], { outboundFetch, clock, log: { warn: () => undefined } }),
    outboundFetch,
    dpop: undefined,
    useOnce: () => Promise.reject(new Error('nothing here is for one use')),
    clock,
  });
  return { authenticate: (token) => created.authenticate(bearer(token)) };
}

const now = (): number => toEpochSeconds(clock.now());
const token = (claims: object): Promise<string> => signed({ iss: issuer.issuer, aud: [AUDIENCE], iat: now(), exp: now() + 3_600, ...claims }, { alg: 'ES256', kid: 'k1' }, PAIRS.ES256);
const because = (reason: string) => ({ code: 'invalid_token', message: `the token was not accepted: ${reason}` });

describe('a service-account token of Kubernetes', () => {
  const KUBERNETES = { profile: 'kubernetes' };
  const pod = (claims: object = {}): Promise<string> => token({ ...serviceAccountClaims('payments:refunds'), ...claims });
  const objects = (change: object): object => ({ 'kubernetes.io': { ...(serviceAccountClaims('payments:refunds')['kubernetes.io'] as object), ...change } });

  it('K8-3: is of a service account, and its instance is the pod by UID', async () => {
    expect(await front(KUBERNETES).authenticate(await pod())).toMatchObject({ subject: 'system:serviceaccount:payments:refunds', instance: 'pod-uid-of-payments-refunds' });
    const again = await front(KUBERNETES).authenticate(await pod(objects({ pod: { name: 'mayfly-0', uid: 'another' } })));
    expect(again).toMatchObject({ instance: 'another' });
  });

  it.each([
    ['no pod', { pod: undefined }],
    ['a pod without a UID', { pod: { name: 'mayfly-0' } }],
    ['a service account without a UID', { serviceaccount: { name: 'refunds' } }],
    ['no namespace', { namespace: undefined }],
  ])('K8-3: is refused where it is bound to %s', async (_name, change) => {
    await expect(front(KUBERNETES).authenticate(await pod(objects(change)))).rejects.toMatchObject(because('it is not bound to a pod and a service account of Kubernetes'));
  });

  it('K8-3: is refused where the subject and what it is bound to differ', async () => {
    await expect(front(KUBERNETES).authenticate(await pod({ sub: 'system:serviceaccount:payments:admin' }))).rejects.toMatchObject(because('its subject is not the service account that it is bound to'));
  });

  it('K8-3: is refused of a service account that was made again under the same name, where its UID is configured; by name alone it is not (control)', async () => {
    const listed = (uid?: string) => front({ ...KUBERNETES, service_accounts: [{ namespace: 'payments', name: 'refunds', uid }] });
    expect(await listed('uid-of-payments-refunds').authenticate(await pod())).toMatchObject({ kind: 'workload' });
    expect(await listed().authenticate(await pod(objects({ serviceaccount: { name: 'refunds', uid: 'new' } })))).toMatchObject({ kind: 'workload' });
    await expect(listed('uid-of-payments-refunds').authenticate(await pod(objects({ serviceaccount: { name: 'refunds', uid: 'new' } })))).rejects.toMatchObject(because('its service account is none of those that are configured'));
    await expect(listed().authenticate(await token(serviceAccountClaims('payments:other')))).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it("K8-1: is refused for the API server's audience, alone or beside ours", async () => {
    for (const aud of [['https://kubernetes.default.svc'], [AUDIENCE, 'https://kubernetes.default.svc'], [issuer.issuer]]) await expect(front(KUBERNETES).authenticate(await pod({ aud }))).rejects.toMatchObject({ code: 'invalid_token' });
  });

  it('K8-2: is refused when it lives a year', async () => {
    await expect(front(KUBERNETES).authenticate(await pod({ exp: now() + 31_536_000 }))).rejects.toMatchObject(because('it lives longer than allowed'));
  });

  it('K8-5: is refused in the legacy form, without an expiry and of another issuer', async () => {
    await expect(front(KUBERNETES).authenticate(await pod({ iss: 'kubernetes/serviceaccount', exp: undefined, aud: undefined }))).rejects.toMatchObject(because('its issuer is not known here'));
    await expect(front(KUBERNETES).authenticate(await pod({ exp: undefined }))).rejects.toMatchObject({ code: 'invalid_token' });
  });

  describe('that the API server is asked about', () => {
    const asking = (change: object = {}) => front({ ...KUBERNETES, token_review: { url: reviewer.url, token_file: join(folder, 'token'), ...change } });

    it('K8-4: is refused soon after its pod was deleted; by its signature alone it is not (control)', async () => {
      const text = await pod();
      reviewer.genuine.set(text, 'payments:refunds');
      const asks = asking();
      expect(await asks.authenticate(text)).toMatchObject({ subject: 'system:serviceaccount:payments:refunds' });
      const { reviews } = reviewer;
      const before = reviews();
      await asks.authenticate(text);
      expect(reviews()).toBe(before);
      reviewer.genuine.delete(text);
      clock.advance(10_000);
      await expect(asks.authenticate(text)).rejects.toMatchObject(because('its cluster does not accept it any more'));
      expect(await front(KUBERNETES).authenticate(text)).toMatchObject({ kind: 'workload' });
    });

    it('K8-4: is refused where the API server takes it for somebody else', async () => {
      const text = await pod();
      reviewer.genuine.set(text, 'payments:other');
      await expect(asking().authenticate(text)).rejects.toMatchObject(because('its cluster takes it for somebody else'));
    });

    it('K8-4: is judged by nobody where the API server cannot be asked', async () => {
      const text = await pod();
      reviewer.genuine.set(text, 'payments:refunds');
      await writeFile(join(folder, 'wrong'), 'not-the-token');
      for (const change of [{ url: 'http://127.0.0.1:1' }, { token_file: join(folder, 'wrong') }, { token_file: join(folder, 'missing') }]) {
        await expect(asking(change).authenticate(text)).rejects.toMatchObject({ code: 'identity_unavailable' });
      }
    });
  });
});

describe('a token of a job of GitHub Actions', () => {
  const REPOSITORY = { repository_id: '456', repository_owner_id: '123' };
  const JOB = {
    sub: 'repo:octo/refunds:ref:refs/heads/main',
    repository: 'octo/refunds', repository_owner: 'octo', ...REPOSITORY,
    run_id: '9', run_attempt: '2', check_run_id: '77', event_name: 'push', ref: 'refs/heads/main', environment: 'production',
    job_workflow_ref: 'octo/ci/.github/workflows/deploy.yml@refs/heads/main',
  };
  const github = (settings: object = {}, more: object = {}) => front({ profile: 'github_actions', repositories: [{ ...REPOSITORY, ...settings }], ...more });
  const job = (claims: object = {}): Promise<string> => token({ ...JOB, ...claims });
  const OTHER = because('its repository, or what it runs there, is none of those that are configured');

  it('GH-4: has the run, its attempt and its check run for an instance', async () => {
    expect(await github().authenticate(await job())).toMatchObject({ subject: JOB.sub, instance: '9/2/77' });
    expect(await github().authenticate(await job({ check_run_id: undefined }))).toMatchObject({ instance: '9/2' });
  });

  it.each(['repo:octo/refunds:ref:refs/heads/main', 'repo:octo@123/refunds@456:ref:refs/heads/main', 'repo:octo@123/refunds@456:environment:production', 'repo:octo/refunds:pull_request', 'repository_owner_id:123:job'])('GH-3: is accepted with the subject %s', async (sub) => {
    expect(await github().authenticate(await job({ sub }))).toMatchObject({ subject: sub });
  });

  it.each(['repo:octo/other:ref:refs/heads/main', 'repo:octo@123/refunds@457:ref:x', 'repo:octo@124/refunds@456:ref:x', 'repo:octo/refunds@456:ref:x', 'repo:octo@123/refunds:ref:x', 'repo:', 'repo:evil/refunds:ref:x'])('GH-3: is refused with the subject %s, which its claims contradict', async (sub) => {
    await expect(github().authenticate(await job({ sub }))).rejects.toMatchObject(because('its subject names another repository than its claims'));
  });

  it('GH-1: is known by the numbers of its repository, not by its name', async () => {
    await expect(github().authenticate(await job({ repository_id: '457' }))).rejects.toMatchObject(OTHER);
    await expect(github().authenticate(await job({ repository_owner_id: '124' }))).rejects.toMatchObject(OTHER);
    const renamed = { repository: 'octo/renamed', sub: 'repo:octo/renamed:ref:refs/heads/main' };
    expect(await github().authenticate(await job(renamed))).toMatchObject({ subject: renamed.sub });
    expect(await front({ profile: 'github_actions', repositories: [{ repository_owner_id: '123' }] }).authenticate(await job({ repository_id: '1' }))).toMatchObject({ kind: 'workload' });
    await expect(front({ profile: 'github_actions', repositories: [{}] }).authenticate(await job())).rejects.toMatchObject(OTHER);
  });

  it.each(['pull_request', 'pull_request_target'])('GH-2: is refused of the event %s, unless that is listed', async (event_name) => {
    await expect(github().authenticate(await job({ event_name }))).rejects.toMatchObject(OTHER);
    expect(await github({ events: [event_name] }).authenticate(await job({ event_name }))).toMatchObject({ kind: 'workload' });
    await expect(github({ events: [event_name] }).authenticate(await job())).rejects.toMatchObject(OTHER);
  });

  it.each([
    [{ refs: ['refs/heads/main'] }, { ref: 'refs/heads/main2' }],
    [{ refs: ['refs/tags/*'] }, { ref: 'refs/heads/main' }],
    [{ environments: ['production'] }, { environment: undefined }],
    [{ job_workflow_refs: ['octo/ci/*'] }, { job_workflow_ref: 'octo/cicd/x.yml@main' }],
  ])('is refused by %j for %j, and accepted otherwise', async (settings, claims) => {
    await expect(github(settings).authenticate(await job(claims))).rejects.toMatchObject(OTHER);
    const fitting = { ref: 'refs' in settings && settings.refs.includes('refs/tags/*') ? 'refs/tags/v1' : JOB.ref };
    expect(await github(settings).authenticate(await job(fitting))).toMatchObject({ kind: 'workload' });
  });

  it.each([['run_id', undefined], ['repository_id', 'x'], ['event_name', ''], ['repository', undefined]])('is refused where %s is %j', async (name, value) => {
    await expect(github().authenticate(await job({ [name]: value }))).rejects.toMatchObject(because('it lacks claims that each job of GitHub Actions has'));
  });

  it("is refused for GitHub's default audience", async () => {
    const aud = 'https://github.example.org/octo';
    await expect(github({}, { audience: aud }).authenticate(await job({ aud }))).rejects.toMatchObject(because("its audience is GitHub's default, which others of its owner accept too"));
  });

  it('is an agent by its numbers, with owner and environment, where that is configured', async () => {
    const mapped = github({}, { agent: 'github:{repository_id}', owner: '{repository_owner}', environment: '{environment}' });
    expect(await mapped.authenticate(await job())).toMatchObject({ subject: 'github:456', attributes: { owner: 'octo', environment: 'production' } });
  });
});
