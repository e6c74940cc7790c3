import type { Clock } from '../../core/clock.ts';
import type { Authority } from './grant-under.ts';
import { OAuthError } from './oauth-error.ts';
import { presentedLease, type PresentedLeaseDeps } from './presented-lease.ts';

export interface ExchangeAuthorityDeps extends PresentedLeaseDeps {
  readonly grant: { readonly clock: Clock };
}

/**
 * What the subject token of an exchange with an actor stands for: a live task whose token it is, by our own records and
 * by nothing that it says of itself, or else a person, whose token it is for others to judge. Throws `invalid_request` for a
 * token of ours that is not live, and for one that is bound to a key.
 */
export async function authorityOf(subjectToken: string, deps: ExchangeAuthorityDeps): Promise<Authority> {
  if (!deps.jwtProviders.some((provider) => provider.read(subjectToken) !== undefined)) return { kind: 'user', token: subjectToken };
  const lease = (await presentedLease(subjectToken, deps))?.lease;
  if (lease?.state !== 'active' || deps.grant.clock.now() >= lease.dueAtMs) throw new OAuthError('invalid_request', 'the subject_token is not active');
  // Whoever got hold of a bound token without its key must have nothing; the actor shows a key of its own, if any.
  if (lease.token?.cnf !== undefined) throw new OAuthError('invalid_request', 'the subject_token is bound to a key; the agent that holds it hands its task on at /v1/tasks/{id}/delegate');
  return { kind: 'task', lease };
}
