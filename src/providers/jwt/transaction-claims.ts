import { toEpochSeconds } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import { partyClaims } from './act-claim.ts';

/**
 * What a transaction token says (draft-ietf-oauth-transaction-tokens, section 8): the task as the transaction, its purpose as
 * the scope, the agent as the workload that asked. `tctx` is what was declared and decided, `rctx` what the broker itself saw;
 * nothing in either is the word of whoever asked alone.
 */
export function transactionClaims(intent: LeaseIntent, issuer: string, trustDomain: string): Readonly<Record<string, unknown>> {
  const { agent, taskId, purpose, actions, dataClasses = [], params, decisionId } = intent;
  return {
    iss: issuer,
    sub: partyClaims(intent).sub,
    aud: trustDomain,
    iat: toEpochSeconds(intent.createdAtMs),
    jti: intent.id,
    txn: taskId,
    scope: purpose,
    req_wl: agent.subject,
    tctx: { task: taskId, purpose, actions, data_classes: dataClasses, params },
    rctx: { agent_issuer: agent.issuer, decision: decisionId },
  };
}
