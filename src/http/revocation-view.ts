import { z } from 'zod';
import { toRfc3339 } from '../core/time.ts';
import { isFinal, LEASE_STATES, type Lease } from '../ledger/lease.ts';
import type { WouldEnd } from '../revocation/request-revocation.ts';
import type { RevocationProgress } from '../revocation/revocation-progress.ts';
import { instant, instantOrNull, leaseIdSchema, revocabilitySchema, revocationIdSchema, taskIdSchema, type Answer } from './answer-schemas.ts';

/** What became of one lease of a revocation. */
export const revocationResultSchema = z.strictObject({
  lease_id: leaseIdSchema,
  task_id: taskIdSchema,
  credential: z.string(),
  agent: z.string(),
  state: z.enum(LEASE_STATES),
  revocability: revocabilitySchema,
  may_live_until: instantOrNull.describe('null once it has ended'),
});

const progressSchema = z.strictObject({
  total: z.int().describe('leases'),
  ended: z.int(),
  pending: z.int().describe('asked to end, and not final yet'),
  stuck: z.int().describe('of those pending, among the first thousand'),
  failed: z.int().describe('whose record is gone or fails its seal; the reconciler ends what it named'),
  not_asked: z.int().describe('whose end is still to be asked for; once cancelled, never will be'),
  tasks: z.int().describe('that end too'),
});

const revocationFields = {
  selector: z.record(z.string(), z.unknown()),
  reason: z.string(),
  progress: progressSchema,
  results: z.array(revocationResultSchema).describe('a page of them'),
  next_cursor: z.string().nullable().describe('for `cursor` of the next call; null at the end'),
};

/** What `revocationView` answers. */
export const revocationSchema = z
  .strictObject({
    id: revocationIdSchema,
    state: z.enum(['running', 'done', 'cancelled']),
    dry_run: z.literal(false),
    requested_by: z.string(),
    created_at: instant,
    ...revocationFields,
  })
  .meta({ id: 'Revocation', description: 'a revocation with its progress' });

/** What `dryRunView` answers. */
export const dryRunSchema = z
  .strictObject({ id: z.null(), state: z.literal('dry_run'), dry_run: z.literal(true), ...revocationFields })
  .meta({ id: 'DryRun', description: 'what a revocation would do' });

export const revocationAnswer = z.strictObject({ revocation: revocationSchema }).meta({ id: 'RevocationAnswer' });
export const dryRunAnswer = z.strictObject({ revocation: dryRunSchema }).meta({ id: 'DryRunAnswer' });

const resultView = (lease: Lease): Answer<typeof revocationResultSchema> => {
  const until = lease.lapsesAtMs ?? lease.targetExpiresAtMs ?? lease.dueAtMs;
  return {
    lease_id: lease.id,
    task_id: lease.taskId,
    credential: lease.credential,
    agent: lease.agent.subject,
    state: lease.state,
    revocability: lease.revocability,
    may_live_until: isFinal(lease.state) ? null : toRfc3339(until),
  };
};

/** A revocation as operators see it. */
export const revocationView = ({ record, state, notAsked, pending, ended, stuck, results, nextFrom }: RevocationProgress): Answer<typeof revocationSchema> => ({
  id: record.id,
  state,
  selector: record.selector,
  reason: record.reason,
  dry_run: false,
  requested_by: record.by.subject,
  created_at: toRfc3339(record.createdAtMs),
  progress: { total: record.total, ended, pending, stuck, failed: record.failed, not_asked: notAsked, tasks: record.tasks },
  results: results.map(resultView),
  next_cursor: nextFrom === null ? null : String(nextFrom),
});

/** What a revocation would do, and the first of what it would do it to. */
export const dryRunView = (selector: Readonly<Record<string, unknown>>, reason: string, { leases, tasks, first }: WouldEnd): Answer<typeof dryRunSchema> => ({
  id: null,
  state: 'dry_run',
  selector,
  reason,
  dry_run: true,
  progress: { total: leases, ended: 0, pending: leases, stuck: 0, failed: 0, not_asked: leases, tasks },
  results: first.map(resultView),
  next_cursor: null,
});
