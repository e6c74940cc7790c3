import { z } from 'zod';
import { LEASE_STATES } from '../ledger/lease.ts';
import { TASK_STATES } from '../task/task.ts';
import {
  agentTagFields,
  credentialKindSchema,
  decisionIdSchema,
  instant,
  instantOrNull,
  leaseIdSchema,
  pageOf,
  revocabilitySchema,
  taskIdSchema,
  traceIdSchema,
} from './answer-schemas.ts';

const decision = z
  .strictObject({
    id: decisionIdSchema,
    result: z.enum(['permit', 'deny', 'approval_required']),
    approvals_needed: z.int().min(0).describe('how many humans have to approve; 0 unless the result is `approval_required`'),
    policies: z.array(z.string()).describe('ids of the policies that decided'),
    policy_version: z.string(),
    input_digest: z.string(),
  })
  .meta({ id: 'Decision', description: 'what policy answered, and on what' });

/** Of the agent's registration; told to operators alone. */
const forOperators = {
  owner: agentTagFields.owner.optional(),
  review_overdue: agentTagFields.review_overdue.optional(),
  agent_disabled: agentTagFields.agent_disabled.optional(),
};

/** What `taskView` answers. */
export const taskSchema = z
  .strictObject({
    id: taskIdSchema,
    state: z.enum(TASK_STATES),
    end_reason: z
      .enum([
        'completed', 'expired', 'revoked', 'denied', 'approval_expired', 'unclaimed', 'heartbeat_lost', 'mint_failed', 'mint_interrupted', 'parent_ended',
      ])
      .nullable(),
    agent: z.string().describe('the subject of the agent'),
    agent_issuer: z.string().describe('the issuer that vouched for the agent'),
    ...forOperators,
    declarer: z.string().describe('the subject of who declared the task'),
    purpose: z.string(),
    justification: z.string().nullable(),
    ticket: z.string().nullable(),
    actions: z.array(z.string()),
    data_classes: z.array(z.string()),
    context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    evidence: z.enum(['self_declared', 'orchestrator_signed', 'user_consented', 'approved']).describe('whose word the declaration rests on'),
    approvals: z.int().min(0).describe('how many humans approved it so far'),
    approvals_needed: z.int().min(0).describe('how many humans have to approve it; 0 where none was asked'),
    vouched_by: z.string().nullable().describe('who vouched for it, where that is not the agent itself'),
    subject: z.string().nullable().describe('the person on whose behalf the agent acts'),
    chain: z.array(z.strictObject({ task: taskIdSchema, agent: z.string() })).describe('the tasks its authority came through, from the root to its parent; empty for a root'),
    parent: taskIdSchema.nullable(),
    root: taskIdSchema,
    created_at: instant,
    started_at: instantOrNull.describe('when its lifetime began'),
    waits_until: instantOrNull.describe('until when it can be approved or claimed'),
    ttl_seconds: z.int().min(1).describe('how long it may live from its start'),
    expires_at: instant,
    ended_at: instantOrNull,
    heartbeat_seconds: z.int().nullable(),
    trace_id: traceIdSchema.nullable().describe('the W3C trace that it was declared in'),
    decision,
  })
  .meta({ id: 'Task', description: 'the declared unit of work; owns its leases' });

const credentialFields = {
  name: z.string(),
  lease_id: leaseIdSchema,
  kind: credentialKindSchema,
  state: z.enum(LEASE_STATES),
  expires_at: instant.describe('when Mayfly ends it'),
  target_expires_at: instantOrNull.describe("when the target's own clock ends it"),
  revocability: revocabilitySchema,
};

/** What `credentialView` answers. */
export const credentialSchema = z.strictObject(credentialFields).meta({ id: 'TaskCredential', description: 'a lease inside its task; never a secret' });

/** What `completedView` answers. */
export const completedSchema = z
  .strictObject({ ...credentialFields, task_id: taskIdSchema.optional().describe('of the child task that held it; absent for its own') })
  .meta({ id: 'CompletedCredential', description: 'a lease that ended with the task or with one below it' });

/** What `handoverView` answers. */
export const handoverSchema = z
  .strictObject({
    ...credentialFields,
    secret: z
      .record(z.string(), z.string())
      .describe('by kind: `vault.token` and `jwt` have `token`; `vault.dynamic` the fields of its path, such as `username` and `password`'),
  })
  .meta({ id: 'GrantedCredential', description: 'a credential as it is handed over, once' });

/** A task with its leases. */
export const taskAnswer = z.strictObject({ task: taskSchema, credentials: z.array(credentialSchema) }).meta({ id: 'TaskAnswer' });
/** A task that was completed, with every lease that ended with it. */
export const completedAnswer = z.strictObject({ task: taskSchema, credentials: z.array(completedSchema) }).meta({ id: 'CompletedAnswer' });
/** A task with the secrets that this answer hands over. */
export const grantAnswer = z.strictObject({ task: taskSchema, credentials: z.array(handoverSchema) }).meta({ id: 'GrantAnswer' });
/** What a declaration answers: the claim ticket, where one was asked for, is in this answer and in no later one. */
export const declaredAnswer = z
  .strictObject({ task: taskSchema.extend({ claim_ticket: z.string().optional().describe('handed over once; the claim must show it') }), credentials: z.array(handoverSchema) })
  .meta({ id: 'DeclaredAnswer' });

/** What `extensionView` answers. */
export const extensionSchema = z
  .strictObject({ ...credentialFields, extension: z.enum(['renewed', 'reissue_needed']).describe('whether it lives on, or a new one has to be asked for') })
  .meta({ id: 'ExtendedCredential' });
export const extendedAnswer = z.strictObject({ task: taskSchema, credentials: z.array(extensionSchema) }).meta({ id: 'ExtendedAnswer' });

export const toolCallAnswer = z
  .strictObject({ task: taskSchema, credentials: z.array(credentialSchema), tool_call: z.looseObject({ id: z.string(), tool: z.string(), self_reported: z.literal(true) }) })
  .meta({ id: 'ToolCallAnswer' });
export const taskPage = pageOf(taskSchema)
  .extend({ total: z.int().min(0).nullable().optional().describe('for operators: how many match in all; null where only reading them would tell') })
  .meta({ id: 'TaskPage' });
export const taskTreeAnswer = z
  .strictObject({ tree: z.array(z.strictObject({ task: taskSchema, credentials: z.array(credentialSchema) })).describe('from the root on, each after its parent') })
  .meta({ id: 'TaskTree' });
