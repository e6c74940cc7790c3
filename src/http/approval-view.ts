import { z } from 'zod';
import { RISKS, type Risk } from '../config/config-words.ts';
import { rfc3339OrNull, toRfc3339 } from '../core/time.ts';
import { riskOf } from '../grant/risk-of.ts';
import { declaredEnvelope, envelopeDigest } from '../task/approval.ts';
import type { Task } from '../task/task.ts';
import { instant, instantOrNull, pageOf, taskIdSchema, type Answer } from './answer-schemas.ts';
import { credentialSchema, taskSchema } from './task-schemas.ts';
import { taskView } from './task-view.ts';

export const APPROVAL_STATES = ['waiting', 'approved', 'denied', 'expired', 'withdrawn'] as const;
export type ApprovalState = (typeof APPROVAL_STATES)[number];

const who = z.strictObject({ issuer: z.string(), subject: z.string() });
const values = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const envelope = z
  .strictObject({
    task: taskIdSchema,
    parent: taskIdSchema.nullable(),
    agent: who.describe('who is to act'),
    declarer: who.describe('who asks'),
    subject: z.string().nullable().describe('on whose behalf'),
    vouched_by: z.string().nullable(),
    chain: z.array(who).describe('agents that its authority came through'),
    purpose: z.string(),
    justification: z.string().nullable().describe("why, in the declarer's words"),
    ticket: z.string().nullable(),
    actions: z.array(z.string()),
    data_classes: z.array(z.string()),
    context: values,
    ttl_seconds: z.int(),
    heartbeat_seconds: z.int().nullable(),
    credentials: z.array(z.strictObject({ name: z.string(), ttl_seconds: z.int(), params: values })),
  })
  .meta({ id: 'Envelope', description: 'all that the task declares; the digest is `sha256:` over its canonical JSON (RFC 8785)' });

export const approvalSchema = z
  .strictObject({
    id: taskIdSchema.describe('of the task'),
    state: z.enum(APPROVAL_STATES).describe('`withdrawn`: the task ended otherwise while it waited'),
    approvals: z.int().min(0).describe('so far'),
    approvals_needed: z.int().min(1),
    approved_by: z.array(z.strictObject({ ...who.shape, at: instant, note: z.string().nullable() })),
    requested_at: instant,
    risk: z.enum(RISKS).describe('the highest among its actions, as the operator rates them now'),
    waits_until: instantOrNull.describe('until when a human can decide; null once decided'),
    envelope,
    envelope_digest: z.string(),
    task: taskSchema,
  })
  .meta({ id: 'Approval', description: 'a task that humans were asked about' });

export const approvalAnswer = z.strictObject({ approval: approvalSchema }).meta({ id: 'ApprovalAnswer' });
export const decidedAnswer = z.strictObject({ task: taskSchema, credentials: z.array(credentialSchema), approval: approvalSchema }).meta({ id: 'DecidedAnswer' });
export const approvalPage = pageOf(approvalSchema).meta({ id: 'ApprovalPage' });

/** What became of the question, or null where no human was asked. */
export function approvalState(task: Task): ApprovalState | null {
  if (task.approval === null) return null;
  if (task.state === 'pending_approval') return 'waiting';
  if (task.approval.given.length >= task.approval.needed) return 'approved';
  if (task.endReason === 'denied') return 'denied';
  return task.endReason === 'approval_expired' ? 'expired' : 'withdrawn';
}

/** A task as those see it who decide about it: the exact envelope, the digest that their answer is bound to, and how risky its actions are `rated`. */
export function approvalView(task: Task, rated: Readonly<Record<string, Risk>>): Answer<typeof approvalSchema> {
  const state = approvalState(task) ?? 'withdrawn';
  return {
    id: task.id,
    state,
    approvals: task.approval?.given.length ?? 0,
    approvals_needed: task.approval?.needed ?? 1,
    approved_by: (task.approval?.given ?? []).map(({ by, atMs, note }) => ({ issuer: by.issuer, subject: by.subject, at: toRfc3339(atMs), note })),
    requested_at: toRfc3339(task.createdAtMs),
    risk: riskOf(task.actions, rated),
    waits_until: state === 'waiting' ? rfc3339OrNull(task.waitsUntilMs) : null,
    envelope: declaredEnvelope(task),
    envelope_digest: envelopeDigest(task),
    task: taskView(task),
  };
}
