import { Router } from 'express';
import { hasDraft } from '../../grant/draft-policies.ts';
import { evaluatePolicy, parseEvaluation, type EvaluatePolicyDeps } from '../../grant/evaluate-policy.ts';
import type { JointDecision } from '../../grant/decide-credentials.ts';
import { parseReplay, type PolicyReplay } from '../../grant/replay-policy.ts';
import type { Authenticator } from '../../identity/caller.ts';
import { authenticateOperator } from '../authenticate.ts';
import { jsonBody } from '../read-json.ts';
import { readingAudit } from '../reading-audit.ts';

export interface PolicyRoutesDeps {
  readonly authenticator: Authenticator;
  readonly evaluate: EvaluatePolicyDeps;
  readonly replay: PolicyReplay;
  /** The audit file, where this process can read it; null when records go to standard output. */
  readonly auditFile: string | null;
}

/** `/v1/policy`: what policy would say, for operators. */
export function policyRoutes({ authenticator, evaluate, replay, auditFile }: PolicyRoutesDeps): Router {
  const router = Router();

  router.post('/v1/policy/evaluate', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const asked = parseEvaluation(jsonBody(request));
    const decision = await evaluatePolicy(asked, evaluate);
    response.json(evaluationView(decision, hasDraft(asked)));
  });

  router.post('/v1/policy/replay', async (request, response) => {
    await authenticateOperator(request, authenticator, 'viewer');
    const asked = parseReplay(jsonBody(request));
    response.json(await readingAudit(auditFile, (file) => replay.run(file, asked)));
  });

  return router;
}

const evaluationView = ({ summary, reasons, parts }: JointDecision, draft: boolean): Record<string, unknown> => ({
  decision: { result: summary.result, approvals_needed: summary.approvalsNeeded, policies: summary.policies, policy_version: summary.policyVersion, input_digest: summary.inputDigest, reasons },
  draft,
  credentials: parts.map(({ credential, action, decision }) => ({
    name: credential,
    action,
    result: decision.result,
    approvals_needed: decision.approvalsNeeded,
    policies: decision.policies,
    reasons: decision.reasons,
    fault: decision.fault,
  })),
});
