import { z } from 'zod';
import { toRfc3339 } from '../core/time.ts';
import type { LockStatus } from '../ledger/locks.ts';
import { instant, lockIdSchema, type Answer } from './answer-schemas.ts';
import { revocationSchema } from './revocation-view.ts';

/** What `lockView` answers. */
export const lockSchema = z
  .strictObject({
    id: lockIdSchema,
    selector: z.record(z.string(), z.unknown()),
    reason: z.string(),
    created_by: z.string(),
    created_at: instant,
    until: instant.describe('when it ends by itself'),
    everywhere: z.boolean().describe('false: writing or lifting it broke off, and some shards do not have it; place it again, or lift it'),
  })
  .meta({ id: 'Lock', description: 'nothing new is granted for its selector' });

export const lockAnswer = z.strictObject({ lock: lockSchema }).meta({ id: 'LockAnswer' });
export const placedLockAnswer = z
  .strictObject({ lock: lockSchema, revocation: revocationSchema.nullable().describe('what is live is being ended; null unless asked for') })
  .meta({ id: 'PlacedLock' });
export const lockList = z.strictObject({ items: z.array(lockSchema), next_cursor: z.null() }).meta({ id: 'LockList' });

/** A lock as operators see it. */
export const lockView = ({ lock, everywhere }: LockStatus): Answer<typeof lockSchema> => ({
  id: lock.id,
  selector: { ...lock.selector },
  reason: lock.reason,
  created_by: lock.by.subject,
  created_at: toRfc3339(lock.createdAtMs),
  until: toRfc3339(lock.untilMs),
  everywhere,
});
