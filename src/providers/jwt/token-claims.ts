import { toEpochSeconds } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import { TASK_DETAILS_TYPE } from '../../task/authorization-details.ts';
import { partyClaims } from './act-claim.ts';

/**
 * What a token says, and what introspection says of it: the claims of RFC 9068 section 2.2, the task that it is of
 * (RFC 9396 section 9), and the key that it is bound to (RFC 7800).
 */
export function tokenClaims(intent: LeaseIntent, issuer: string, audience: string): Readonly<Record<string, unknown>> {
  const { agent, token, taskId, purpose, actions, dataClasses = [] } = intent;
  const issuedAt = toEpochSeconds(intent.createdAtMs);
  return {
    iss: issuer,
    ...partyClaims(intent),
    aud: audience,
    client_id: token?.clientId ?? agent.subject,
    iat: issuedAt,
    nbf: issuedAt,
    jti: intent.id,
    txn: taskId,
    purpose,
    agent_issuer: agent.issuer,
    authorization_details: [{ type: TASK_DETAILS_TYPE, identifier: taskId, purpose, actions, datatypes: dataClasses, locations: [audience] }],
    ...(token?.cnf === undefined ? {} : { cnf: token.cnf }),
  };
}

/** RFC 9449 section 5: a token that is bound by DPoP must never be taken for a bearer token. */
export const tokenTypeOf = ({ token }: Pick<LeaseIntent, 'token'>): 'Bearer' | 'DPoP' => (token?.cnf?.jkt === undefined ? 'Bearer' : 'DPoP');
