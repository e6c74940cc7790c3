import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { newRevocationId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger, RevocationRecord } from '../ledger/ledger.ts';
import { freeText, parse } from '../task/declaration.ts';
import type { Selected, SelectionLedger } from './select-live.ts';
import { revocationSelector } from './selector.ts';

/** What `POST /v1/revocations` takes. */
export const revocationRequest = z.strictObject({
  selector: revocationSelector,
  reason: freeText.min(1),
  dry_run: z.boolean().default(false),
});

export type RevocationRequest = z.infer<typeof revocationRequest>;

export const parseRevocationRequest = (body: unknown): RevocationRequest => parse(revocationRequest, body);

export interface RequestRevocationDeps {
  readonly ledger: SelectionLedger & Pick<Ledger, 'endTask' | 'endLease' | 'saveRevocation'>;
  readonly clock: Clock;
  readonly nudge: () => void;
}

/** Ends what the selector matches. The record is written first, so that what was asked is known even if this breaks off. */
export async function requestRevocation(request: RevocationRequest, selected: Selected, by: WorkloadId, deps: RequestRevocationDeps): Promise<RevocationRecord> {
  const record: RevocationRecord = {
    id: newRevocationId(),
    selector: request.selector,
    reason: request.reason,
    by,
    createdAtMs: deps.clock.now(),
    leases: selected.leases.map((lease) => lease.id),
    tasks: selected.tasks.map((task) => task.id),
  };
  await deps.ledger.saveRevocation(record);
  await Promise.all(selected.tasks.map(({ id }) => deps.ledger.endTask(id, 'revoked', by, { revocation: record.id })));
  await Promise.all(selected.leases.map((lease) => deps.ledger.endLease(lease.id, 'revoked', by)));
  deps.nudge();
  return record;
}
