import { z } from 'zod';
import { toRfc3339 } from '../core/time.ts';
import type { Hold } from '../ledger/epoch.ts';
import { instant, type Answer } from './answer-schemas.ts';
import { reconciliationSchema } from './reconciliation-view.ts';

/** What `holdView` answers. */
export const holdSchema = z
  .strictObject({
    why: z.enum(['wiped', 'rolled_back', 'replaced']).describe('`wiped`: records are gone; `rolled_back`: they are older than they were; `replaced`: it is another ledger'),
    since: instant,
    until: instant.describe('when it ends by itself: nothing from before can live any more'),
  })
  .meta({ id: 'Hold', description: 'nothing is granted: the ledger lost records' });

export const holdAnswer = z.strictObject({ hold: holdSchema.nullable().describe('null: there is none') }).meta({ id: 'HoldAnswer' });
export const releasedHoldAnswer = z
  .strictObject({ hold: holdSchema, reconciliation: reconciliationSchema.describe('revokes what no record accounts for') })
  .meta({ id: 'ReleasedHold' });

/** A hold as operators see it. */
export const holdView = ({ why, sinceMs, untilMs }: Hold): Answer<typeof holdSchema> => ({ why, since: toRfc3339(sinceMs), until: toRfc3339(untilMs) });
