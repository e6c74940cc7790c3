import type { Request } from 'express';
import { Problem } from '../../core/problem.ts';
import { sameWorkload, type Workload } from '../../identity/caller.ts';
import { presentedBy } from '../presented.ts';
import { authenticateClient, requireClientId, type AuthenticateClientDeps, type OAuthClient } from './authenticate-client.ts';
import { OAuthError } from './oauth-error.ts';
import type { OAuthForm } from './oauth-form.ts';

const TYPE = 'urn:ietf:params:oauth:token-type:';
export const ACCESS_TOKEN_TYPE = `${TYPE}access_token`;
export const JWT_TYPE = `${TYPE}jwt`;
/** Forms in which issuers hand out workload tokens. A refresh token is none: it is not an identity, and nothing here renews itself. */
const WORKLOAD_TOKEN_TYPES = [ACCESS_TOKEN_TYPE, JWT_TYPE, `${TYPE}id_token`];

/** What an exchange asks for, as far as the tokens in it say. */
export interface Exchange {
  /** In whose name the task is declared: the workload of the subject token, and nobody else. */
  readonly client: OAuthClient;
  readonly issuedTokenType: string;
}

/**
 * Reads a token exchange (RFC 8693 section 2.1): a workload's own token as the subject token, for a task of its own. Throws
 * `invalid_request` for tokens that are not accepted (section 2.2.2), and where the client is another than the subject:
 * nobody acts in another's name.
 */
export async function readExchange(request: Request, form: OAuthForm, deps: AuthenticateClientDeps): Promise<Exchange> {
  const issuedTokenType = form.get('requested_token_type') ?? ACCESS_TOKEN_TYPE;
  if (issuedTokenType !== ACCESS_TOKEN_TYPE && issuedTokenType !== JWT_TYPE) throw new OAuthError('invalid_request', 'this requested_token_type is not issued here');
  const subjectToken = form.need('subject_token');
  if (!WORKLOAD_TOKEN_TYPES.includes(form.need('subject_token_type'))) throw new OAuthError('invalid_request', 'this subject_token_type is not accepted here');
  if ((form.get('actor_token') === undefined) !== (form.get('actor_token_type') === undefined)) {
    throw new OAuthError('invalid_request', 'actor_token and actor_token_type belong together');
  }
  if (form.get('actor_token') !== undefined) throw new OAuthError('invalid_request', 'no actor can act for this subject');
  const client = await authenticateClient(request, form, deps);
  const subject = await workloadOf(request, subjectToken, 'subject_token', deps);
  if (client === null) {
    const itself = { clientId: subject.subject, workload: subject };
    requireClientId(form, itself);
    return { client: itself, issuedTokenType };
  }
  if (!sameWorkload(client.workload, subject)) throw new OAuthError('invalid_request', 'the subject_token is of another workload than the client; nobody acts in its name');
  return { client: { clientId: client.clientId, workload: subject }, issuedTokenType };
}

/** The workload that a token in the request proves, by the rules that it would be judged by as a bearer token. */
async function workloadOf(request: Request, token: string, parameter: string, { authenticator }: AuthenticateClientDeps): Promise<Workload> {
  try {
    const caller = await authenticator.authenticate({ ...presentedBy(request), authorization: { scheme: 'bearer', token }, dpopProofs: [] });
    if (caller.kind === 'workload') return caller;
  } catch (error) {
    if (!(error instanceof Problem) || (error.code !== 'invalid_token' && error.code !== 'forbidden')) throw error;
    throw new OAuthError('invalid_request', error.message.replace(/^the token/, `the ${parameter}`));
  }
  throw new OAuthError('invalid_request', `the ${parameter} is not of a workload`);
}
