import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { newLockId } from '../core/ids.ts';
import { addMs, fromRfc3339, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Lock } from '../ledger/lock.ts';
import type { RevocationRecord } from '../ledger/revocation-records.ts';
import { freeText, instant, invalidRequest, parse } from '../task/declaration.ts';
import { requestRevocation, type RequestRevocationDeps } from './request-revocation.ts';
import { lockSelector } from './selector.ts';

/** A lock is for an incident. What must stay forbidden belongs into policy, where it is reviewed. */
export const MAX_LOCK_MS = 30 * 86_400_000;

/** What `POST /v1/locks` takes. */
export const lockRequest = z.strictObject({
  selector: lockSelector,
  reason: freeText.min(1).describe('for operators; a caller who is refused never sees it'),
  until: instant.describe('when it ends by itself; within 30 days'),
  revoke: z.boolean().default(false).describe('also end what is live'),
});

export type LockRequest = z.infer<typeof lockRequest>;
export const parseLockRequest = (body: unknown): LockRequest => parse(lockRequest, body);

export interface PlaceLockDeps {
  readonly ledger: Pick<Ledger, 'saveLock'>;
  readonly clock: Clock;
  readonly revocation: Pick<RequestRevocationDeps, 'jobs' | 'clock'>;
}

/**
 * Writes a lock to every shard, then ends what is live where that is asked for: in this order, so that nothing new is
 * granted behind the revocation. Throws `invalid_request`, `limit_exceeded` or `ledger_unavailable`.
 */
export async function placeLock(request: LockRequest, by: WorkloadId, deps: PlaceLockDeps): Promise<{ readonly lock: Lock; readonly revocation: RevocationRecord | null }> {
  const createdAtMs = deps.clock.now();
  const { selector, reason } = request;
  const lock: Lock = { id: newLockId(), selector, reason, by, createdAtMs, untilMs: untilWithinBounds(request.until, createdAtMs) };
  await deps.ledger.saveLock(lock);
  return { lock, revocation: request.revoke ? await requestRevocation({ selector, reason }, by, deps.revocation) : null };
}

function untilWithinBounds(text: string, nowMs: EpochMs): EpochMs {
  const untilMs = fromRfc3339(text);
  if (untilMs === undefined || untilMs <= nowMs) throw invalidRequest([{ pointer: '/until', detail: 'must be an instant in the future' }]);
  if (untilMs > addMs(nowMs, MAX_LOCK_MS)) throw invalidRequest([{ pointer: '/until', detail: 'must be within 30 days' }]);
  return untilMs;
}
