import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { newReconciliationId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ReconciliationRecord } from '../ledger/reconciliation-records.ts';
import { parse } from '../task/declaration.ts';

/** What `POST /v1/reconciliations` takes. */
export const reconciliationRequest = z.strictObject({
  dry_run: z.boolean().default(false).describe('only look: nothing is revoked, and nothing goes on the record'),
});

export const parseReconciliationRequest = (body: unknown): z.infer<typeof reconciliationRequest> => parse(reconciliationRequest, body);

export interface RequestReconciliationDeps {
  readonly ledger: Pick<Ledger, 'requestReconciliation'>;
  readonly clock: Clock;
}

/** Writes down that targets and ledger shall be compared now; a worker does it. */
export async function requestReconciliation(dryRun: boolean, by: WorkloadId, { ledger, clock }: RequestReconciliationDeps): Promise<ReconciliationRecord> {
  const record: ReconciliationRecord = { id: newReconciliationId(), generation: 1, dryRun, by, requestedAtMs: clock.now(), finishedAtMs: null, providers: [] };
  await ledger.requestReconciliation(record);
  return record;
}
