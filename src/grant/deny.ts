import { shardOf, type TaskId } from '../core/ids.ts';
import { Problem, type FieldFault } from '../core/problem.ts';
import type { Workload, WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Vocabulary } from '../policy/decision.ts';
import type { ExternalAnswer } from '../policy/external-policy.ts';
import { recordQuestions } from '../policy/recorded-question.ts';
import { shadowFacts } from '../policy/shadow-policies.ts';
import { callerFacts } from './caller-facts.ts';
import type { DecisionBasis, JointDecision } from './decide-credentials.ts';

export interface Denial {
  readonly type: 'task.denied' | 'credential.denied' | 'extension.denied';
  /** The task, or the id it would have had. */
  readonly taskId: TaskId;
  /** Who asked. */
  readonly by: WorkloadId;
  readonly caller: Workload;
  readonly basis: DecisionBasis;
  readonly decision: JointDecision;
  readonly vocabulary: Vocabulary;
}

/** A decision point that is away is looked for again within this time. */
const OUTSIDE_RETRY_SECONDS = 5;

/** Records a denial, then throws it. The caller learns the decision id and the reasons an author published, nothing else. */
export async function deny({ type, taskId, by, caller, basis, decision, vocabulary }: Denial, ledger: Pick<Ledger, 'recordEvent' | 'countDenial'>): Promise<never> {
  await ledger.recordEvent({
    shard: shardOf(taskId),
    type,
    task: type === 'task.denied' ? null : taskId,
    agent: basis.agent,
    by,
    facts: {
      ...callerFacts(caller),
      purpose: basis.purpose,
      actions: basis.actions,
      data_classes: basis.dataClasses,
      context: basis.context,
      ticket: basis.ticket,
      chain: basis.chain,
      evidence: basis.evidence,
      vouched_by: basis.vouchedBy,
      subject: basis.subject,
      ...decisionFacts(decision),
    },
  });
  // Nobody said no: what is away counts against no agent.
  if (decision.external?.verdict === 'unavailable') {
    throw new Problem('policy_unavailable', decision.reasons[0] ?? 'policy could not be asked', { retryAfterSeconds: OUTSIDE_RETRY_SECONDS });
  }
  await ledger.countDenial(by);
  const { id, result, policies, policyVersion, approvalsNeeded } = decision.summary;
  throw new Problem('policy_denied', decision.reasons[0] ?? (result === 'approval_required' ? outsideWhatWasApproved(approvalsNeeded) : 'policy does not permit this'), {
    errors: unknownWords(basis, vocabulary),
    members: { decision: { id, result, policies, policy_version: policyVersion, approvals_needed: approvalsNeeded, reasons: decision.reasons } },
  });
}

/** An approval is for the task as it was declared: nobody is asked in the middle of one. */
const outsideWhatWasApproved = (needed: number): string =>
  `policy permits this only with ${needed === 1 ? 'an approval' : `${needed} approvals`}, and none covers it: an approval is for a task exactly as it was declared, so declare a new task for this`;

/** What the audit log keeps of a decision: who answers for the agent, the joint answer, each credential's own, and all that was asked, so that it can be asked again. */
export function decisionFacts({ summary, reasons, agentFacts, parts, shadow, external }: JointDecision): Record<string, unknown> {
  const questions = recordQuestions(parts.map(({ question }) => question));
  return {
    registered: agentFacts.registered,
    owner: agentFacts.registered ? agentFacts.owner : null,
    review_overdue: agentFacts.reviewOverdue,
    decision: {
      id: summary.id,
      result: summary.result,
      approvals_needed: summary.approvalsNeeded,
      policies: summary.policies,
      policy_version: summary.policyVersion,
      input_digest: summary.inputDigest,
      reasons,
      question: questions?.shared ?? null,
      ...(shadow === null || shadow === undefined ? {} : { shadow: shadowFacts(shadow) }),
    },
    parts: parts.map(({ credential, action, decision }, index) => ({
      credential,
      action,
      result: decision.result,
      policies: decision.policies,
      input_digest: decision.inputDigest,
      question: questions?.own[index] ?? null,
      ...(decision.fault === null ? {} : { fault: decision.fault }),
    })),
    ...(external === undefined ? {} : { external: externalFacts(external) }),
  };
}

const externalFacts = ({ kind, verdict, reason, fault, decisionIds, tookMs }: ExternalAnswer): Record<string, unknown> => ({
  kind,
  verdict,
  reason,
  fault,
  took_ms: tookMs,
  ...(decisionIds.length === 0 ? {} : { decision_ids: decisionIds }),
});

/** Words outside the operator's closed lists are pointed at: a typing error is the likeliest reason for a denial. */
function unknownWords(basis: DecisionBasis, vocabulary: Vocabulary): FieldFault[] {
  const faults: FieldFault[] = [];
  if (!vocabulary.purposes.has(basis.purpose)) faults.push({ pointer: '/purpose', detail: 'is not a purpose the operator has defined' });
  for (const [index, action] of basis.actions.entries()) {
    if (!vocabulary.actions.has(action)) faults.push({ pointer: `/actions/${index}`, detail: 'is not an action the operator has defined' });
  }
  for (const [index, dataClass] of basis.dataClasses.entries()) {
    if (!vocabulary.dataClasses.has(dataClass)) faults.push({ pointer: `/data_classes/${index}`, detail: 'is not a data class the operator has defined' });
  }
  return faults;
}
