import { z } from 'zod';
import { evaluation } from '../../grant/evaluate-policy.ts';
import type { OperationArea } from './operation.ts';

const result = z.enum(['permit', 'deny', 'approval_required']);
const approvalsNeeded = z.int().min(0).describe('how many humans would have to approve, where the result is `approval_required`');
const words = z.array(z.string());

const evaluationAnswer = z
  .strictObject({
    decision: z.strictObject({ result, approvals_needed: approvalsNeeded, policies: words, policy_version: z.string(), input_digest: z.string(), reasons: words }),
    draft: z.boolean().describe('whether a draft set was asked'),
    credentials: z.array(
      z.strictObject({ name: z.string(), action: z.string(), result, approvals_needed: approvalsNeeded, policies: words, reasons: words, fault: z.string().nullable().describe('why policy could not be asked properly') }),
    ),
  })
  .meta({ id: 'PolicyEvaluation', description: 'what policy would answer; nothing was minted or recorded' });

export const POLICY_OPERATIONS: OperationArea = {
  name: 'policy',
  description: 'What policy would say, for operators.',
  operations: [
    {
      method: 'post',
      path: '/v1/policy/evaluate',
      id: 'evaluatePolicy',
      summary: 'Ask policy about a declaration, without making it',
      caller: 'viewer',
      body: evaluation,
      examples: { refund: { agent: 'agent:refunds', purpose: 'refund-investigation', actions: ['read'], credentials: [{ name: 'task-reference' }] } },
      answers: { 200: { description: 'the decision, by the code that decides real ones', schema: evaluationAnswer } },
    },
  ],
};
