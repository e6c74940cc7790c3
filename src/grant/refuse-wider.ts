import { shardOf } from '../core/ids.ts';
import type { FieldFault, Problem } from '../core/problem.ts';
import type { Workload } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { invalidRequest } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';
import { callerFacts } from './caller-facts.ts';

/** The problem for a wish to get, or to hand on, more than a task holds; who tried, and in what, is on the record. */
export async function refuseWider(task: Task, caller: Workload, faults: readonly FieldFault[], ledger: Pick<Ledger, 'recordEvent'>): Promise<Problem> {
  await ledger.recordEvent({
    shard: shardOf(task.id),
    type: 'delegation.refused',
    task: task.id,
    agent: task.agent,
    by: { issuer: caller.issuer, subject: caller.subject },
    facts: { ...callerFacts(caller), purpose: task.purpose, chain: task.chain, faults },
  });
  return invalidRequest(faults);
}
