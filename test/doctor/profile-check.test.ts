import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { configSchema } from '../../src/config/config-schema.ts';
import { runChecks, type Finding } from '../../src/doctor/check.ts';
import { profileChecks } from '../../src/doctor/profile-check.ts';
import { createOutboundFetch } from '../../src/identity/outbound-fetch.ts';
import { startTokenReviewServer, type TokenReviewServer } from '../support/token-review-server.ts';

const ISSUER = 'https://issuer.test';
let folder: string;
let reviewer: TokenReviewServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-doctor-'));
  reviewer = await startTokenReviewServer('reviewer-token');
  await writeFile(join(folder, 'right'), 'reviewer-token\n');
  await writeFile(join(folder, 'wrong'), 'another\n');
});
afterAll(async () => {
  await reviewer.stop();
  await rm(folder, { recursive: true });
});

/** What doctor says of one issuer with these settings. */
function found(settings: object, publicUrl?: string): Promise<Finding[]> {
  const { identity, http } = configSchema.shape;
  const outboundFetch = createOutboundFetch({ environment: 'development', allowHosts: ['127.0.0.1'], allowPrivateAddresses: true });
  return runChecks(profileChecks({ identity: identity.parse({ audience: 'mayfly', issuers: [{ issuer: ISSUER, ...settings }] }), http: http.parse({ public_url: publicUrl }) }, outboundFetch));
}
const kubernetes = (review?: object): object => ({ profile: 'kubernetes', ...(review === undefined ? {} : { token_review: { url: reviewer.url, token_file: join(folder, 'right'), ...review } }) });

describe('mayfly doctor, of an issuer', () => {
  it('with no profile and nothing to bind says nothing', async () => {
    expect(await found({})).toEqual([]);
  });

  it('of a cluster, asks the API server with the token of the broker', async () => {
    const before = reviewer.reviews();
    expect(await found(kubernetes({}))).toMatchObject([{ check: 'issuer.profile', standing: 'ok', found: expect.stringContaining('reviews tokens for the broker') }]);
    expect(reviewer.reviews()).toBe(before + 1);
  });

  it.each<[string, () => object | undefined, string, RegExp]>([
    ['whose API server does not take that token', () => ({ token_file: join(folder, 'wrong') }), 'failure', /answered 403/],
    ['whose token is not there', () => ({ token_file: join(folder, 'none') }), 'failure', /reviews no tokens/],
    ['whose API server is not there', () => ({ url: 'http://127.0.0.1:1' }), 'failure', /reviews no tokens/],
    ['whose tokens nobody reviews', () => undefined, 'warning', /good until it expires/],
  ])('of a cluster %s, says so', async (_name, review, standing, why) => {
    expect(await found(kubernetes(review()))).toMatchObject([{ check: 'issuer.profile', standing, found: expect.stringMatching(why) }]);
  });

  it('of a cluster whose API server says yes to everything, says so', async () => {
    reviewer.genuine.set('mayfly-doctor', 'any:one');
    try {
      expect(await found(kubernetes({}))).toMatchObject([{ standing: 'failure', found: expect.stringContaining('what is no token') }]);
    } finally {
      reviewer.genuine.clear();
    }
  });

  it('of GitHub Actions, says whether any job of any branch may call', async () => {
    const repository = { repository_id: '2', repository_owner_id: '1' };
    const actions = (one: object): Promise<Finding[]> => found({ profile: 'github_actions', repositories: [one] });
    expect(await actions({ ...repository, refs: ['refs/heads/main'] })).toMatchObject([{ standing: 'ok', found: expect.stringContaining('jobs of 1 repository') }]);
    expect(await actions(repository)).toMatchObject([{ standing: 'warning', found: expect.stringContaining('any job of any branch') }]);
  });

  it.each([
    [{ sender_binding: 'required' }, 'https://mayfly.test', 'ok'],
    [{ dpop_nonces: true }, 'https://mayfly.test', 'ok'],
    [{ sender_binding: 'required' }, undefined, 'warning'],
    [{ dpop_nonces: true }, undefined, 'failure'],
    [{ sender_binding: 'required', dpop_nonces: true }, undefined, 'failure'],
  ])('with %j and the public URL %s, it stands at %s', async (settings, publicUrl, standing) => {
    expect(await found(settings, publicUrl)).toMatchObject([{ check: 'issuer.proofs', standing }]);
  });
});
