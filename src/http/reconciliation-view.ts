import { z } from 'zod';
import { rfc3339OrNull, toRfc3339 } from '../core/time.ts';
import type { Difference, ReconciliationRecord } from '../ledger/reconciliation-records.ts';
import { instant, instantOrNull, leaseIdSchema, reconciliationIdSchema, type Answer } from './answer-schemas.ts';

const differenceSchema = z.strictObject({
  kind: z.enum(['orphan', 'waiting', 'missing', 'undone']).describe('`orphan`: live and in no record; `waiting`: the same, left alone in a hold; `missing`: recorded as live and not at the target, which ends nothing; `undone`: recorded as revoked, and somebody took away at the target what kept it out'),
  lease_id: leaseIdSchema,
  why: z.enum(['no_record', 'record_tampered', 'recorded_as_ended']).nullable().describe('of an orphan'),
  due_at: instantOrNull.describe('when it should be dead; null where the target does not tell'),
  outcome: z.enum(['revoked', 'disclosed', 'failed']).nullable().describe('of what is orphaned or undone; null where nothing was done'),
});

const findingsSchema = z.strictObject({
  provider: z.string(),
  outcome: z.enum(['compared', 'cannot_list', 'failed']).describe('`cannot_list`: the target tells nobody what is live; `failed`: it broke off, and is tried again'),
  live: z.int().describe('found alive under our deployment id'),
  orphans: z.int(),
  revoked: z.int(),
  waiting: z.int(),
  missing: z.int(),
  undone: z.int(),
  differences: z.array(differenceSchema).describe('the first thousand'),
});

/** What `reconciliationView` answers. */
export const reconciliationSchema = z
  .strictObject({
    id: reconciliationIdSchema,
    state: z.enum(['requested', 'done']),
    dry_run: z.boolean(),
    requested_by: z.string(),
    requested_at: instant,
    finished_at: instantOrNull,
    providers: z.array(findingsSchema).describe('empty until it is done'),
  })
  .meta({ id: 'Reconciliation', description: 'what is live at the targets, compared with the records' });

export const reconciliationAnswer = z.strictObject({ reconciliation: reconciliationSchema }).meta({ id: 'ReconciliationAnswer' });

const differenceView = (one: Difference): Answer<typeof differenceSchema> => ({
  kind: one.kind,
  lease_id: one.leaseId,
  why: one.kind === 'orphan' ? one.why : null,
  due_at: rfc3339OrNull(one.dueAtMs),
  outcome: 'outcome' in one ? one.outcome : null,
});

/** A reconciliation as operators see it. */
export const reconciliationView = ({ id, dryRun, by, requestedAtMs, finishedAtMs, providers }: ReconciliationRecord): Answer<typeof reconciliationSchema> => ({
  id,
  state: finishedAtMs === null ? 'requested' : 'done',
  dry_run: dryRun,
  requested_by: by.subject,
  requested_at: toRfc3339(requestedAtMs),
  finished_at: rfc3339OrNull(finishedAtMs),
  providers: providers.map(({ differences, ...counts }) => ({ ...counts, differences: differences.map(differenceView) })),
});
