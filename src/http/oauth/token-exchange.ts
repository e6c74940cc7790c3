import type { Request } from 'express';
import { Problem } from '../../core/problem.ts';
import { sameWorkload, type Workload } from '../../identity/caller.ts';
import { presentedBy } from '../presented.ts';
import { authenticateClient, requireClientId, type AuthenticateClientDeps, type OAuthClient } from './authenticate-client.ts';
import { authorityOf, type ExchangeAuthorityDeps } from './exchange-authority.ts';
import type { Authority } from './grant-under.ts';
import { OAuthError } from './oauth-error.ts';
import { TXN_TOKEN_TYPE } from './transaction-request.ts';
import type { OAuthForm } from './oauth-form.ts';

const TYPE = 'urn:ietf:params:oauth:token-type:';
export const ACCESS_TOKEN_TYPE = `${TYPE}access_token`;
export const JWT_TYPE = `${TYPE}jwt`;
/** Forms in which issuers hand out tokens of workloads and persons, and we those of tasks. A refresh token is none: it is not an identity, and nothing here renews itself. */
const TOKEN_TYPES = [ACCESS_TOKEN_TYPE, JWT_TYPE, `${TYPE}id_token`];

export interface ReadExchangeDeps extends AuthenticateClientDeps, ExchangeAuthorityDeps {
  /** Whether transaction tokens can be had. */
  readonly transactionTokens: boolean;
}

/** What an exchange asks for, as far as the tokens in it say. */
export interface Exchange {
  /** Whose the task will be: the actor, where there is one, else the workload of the subject token. */
  readonly client: OAuthClient;
  readonly authority: Authority;
  readonly issuedTokenType: string;
}

/**
 * Reads a token exchange (RFC 8693 section 2.1): a workload's own token as the subject token, for a task of its own, or
 * that of a task or of a person, together with the workload's own as the actor token. Throws `invalid_request` for tokens that are
 * not accepted (section 2.2.2), and where the client is another than the subject or the actor: nobody acts in another's name.
 */
export async function readExchange(request: Request, form: OAuthForm, deps: ReadExchangeDeps): Promise<Exchange> {
  const issuedTokenType = form.get('requested_token_type') ?? ACCESS_TOKEN_TYPE;
  const issued = [ACCESS_TOKEN_TYPE, JWT_TYPE, ...(deps.transactionTokens ? [TXN_TOKEN_TYPE] : [])];
  if (!issued.includes(issuedTokenType)) throw new OAuthError('invalid_request', 'this requested_token_type is not issued here');
  const subjectToken = form.need('subject_token');
  const subjectTokenType = form.need('subject_token_type');
  if (subjectTokenType === TXN_TOKEN_TYPE) throw new OAuthError('invalid_request', 'a transaction token is not replaced by another, and stands for nobody: show the token of its task');
  if (!TOKEN_TYPES.includes(subjectTokenType)) throw new OAuthError('invalid_request', 'this subject_token_type is not accepted here');
  const actorToken = form.get('actor_token');
  const actorTokenType = form.get('actor_token_type');
  if ((actorToken === undefined) !== (actorTokenType === undefined)) throw new OAuthError('invalid_request', 'actor_token and actor_token_type belong together');
  if (actorTokenType !== undefined && !TOKEN_TYPES.includes(actorTokenType)) throw new OAuthError('invalid_request', 'this actor_token_type is not accepted here');
  const client = await authenticateClient(request, form, deps);
  if (actorToken === undefined) {
    const subject = await workloadOf(request, subjectToken, 'subject_token', deps);
    return { client: theSame(client, subject, 'subject_token', form), authority: { kind: 'own' }, issuedTokenType };
  }
  // The actor first: nobody else learns anything of the subject token.
  const actor = theSame(client, await workloadOf(request, actorToken, 'actor_token', deps), 'actor_token', form);
  return { client: actor, authority: await authorityOf(subjectToken, deps), issuedTokenType };
}

/** The client, as the workload that a token in the request proves. It may prove itself by nothing but that token. */
function theSame(client: OAuthClient | null, workload: Workload, parameter: string, form: OAuthForm): OAuthClient {
  if (client === null) {
    const itself = { clientId: workload.subject, workload };
    requireClientId(form, itself);
    return itself;
  }
  if (!sameWorkload(client.workload, workload)) throw new OAuthError('invalid_request', `the ${parameter} is of another workload than the client; nobody acts in its name`);
  return { clientId: client.clientId, workload };
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
