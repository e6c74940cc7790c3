import { z } from 'zod';
import { LEASE_STATES } from '../ledger/lease.ts';
import {
  credentialKindSchema,
  instant,
  instantOrNull,
  leaseIdSchema,
  pageOf,
  revocabilitySchema,
  taskIdSchema,
  toolCallSchema,
} from './answer-schemas.ts';

/** What `leaseView` answers. */
export const leaseSchema = z
  .strictObject({
    id: leaseIdSchema,
    task_id: taskIdSchema,
    agent: z.string(),
    agent_issuer: z.string(),
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
    revocation_reason: z.enum(['completed', 'expired', 'revoked', 'mint_failed', 'mint_interrupted', 'parent_ended', 'reissued', 'orphaned']).nullable(),
    revocation_due_at: instantOrNull.describe('since when it should be dead'),
    attempts: z.int().min(0).describe('to revoke it'),
    next_try_at: instantOrNull,
    last_failure: z.string().nullable(),
    ended_at: instantOrNull,
    exposure_seconds: z.number().min(0).nullable().describe('how long it stayed usable after it should have ended'),
    exposure_unbounded: z.boolean().describe('a static secret was opened: only a rotation ends it'),
    tool_call: toolCallSchema.nullable(),
  })
  .meta({ id: 'Lease', description: 'the lifetime record of one minted credential; never a secret' });

export const leaseAnswer = z.strictObject({ lease: leaseSchema }).meta({ id: 'LeaseAnswer' });
export const leasePage = pageOf(leaseSchema).meta({ id: 'LeasePage' });
