import type { RequestHandler } from 'express';
import type { Ledger } from '../../ledger/ledger.ts';
import { mayOnTask } from '../../task/task-access.ts';
import { authenticateCaller, type AuthenticateClientDeps } from './authenticate-client.ts';
import { OAuthError } from './oauth-error.ts';
import { readForm } from './oauth-form.ts';
import { presentedLease, type PresentedLeaseDeps } from './presented-lease.ts';

export interface RevocationEndpointDeps extends AuthenticateClientDeps, PresentedLeaseDeps {
  readonly ledger: PresentedLeaseDeps['ledger'] & Pick<Ledger, 'getTask' | 'endTask'>;
  /** Tells the sweep of this process, if it has one, that there is something to end now. */
  readonly nudge: () => void;
}

/**
 * Ends the task of a token, with all its leases and children (RFC 7009 section 2). A token that nobody knows is as revoked
 * as can be; one of another client is refused.
 */
export function revocation({ ledger, nudge, ...deps }: RevocationEndpointDeps): RequestHandler {
  return async (request, response) => {
    const form = readForm(request);
    const caller = await authenticateCaller(request, form, deps);
    if (caller.kind !== 'workload') throw new OAuthError('unauthorized_client', 'an operator revokes by /v1/revocations');
    const token = form.need('token');
    // RFC 7009 section 2.2.1: 200 would say that it is good for nothing now.
    if (deps.jwtProviders.some((provider) => provider.isTransactionToken(token))) {
      throw new OAuthError('unsupported_token_type', 'a transaction token ends with its exp and not before; complete its task at /v1/tasks/{id}/complete');
    }
    const found = await presentedLease(token, { ...deps, ledger });
    const task = found === null ? null : await ledger.getTask(found.lease.taskId);
    if (task !== null) {
      // RFC 6749 section 5.2 has this code for what was issued to another client.
      if (!mayOnTask('complete', task, caller)) throw new OAuthError('invalid_grant', 'the token was not issued to this client');
      await ledger.endTask(task.id, 'revoked', caller);
      nudge();
    }
    response.status(200).json({});
  };
}
