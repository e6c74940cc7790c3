import type { DecisionId, TaskId } from '../core/ids.ts';
import { sameWorkload, type Workload, type WorkloadId } from '../identity/caller.ts';
import { decideCredentials, type Ask, type DecisionBasis, type JointDecision, type WantedCredential } from './decide-credentials.ts';
import { deny, type Denial } from './deny.ts';
import type { GrantDeps } from './grant-deps.ts';
import { admitPrincipals } from './known-principals.ts';
import { riskLevel } from './risk-of.ts';
import { inSpan, type OpenSpan } from '../telemetry/in-span.ts';
import type { ExternalPolicy } from '../policy/external-policy.ts';

/** What a task, or a change of one, is asked of policy. */
export interface TaskQuestion {
  readonly decisionId: DecisionId;
  /** The task, or the id it will have. */
  readonly taskId: TaskId;
  /** Who asked, for the record. */
  readonly by: WorkloadId;
  /** Whose token or certificate it was, with what that says besides. */
  readonly caller: Workload;
  /** What a denial is called on the record. */
  readonly denial: Denial['type'];
  readonly basis: Omit<DecisionBasis, 'environment' | 'risk' | 'factsOf'>;
  readonly wanted: readonly WantedCredential[];
  /** `mint` where not given. */
  readonly asks?: readonly Ask[];
  /** Whether an answer that waits for a human is one; else it is a denial. */
  readonly mayWait?: boolean;
}

/**
 * Asks policy, with what the broker knows itself, and then the other decision point, if there is one and policy permits. A denial is
 * recorded and thrown: `policy_denied`, `agent_disabled` or `agent_unregistered`, or `policy_unavailable` where the other one could not be asked.
 */
export const decideOrDeny = (question: TaskQuestion, deps: DecideDeps): Promise<JointDecision> =>
  inSpan('decide', { facts: { 'mayfly.task': question.taskId, 'mayfly.decision': question.decisionId, 'mayfly.policy_version': deps.policy.version } }, (span) => decide(question, deps, span));

type DecideDeps = Pick<GrantDeps, 'policy' | 'shadow' | 'externalPolicy' | 'ledger' | 'environment' | 'risk' | 'observeDecision' | 'agents'>;

async function decide(question: TaskQuestion, deps: DecideDeps, span: OpenSpan): Promise<JointDecision> {
  const { decisionId, taskId, by, caller, denial, wanted, asks, mayWait = false } = question;
  const basis: DecisionBasis = { ...question.basis, environment: deps.environment, risk: riskLevel(question.basis.actions, deps.risk), factsOf: await admitPrincipals(question, deps) };
  const decided = decideCredentials(deps.policy, decisionId, basis, wanted, asks);
  // The answer of our own policy stands by now: what the shadow says goes on the record beside it.
  const shadow = deps.shadow?.answer(decided.parts.map(({ question: asked }) => asked)) ?? null;
  const decision = await unlessRefusedOutside({ ...decided, shadow }, deps.externalPolicy);
  deps.observeDecision(decision);
  span.tell({ 'mayfly.result': decision.summary.result });
  const { result } = decision.summary;
  // No credential to ask about is nothing that could be permitted.
  if (wanted.length > 0 && (result === 'permit' || (mayWait && result === 'approval_required'))) {
    if (basis.denialsInARow > 0 && sameWorkload(by, basis.agent)) await deps.ledger.forgetDenials(by);
    return decision;
  }
  return deny({ type: denial, taskId, by, caller, basis, decision, vocabulary: deps.policy.vocabulary }, deps.ledger);
}

/** The decision, with what another decision point says of a permit. That can only make a denial of it; without an answer it is one. */
async function unlessRefusedOutside(decision: JointDecision, externalPolicy: ExternalPolicy | undefined): Promise<JointDecision> {
  const { summary, parts } = decision;
  // What waits for a human is asked about when it is claimed, with the approvals it then has.
  if (externalPolicy === undefined || summary.result !== 'permit' || parts.length === 0) return decision;
  const external = await externalPolicy.ask(parts.map(({ question }) => question));
  if (external.verdict === 'permit') return { ...decision, external };
  const reason = external.verdict === 'deny' ? (external.reason ?? REFUSED) : NOT_ASKED;
  return { ...decision, external, summary: { ...summary, result: 'deny', policies: [] }, reasons: [reason] };
}

const REFUSED = 'the external policy decision point does not permit this';
const NOT_ASKED = 'the external policy decision point could not be asked';
