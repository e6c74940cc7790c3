import { shardOf } from '../core/ids.ts';
import type { FieldFault, Problem } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { invalidRequest } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';

/** The problem for a wish to get, or to hand on, more than a task holds; who tried, and in what, is on the record. */
export async function refuseWider(task: Task, by: WorkloadId, faults: readonly FieldFault[], ledger: Pick<Ledger, 'recordEvent'>): Promise<Problem> {
  await ledger.recordEvent({
    shard: shardOf(task.id),
    type: 'delegation.refused',
    task: task.id,
    agent: task.agent,
    by: { issuer: by.issuer, subject: by.subject },
    facts: { purpose: task.purpose, chain: task.chain, faults },
  });
  return invalidRequest(faults);
}
