import { z } from 'zod';
import { evaluation } from '../../grant/evaluate-policy.ts';
import { replayRequest } from '../../grant/replay-policy.ts';
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

const count = z.int().min(0);
const change = z.enum(['would_deny', 'would_need_approval', 'would_permit', 'other_policies']);
const unreplayable = z.enum(['not_recorded', 'unreadable', 'other_digest']);
const at = z.iso.datetime();
const example = z.strictObject({ decision: z.string(), task: z.string().nullable(), at, seq: z.int().min(1).describe('of the record') });

const replayAnswer = z
  .strictObject({
    policy_version: z.string().describe('of the set that was asked'),
    draft: z.boolean().describe('whether that was a draft'),
    chain: z
      .union([
        z.strictObject({ ok: z.literal(true), records: count }),
        z.strictObject({ ok: z.literal(false), records: count, file: z.string(), line: z.int().min(1), problem: z.enum(['not_json', 'changed', 'missing', 'reordered']), detail: z.string() }),
      ])
      .describe('whether what was read of the audit log is a whole chain; where not, what stands after that line of that file is vouched for by nothing'),
    replayed: count.describe('decisions that fit and were asked again'),
    unchanged: count,
    changed: z.strictObject({ would_deny: count, would_need_approval: count, would_permit: count, other_policies: count }),
    cannot_be_replayed: z.strictObject({
      total: count,
      reasons: z.strictObject({ not_recorded: count, unreadable: count, other_digest: count }),
      examples: z.array(z.strictObject({ decision: z.string().nullable(), task: z.string().nullable(), at, seq: z.int().min(1), reason: unreplayable })),
    }),
    groups: z.array(
      z.strictObject({
        change,
        recorded: z.strictObject({ result, policies: words }),
        replayed: z.strictObject({ result, approvals_needed: approvalsNeeded, policies: words, reasons: words, fault: z.string().nullable() }),
        agent: z.string(),
        purpose: z.string(),
        count: z.int().min(1),
        first_at: at,
        last_at: at,
        examples: z.array(example),
      }),
    ).describe('decisions that differ alike; the largest group first'),
    groups_left_out: count,
    stopped_at: at.nullable().describe('where there were more decisions than are asked at once: ask again from here'),
  })
  .meta({ id: 'PolicyReplay', description: 'where a set of policies would answer otherwise than the record says' });

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
    {
      method: 'post',
      path: '/v1/policy/replay',
      id: 'replayPolicy',
      summary: 'Ask a set of policies again what is on the record',
      caller: 'viewer',
      body: replayRequest,
      bodyOptional: true,
      examples: { week: { since: '2026-01-05T00:00:00Z', purpose: 'refund-investigation' } },
      answers: { 200: { description: 'where the answers differ; nothing was minted or recorded', schema: replayAnswer } },
      problems: ['audit_elsewhere', 'limit_exceeded'],
    },
  ],
};
