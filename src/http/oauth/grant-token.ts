import type { Request, Response } from 'express';
import type { GrantDeps } from '../../grant/grant-deps.ts';
import type { Granted } from '../../grant/mint-leases.ts';
import type { Confirmation } from '../../ledger/lease.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { JwtProvider } from '../../providers/jwt/jwt-provider.ts';
import { parseTaskDetails, TASK_DETAILS_TYPE, type TaskDetails } from '../../task/authorization-details.ts';
import type { Task } from '../../task/task.ts';
import type { OAuthClient } from './authenticate-client.ts';
import { chooseToken, type ChosenToken } from './choose-token.ts';
import { declarationFault, grantUnder, type Authority } from './grant-under.ts';
import { OAuthError } from './oauth-error.ts';
import type { OAuthForm } from './oauth-form.ts';
import { transactionDetails } from './transaction-request.ts';

export interface GrantTokenDeps {
  readonly grant: GrantDeps;
  readonly ledger: Pick<Ledger, 'endTask' | 'getLease'>;
  readonly jwtProviders: readonly JwtProvider[];
  /** The issuer of this authorization server; null where no provider signs tokens. */
  readonly issuer: string | null;
}

/** What a token request asks for, understood and within what is configured; policy has not been asked yet. */
export interface TokenRequest {
  readonly details: TaskDetails;
  readonly token: ChosenToken;
}

/** A task that was granted, and its one token. */
export interface GrantedToken extends TokenRequest {
  readonly task: Task;
  readonly granted: Granted;
  readonly cnf: Confirmation | undefined;
}

/**
 * Reads what is asked for (RFC 9396 section 6, RFC 8707 section 2). Throws `invalid_authorization_details`, `invalid_target`,
 * `invalid_scope` or `invalid_request`; there is no part of a request that is passed over.
 */
export function readTokenRequest(form: OAuthForm, deps: GrantTokenDeps, { forTransaction = false } = {}): TokenRequest {
  if (!forTransaction && form.get('scope') !== undefined) throw new OAuthError('invalid_scope', 'there are no scopes here; say what is to be done in authorization_details');
  const declared = readDetails(form.need('authorization_details'));
  const details = forTransaction ? transactionDetails(form, declared) : declared;
  const targets = [...form.all('resource'), ...form.all('audience'), ...(details.locations ?? [])];
  return { details, token: chooseToken({ details, resources: form.all('resource'), targets, forTransaction }, deps) };
}

/** Grants the task of a token request, on the authority that the client showed. Throws what declaring or delegating throws. */
export async function grantToken(wanted: TokenRequest, authority: Authority, client: OAuthClient, cnf: Confirmation | undefined, deps: GrantTokenDeps): Promise<GrantedToken> {
  const terms = { clientId: client.clientId, ...(cnf === undefined ? {} : { cnf }) };
  const { declared, ttlSeconds } = await grantUnder(authority, wanted, client, terms, deps.grant);
  const [granted] = declared.granted;
  if (granted === undefined) throw new TypeError('a task that was granted at once has no credential');
  return { details: wanted.details, token: { ...wanted.token, ttlSeconds }, task: declared.task, granted, cnf };
}

/** Hands the token over, once (RFC 6749 section 5.1, RFC 9396 section 7). Who hung up meanwhile will never have it: its task ends. */
export async function sendToken(response: Response, { details, token, task, granted, cnf }: GrantedToken, more: Readonly<Record<string, unknown>>, { grant, ledger }: GrantTokenDeps): Promise<void> {
  if (response.destroyed) {
    await ledger.endTask(task.id, 'mint_interrupted', task.agent);
    return;
  }
  const { context, params, ...said } = details;
  response.set('Pragma', 'no-cache').json({
    access_token: granted.secret['token']?.expose(),
    // RFC 8693 section 2.2.1: what is no access token has no way to be used as one.
    token_type: token.forTransaction ? 'N_A' : cnf?.jkt === undefined ? 'Bearer' : 'DPoP',
    expires_in: Math.max(0, Math.floor((granted.intent.dueAtMs - grant.clock.now()) / 1000)),
    ...more,
    authorization_details: [
      {
        ...said,
        identifier: task.id,
        locations: [token.audience],
        credential: token.credential,
        ttl_seconds: token.ttlSeconds,
        ...(Object.keys(context).length === 0 ? {} : { context }),
        ...(Object.keys(params).length === 0 ? {} : { params }),
      },
    ],
  });
}

/** One task, one token: more than one element would need more. */
function readDetails(text: string): TaskDetails {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new OAuthError('invalid_authorization_details', 'authorization_details is not JSON');
  }
  const [details, ...more] = Array.isArray(parsed) ? (parsed as unknown[]) : [];
  if (details === undefined || more.length > 0) throw new OAuthError('invalid_authorization_details', 'authorization_details must be an array of one object: a token is for one task');
  const type: unknown = typeof details === 'object' && details !== null && 'type' in details ? details.type : undefined;
  if (type !== TASK_DETAILS_TYPE) throw new OAuthError('invalid_authorization_details', `the type of authorization_details must be ${TASK_DETAILS_TYPE}`);
  try {
    return parseTaskDetails(details);
  } catch (error) {
    throw declarationFault(error);
  }
}

/** What a call of the token endpoint is answered by. */
export type Grant = (request: Request, response: Response, form: OAuthForm) => Promise<void>;
