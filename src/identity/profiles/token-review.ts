import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import type { OidcIssuerConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { Problem } from '../../core/problem.ts';
import { Secret } from '../../core/secret.ts';
import type { OutboundFetch } from '../outbound-fetch.ts';
import { refused, type VerifiedToken } from '../verify-token.ts';
import { kubernetesObjects } from './kubernetes.ts';

export interface TokenReviewDeps {
  readonly outboundFetch: OutboundFetch;
  readonly clock: Clock;
}

type TokenReviewConfig = NonNullable<OidcIssuerConfig['token_review']>;

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';
const CACHE_TOKENS = 10_000;
const review = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z.object({ username: z.string(), uid: z.string() }).optional(),
  }),
});

/** What the API server says of a token. */
export type Reviewed = z.infer<typeof review>['status'];

/** Puts one token to the API server, with the broker's own. Throws where that is not taken, or the answer is no review. */
export async function askTokenReview({ url, token_file: file }: TokenReviewConfig, { token, audience }: { readonly token: string; readonly audience: string }, outboundFetch: OutboundFetch, signal?: AbortSignal): Promise<Reviewed> {
  const json = new Secret(JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } }));
  const bearer = new Secret(readFileSync(file, 'utf8').trim());
  const { status, body } = await outboundFetch(`${url.replace(/\/$/, '')}${PATH}`, { json, bearer, ...(signal === undefined ? {} : { signal }) });
  if (status !== 201 && status !== 200) throw new TypeError(`the API server answered ${status}`);
  return review.parse(JSON.parse(body)).status;
}

/**
 * Asks the API server whether a token still is good: a signature does not tell that its pod or service account was deleted. Throws
 * `invalid_token` where it is not, and `identity_unavailable` where the API server cannot be asked. Its yes is kept for `cache_seconds`.
 */
export function createTokenReview(config: TokenReviewConfig, audience: string, { outboundFetch, clock }: TokenReviewDeps): (token: string, verified: VerifiedToken) => Promise<void> {
  const good = new LRUCache<string, number>({ max: CACHE_TOKENS });

  async function ask(token: string): Promise<Reviewed> {
    try {
      return await askTokenReview(config, { token, audience }, outboundFetch);
    } catch (cause) {
      throw new Problem('identity_unavailable', 'the API server of its cluster cannot be asked about the token', { cause, retryAfterSeconds: 5 });
    }
  }

  return async (token, { subject, claims }) => {
    const digest = createHash('sha256').update(token).digest('base64');
    const nowMs = clock.monotonicMs();
    if ((good.get(digest) ?? -Infinity) > nowMs) return;
    const { authenticated, audiences, user } = await ask(token);
    const { serviceaccount } = kubernetesObjects(subject, claims, undefined);
    if (!authenticated) throw refused('its cluster does not accept it any more');
    // An API server that knows nothing of audiences says yes to every genuine token.
    if (!audiences.includes(audience)) throw refused('its cluster does not accept it for this audience');
    if (user?.username !== subject || user.uid !== serviceaccount.uid) throw refused('its cluster takes it for somebody else');
    good.set(digest, nowMs + config.cache_seconds * 1000);
  };
}
