import { Problem } from '../../core/problem.ts';
import { declareTask, type DeclaredTask } from '../../grant/declare-task.ts';
import type { GrantDeps } from '../../grant/grant-deps.ts';
import { handOver, longestChild } from '../../grant/hand-over.ts';
import type { Lease, TokenTerms } from '../../ledger/lease.ts';
import { declarationOf } from '../../task/authorization-details.ts';
import type { OAuthClient } from './authenticate-client.ts';
import type { TokenRequest } from './grant-token.ts';
import { OAuthError, type OAuthErrorCode } from './oauth-error.ts';

/** On whose authority the client wants to act: its own, that of a task whose token it shows, or that of a person whose token it shows. */
export type Authority = { readonly kind: 'own' } | { readonly kind: 'task'; readonly lease: Lease } | { readonly kind: 'user'; readonly token: string };

/** A grant, and the lifetime that was asked for in the end, seconds. */
export interface GrantedUnder {
  readonly declared: DeclaredTask;
  readonly ttlSeconds: number;
}

/**
 * Declares the task of a token request, or has it delegated, for the client itself; it never waits for a human, since an
 * OAuth client that is told no has nothing to come back for. Throws what declaring and delegating throw, in the words of OAuth
 * where those differ.
 */
export async function grantUnder(authority: Authority, { details, token }: TokenRequest, { workload }: OAuthClient, terms: TokenTerms, grant: GrantDeps): Promise<GrantedUnder> {
  if (authority.kind === 'task') {
    const { lease } = authority;
    const ttlSeconds = details.ttl_seconds ?? Math.max(1, Math.min(token.ttlSeconds, await longestChild(lease, token.credential, grant)));
    const { purpose, ticket, justification, actions, data_classes, context, ttl_seconds, credentials } = declarationOf(details, token.credential, ttlSeconds);
    const request = { purpose, ticket, justification, actions, data_classes, context, ttl_seconds, credentials };
    return { declared: await inWordsOf(delegationFault, handOver({ shown: lease, to: workload, request, token: terms }, grant)), ttlSeconds };
  }
  const { ttlSeconds } = token;
  const declaration = declarationOf(details, token.credential, ttlSeconds);
  const evidence = authority.kind === 'user' ? { evidence: { kind: 'user_consented' as const, token: authority.token } } : {};
  return { declared: await inWordsOf(declarationFault, declareTask({ ...declaration, ...evidence }, workload, grant, { mayWait: false, token: terms })), ttlSeconds };
}

const inWordsOf = <T>(told: (error: unknown) => unknown, granting: Promise<T>): Promise<T> =>
  granting.catch((error: unknown) => {
    throw told(error);
  });

/** A fault of the declaration is one of the authorization details; evidence that is not taken is a subject token that is not. */
export function declarationFault(error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  if (error.code === 'evidence_refused') return new OAuthError('invalid_request', error.message.replace(/^the evidence/, 'the subject_token'));
  return error.code === 'invalid_request' ? new OAuthError('invalid_authorization_details', error.message.replace('the request is', 'authorization_details are')) : error;
}

/** What a child may not have is a fault of what was asked for; that there can be no such child at all, of the tokens (RFC 8693 section 2.2.2). */
function delegationFault(error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  if (error.code === 'task_not_active') return new OAuthError('invalid_request', `the subject_token is of no use: ${error.message}`);
  if (error.code !== 'invalid_request') return error;
  const first = error.errors.find(({ pointer }) => faultsOf(pointer) !== 'invalid_authorization_details') ?? error.errors[0];
  const code = faultsOf(first?.pointer ?? '');
  return code === 'invalid_authorization_details' ? declarationFault(error) : new OAuthError(code, code === 'invalid_target' ? 'the task of the subject_token has no token for this resource' : `the actor: ${first?.detail ?? ''}`);
}

/** The error for a fault of a delegation, by its pointer. */
function faultsOf(pointer: string): OAuthErrorCode {
  if (pointer === '' || pointer === '/agent' || pointer === '/agent_issuer') return 'invalid_request';
  return pointer === '/credentials/0/name' ? 'invalid_target' : 'invalid_authorization_details';
}
