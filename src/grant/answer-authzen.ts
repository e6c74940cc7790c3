import { Problem } from '../core/problem.ts';
import { evaluationOf, inItsWords, itemRequest, type AuthzenBatch, type AuthzenRequest } from './authzen-request.ts';
import type { JointDecision } from './decide-credentials.ts';
import { evaluatePolicy, type EvaluatePolicyDeps } from './evaluate-policy.ts';

/** An answer of AuthZEN 1.0 (section 6.2). No to all that is not a plain permit. */
export interface AuthzenAnswer {
  readonly decision: boolean;
  readonly context?: Readonly<Record<string, unknown>>;
}

export interface AnswerOptions {
  /** Whether the caller may see what `POST /v1/policy/evaluate` shows: which policies decided, and their version. */
  readonly shows: 'policies' | 'reasons';
}

/**
 * Answers one request by the code that decides real tasks; nothing is minted, reserved or recorded. A request that policy cannot
 * be asked about (no such credential, no purpose) is a denial that says why. Throws only where the broker cannot ask at all.
 */
export async function answerAuthzen(request: AuthzenRequest, options: AnswerOptions, deps: EvaluatePolicyDeps): Promise<AuthzenAnswer> {
  try {
    return answerOf(await evaluate(request, deps), options);
  } catch (error) {
    return refusal(error);
  }
}

/** Answers the items of a batch in their order, and stops where its semantics say so (section 7.1.2). */
export async function answerAuthzenBatch(batch: AuthzenBatch, options: AnswerOptions, deps: EvaluatePolicyDeps): Promise<{ readonly evaluations: readonly AuthzenAnswer[] }> {
  const stopsAt = { execute_all: null, deny_on_first_deny: false, permit_on_first_permit: true }[batch.options?.evaluations_semantic ?? 'execute_all'];
  const evaluations: AuthzenAnswer[] = [];
  for (const item of batch.evaluations ?? []) {
    const answer = await answerItem(item, batch, options, deps);
    evaluations.push(answer);
    if (answer.decision === stopsAt) break;
  }
  return { evaluations };
}

async function answerItem(item: unknown, batch: AuthzenBatch, options: AnswerOptions, deps: EvaluatePolicyDeps): Promise<AuthzenAnswer> {
  let request: AuthzenRequest;
  try {
    request = itemRequest(item, batch);
  } catch (error) {
    return refusal(error);
  }
  return answerAuthzen(request, options, deps);
}

async function evaluate(request: AuthzenRequest, deps: EvaluatePolicyDeps): Promise<JointDecision> {
  const asked = evaluationOf(request, deps.catalog);
  try {
    return await evaluatePolicy(asked, deps);
  } catch (error) {
    throw inItsWords(error, false);
  }
}

function answerOf({ summary, reasons, parts }: JointDecision, { shows }: AnswerOptions): AuthzenAnswer {
  const decision = summary.result === 'permit';
  const told = decision ? {} : { result: summary.result, reasons: summary.result === 'approval_required' ? [WAITS] : reasons };
  const shown = { policies: summary.policies, policy_version: summary.policyVersion, input_digest: summary.inputDigest, fault: parts.find(({ decision: one }) => one.fault !== null)?.decision.fault ?? null };
  const context = shows === 'policies' ? { ...told, ...shown } : told;
  return { decision, ...(Object.keys(context).length === 0 ? {} : { context }) };
}

/** There is no permission yet, whoever asks: the task has to be declared, and a human has to approve it. */
const WAITS = 'a human has to approve this first: declare the task, and it waits for that';

/** A denial that says what is wrong with the question (section 7.2.1); other failures are thrown on. */
function refusal(error: unknown): AuthzenAnswer {
  if (!(error instanceof Problem) || (error.code !== 'invalid_request' && error.code !== 'invalid_evaluation')) throw error;
  return { decision: false, context: { error: { status: error.status, message: error.message, errors: error.errors } } };
}
