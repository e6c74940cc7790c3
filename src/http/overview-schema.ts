import { z } from 'zod';
import { instant, revocabilitySchema } from './answer-schemas.ts';

const count = z.int().min(0);

const seconds = z.number().min(0).nullable();
const lateness = z.strictObject({ count, p50_seconds: seconds, p99_seconds: seconds, max_seconds: seconds });

/** What `overviewView` answers. */
export const overviewSchema = z
  .strictObject({
    now: instant.describe("the broker's clock when it counted, at most a second ago"),
    version: z.string(),
    deployment_id: z.string(),
    hold: z.boolean().describe('whether nothing is granted because the ledger lost records'),
    leases: z.strictObject({
      active: count.describe('not final: live, or on their way to life or death'),
      overdue: count.describe('should be dead, and are not'),
      oldest_overdue_seconds: z.number().min(0),
      stuck: count.describe('overdue past their budget, or refused for good'),
      lapsing: count.describe("were to end, and only their target's clock ends them; overdue only once that should have"),
      disclosed: count.describe('static secrets that were opened: only a rotation ends them'),
      expiring: z.array(z.strictObject({ within_seconds: z.int(), count })).describe('what falls due soon; the overdue are not among them'),
    }),
    timeline: z.array(z.strictObject({ provider: z.string(), per_minute: z.array(count).length(60).describe('what falls due in each of the next minutes; the first is this one') })),
    lateness: z
      .strictObject({
        objective: z.strictObject({ seconds: z.number(), ratio: z.number(), days: z.number() }).describe('this share is dead within so many seconds, over so many days'),
        hour: lateness,
        day: lateness,
        window: z.strictObject({
          count,
          late: count.describe('those that are so late by now and not dead among them'),
          budget_remaining: z.number().nullable().describe('1: untouched; negative: overspent; null where nothing was to be revoked'),
        }),
      })
      .describe('from when a credential had to be dead to its confirmed revocation; null where there was none'),
    providers: z.array(
      z.strictObject({ name: z.string(), type: z.string(), up: z.boolean(), revocability: z.array(revocabilitySchema).describe('of its credentials, each once') }),
    ),
    queues: z.array(z.strictObject({ provider: z.string(), waiting: count, active: count, delayed: count, failed: count })).describe('batches of revocations'),
    tasks: z.strictObject({ pending_approval: count, pending_claim: count, minting: count, active: count, ending: count }),
    denials: z.strictObject({ hour: count, day: count }),
    locks: count.describe('in force, those of disabled agents among them'),
  })
  .meta({ id: 'Overview', description: 'how the whole stands: the same from every replica' });
