import { z } from 'zod';
import { LEASE_STATES } from '../ledger/lease.ts';
import {
  agentTagFields,
  credentialKindSchema,
  instant,
  instantOrNull,
  leaseIdSchema,
  pageOf,
  revocabilitySchema,
  taskIdSchema,
  toolCallSchema,
  traceIdSchema,
} from './answer-schemas.ts';

const revocationReasonSchema = z.enum(['completed', 'expired', 'revoked', 'mint_failed', 'mint_interrupted', 'parent_ended', 'reissued', 'orphaned']);

/** What `leaseView` answers. */
export const leaseSchema = z
  .strictObject({
    id: leaseIdSchema,
    task_id: taskIdSchema,
    agent: z.string(),
    agent_issuer: z.string(),
    ...agentTagFields,
    purpose: z.string(),
    credential: z.string(),
    kind: credentialKindSchema,
    provider: z.string(),
    state: z.enum(LEASE_STATES),
    revocability: revocabilitySchema,
    created_at: instant,
    activated_at: instantOrNull,
    expires_at: instant,
    target_expires_at: instantOrNull,
    revocation_reason: revocationReasonSchema.nullable(),
    revocation_due_at: instantOrNull.describe('since when it should be dead'),
    attempts: z.int().min(0).describe('to revoke it'),
    next_try_at: instantOrNull,
    last_failure: z.string().nullable(),
    ended_at: instantOrNull,
    applied_at: instantOrNull.describe('when the target took the order to end it'),
    verified_at: instantOrNull.describe('when the target was asked again and showed it ended'),
    effective_by: instantOrNull.describe('where the target needs time: when its end holds everywhere'),
    exposure_seconds: z.number().min(0).nullable().describe('how long it stayed usable after it should have ended, at most'),
    exposure_unbounded: z.boolean().describe('a static secret was opened: only a rotation ends it'),
    acknowledged: z.strictObject({ by: z.string(), at: instant, reason: z.string() }).nullable().describe('who has seen that it is stuck'),
    tool_call: toolCallSchema.nullable(),
    trace_id: traceIdSchema.nullable().describe('the W3C trace that its task was declared in'),
  })
  .meta({ id: 'Lease', description: 'the lifetime record of one minted credential; never a secret' });

/** What `receiptOf` says. */
export const receiptSchema = z
  .strictObject({
    version: z.literal(1),
    deployment_id: z.string(),
    lease_id: leaseIdSchema,
    task_id: taskIdSchema,
    agent: z.string(),
    agent_issuer: z.string(),
    purpose: z.string(),
    credential: z.string(),
    provider: z.string(),
    kind: credentialKindSchema,
    revocability: revocabilitySchema,
    outcome: z.enum(['revoked', 'lapsed', 'abandoned', 'disclosed']),
    reason: revocationReasonSchema.nullable(),
    statement: z.string().describe('how the end is known, in words'),
    minted_at: instantOrNull,
    due_at: instant,
    target_expires_at: instantOrNull,
    requested_at: instantOrNull.describe('since when it should have been dead'),
    applied_at: instantOrNull,
    verified_at: instantOrNull,
    effective_by: instantOrNull,
    ended_at: instant,
    exposure_seconds: z.number().min(0).nullable().describe('how long it was usable after it should have ended, at most; null: unbounded'),
    attempts: z.int().min(0),
    issued_at: instant,
  })
  .meta({ id: 'Receipt', description: 'what became of one credential, and how that is known' });

export const receiptAnswer = z
  .strictObject({ receipt: receiptSchema, jws: z.string().nullable().describe('the same, signed: a compact JWS with `typ` of `mayfly-receipt`; null where no key is configured') })
  .meta({ id: 'ReceiptAnswer' });

export const leaseAnswer = z.strictObject({ lease: leaseSchema }).meta({ id: 'LeaseAnswer' });
export const leasePage = pageOf(leaseSchema).extend({ total: z.int().min(0).nullable().describe('how many match in all; null where only reading them would tell') }).meta({ id: 'LeasePage' });
