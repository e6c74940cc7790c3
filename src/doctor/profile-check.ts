import type { Config, OidcIssuerConfig } from '../config/config-schema.ts';
import type { OutboundFetch } from '../identity/outbound-fetch.ts';
import { askTokenReview } from '../identity/profiles/token-review.ts';
import { failure, ok, warning, type Check, type Finding } from './check.ts';

/** What the profile of each issuer needs besides its keys, and what binding to a key needs. Nothing for issuers that have neither. */
export const profileChecks = ({ identity, http }: Pick<Config, 'identity' | 'http'>, outboundFetch: OutboundFetch): Check[] => [
  ...identity.issuers.filter(({ profile }) => profile !== 'generic').map((issuer) => profileCheck(issuer, identity.audience, outboundFetch)),
  { area: 'issuer.proofs', look: () => Promise.resolve(identity.issuers.flatMap((issuer) => judgeProofs(issuer, http.public_url))) },
];

const profileCheck = (issuer: OidcIssuerConfig, audience: string, outboundFetch: OutboundFetch): Check => ({
  area: 'issuer.profile',
  look: (signal) => (issuer.profile === 'kubernetes' ? lookAtReview(issuer, issuer.audience ?? audience, outboundFetch, signal) : Promise.resolve([judgeRepositories(issuer)])),
});

/** No token: whoever says yes to it says yes to everything. */
const NO_TOKEN = 'mayfly-doctor';

async function lookAtReview({ issuer, token_review: review }: OidcIssuerConfig, audience: string, outboundFetch: OutboundFetch, signal: AbortSignal): Promise<Finding[]> {
  const check = 'issuer.profile';
  if (review === undefined) return [warning(check, `${issuer}: kubernetes, without token_review: a token of a pod that is gone is good until it expires`, 'set token_review, if the broker can reach the API server')];
  try {
    const { authenticated } = await askTokenReview(review, { token: NO_TOKEN, audience }, outboundFetch, signal);
    if (authenticated) return [failure(check, `${issuer}: ${review.url} takes for genuine what is no token`, 'see whether token_review.url is an API server')];
    return [ok(check, `${issuer}: kubernetes; ${review.url} reviews tokens for the broker`)];
  } catch (error) {
    const why = error instanceof Error ? error.message : 'cannot be asked';
    return [failure(check, `${issuer}: ${review.url} reviews no tokens for the broker: ${why}`, 'mend token_review; the service account of its token_file needs the cluster role system:auth-delegator')];
  }
}

function judgeRepositories({ issuer, repositories = [] }: OidcIssuerConfig): Finding {
  const check = 'issuer.profile';
  const open = repositories.filter(({ refs, environments, job_workflow_refs: workflows }) => refs === undefined && environments === undefined && workflows === undefined);
  const found = `${issuer}: github_actions, jobs of ${repositories.length} ${repositories.length === 1 ? 'repository' : 'repositories'}`;
  return open.length === 0 ? ok(check, found) : warning(check, `${found}; of ${open.length} any job of any branch`, 'name refs, environments or job_workflow_refs, unless whoever may push there may have it all');
}

/** Whether what an issuer's tokens are to be bound by can be checked here. Pure. */
export function judgeProofs({ issuer, sender_binding: binding, dpop_nonces: nonces }: OidcIssuerConfig, publicUrl: string | undefined): Finding[] {
  const check = 'issuer.proofs';
  if (binding !== 'required' && !nonces) return [];
  if (publicUrl !== undefined) return [ok(check, `${issuer}: DPoP proofs are compared with ${publicUrl}`)];
  const fix = 'set http.public_url to where clients reach the broker';
  return [nonces ? failure(check, `${issuer}: DPoP proofs need nonces, and without http.public_url none is accepted`, fix) : warning(check, `${issuer}: tokens must be bound, and without http.public_url only to certificates`, fix)];
}
