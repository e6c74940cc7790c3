import { z } from 'zod';
import { instant, revocabilitySchema } from './answer-schemas.ts';

const count = z.int().min(0);

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
    providers: z.array(
      z.strictObject({ name: z.string(), type: z.string(), up: z.boolean(), revocability: z.array(revocabilitySchema).describe('of its credentials, each once') }),
    ),
    queues: z.array(z.strictObject({ provider: z.string(), waiting: count, active: count, delayed: count, failed: count })).describe('batches of revocations'),
    tasks: z.strictObject({ pending_approval: count, pending_claim: count, minting: count, active: count, ending: count }),
    locks: count.describe('in force, those of disabled agents among them'),
  })
  .meta({ id: 'Overview', description: 'how the whole stands: the same from every replica' });
