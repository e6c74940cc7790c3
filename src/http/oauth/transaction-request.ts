import { parseTaskDetails, type TaskDetails } from '../../task/authorization-details.ts';
import { declarationFault } from './grant-under.ts';
import { OAuthError } from './oauth-error.ts';
import type { OAuthForm } from './oauth-form.ts';

/** What a transaction token is asked for by (draft-ietf-oauth-transaction-tokens, section 10.1). */
export const TXN_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:txn_token';

/**
 * The declaration of a request for a transaction token: `scope` is its purpose said again, `audience` names the trust domain,
 * and `request_details` are the parameters of its credential. Throws `invalid_scope`, `invalid_request` or
 * `invalid_authorization_details`.
 */
export function transactionDetails(form: OAuthForm, details: TaskDetails): TaskDetails {
  form.need('audience');
  const scope = form.need('scope');
  // A scope that means more than what is declared would be more than what was decided.
  if (scope !== details.purpose) throw new OAuthError('invalid_scope', 'scope must be the purpose in authorization_details, and nothing else');
  if (form.get('request_context') !== undefined) throw new OAuthError('invalid_request', 'request_context is not taken: a token tells what the broker itself saw of the request');
  const said = form.get('request_details');
  if (said === undefined) return details;
  if (Object.keys(details.params).length > 0) throw new OAuthError('invalid_request', 'say the parameters in request_details or in authorization_details, and not in both');
  try {
    return parseTaskDetails({ ...details, params: JSON.parse(said) as unknown });
  } catch (error) {
    throw error instanceof SyntaxError ? new OAuthError('invalid_request', 'request_details is not JSON') : declarationFault(error);
  }
}
