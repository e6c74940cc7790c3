import { z } from 'zod';
import { isLeaseId, isTaskId } from '../core/ids.ts';
import { instant, parse } from '../task/declaration.ts';

/** The id of a task, as callers give it. */
export const taskId = z.string().refine(isTaskId, 'the id of a task').meta({ pattern: '^tsk_[0-9a-f]{32}$' });
const leaseId = z.string().refine(isLeaseId, 'the id of a lease').meta({ pattern: '^lse_[0-9a-f]{32}$' });
const configuredName = z.string().min(1).max(64);

/** Words that a revocation and a lock have in common. */
const common = {
  task: taskId.optional(),
  agent: z.string().min(1).max(2_048).optional().describe('a subject, whichever issuer vouches for it'),
  agent_issuer: z.string().min(1).max(2_048).optional().describe('with `agent`: only where this issuer vouches for it'),
  credential: configuredName.optional(),
  provider: configuredName.optional(),
  purpose: configuredName.optional(),
  all: z.literal(true).optional().describe('everything; stands alone'),
};

const meaningful = <Shape extends z.ZodRawShape>(words: Shape) =>
  z
    .strictObject(words)
    .refine((value) => Object.keys(value).length > 0, `a selector with at least one of ${Object.keys(words).join(', ')}`)
    .refine((value) => !('all' in value) || Object.keys(value).length === 1, '`all` alone, or words that narrow it')
    .refine((value) => !('agent_issuer' in value) || 'agent' in value, '`agent_issuer` only beside `agent`')
    .meta({ minProperties: 1, dependentRequired: { agent_issuer: ['agent'] } });

/** What a revocation can be about: every given word must match. */
export const revocationSelector = meaningful({
  lease: leaseId.optional(),
  leases: z.array(leaseId).min(1).max(1_000).optional().describe('any of these'),
  ...common,
  subject: z.string().min(1).max(2_048).optional().describe('the person on whose behalf an agent acts'),
  subtree: taskId.optional().describe('the task and all that it delegated'),
  policy: z.string().min(1).max(256).optional().describe("the id of a policy, or a version (`sha256:...`), in the decision that started the task: at its declaration or its claim"),
  before: instant.optional().describe('leases created before this instant'),
});

/** What a lock can be about: every given word must match. */
export const lockSelector = meaningful(common);

export type Selector = z.infer<typeof revocationSelector>;

/** A selector as it was kept in a sealed record. */
export const parseSelector = (kept: unknown): Selector => parse(revocationSelector, kept);
