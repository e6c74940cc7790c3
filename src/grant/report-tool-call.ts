import { shardOf } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { invalidRequest, type ToolCallReport } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';

/**
 * Puts on the record what the agent says it did. It is the agent's own word, and marked so. Throws `task_not_active`
 * before the task has started, `invalid_request` for a lease that is not the task's.
 */
export async function reportToolCall(task: Task, report: ToolCallReport, by: WorkloadId, ledger: Pick<Ledger, 'recordEvent' | 'leasesOfTask'>): Promise<void> {
  if (task.startedAtMs === null) throw new Problem('task_not_active', `the task is ${task.state}`);
  const leases = await ledger.leasesOfTask(task.id);
  const { id, tool, outcome, lease_id: leaseId, note, started_at: startedAt, ended_at: endedAt } = report;
  const lease = leases.find((one) => one.id === leaseId);
  if (leaseId !== undefined && lease === undefined) throw invalidRequest([{ pointer: '/lease_id', detail: 'is not a lease of this task' }]);
  await ledger.recordEvent({
    shard: shardOf(task.id),
    type: 'tool_call.reported',
    task: task.id,
    leases: lease === undefined ? [] : [lease.id],
    agent: task.agent,
    by: { issuer: by.issuer, subject: by.subject },
    facts: {
      self_reported: true,
      purpose: task.purpose,
      tool_call: { id, tool },
      outcome,
      ...(lease === undefined ? {} : { credential: lease.credential }),
      ...(startedAt === undefined ? {} : { started_at: startedAt }),
      ...(endedAt === undefined ? {} : { ended_at: endedAt }),
      ...(note === undefined ? {} : { note }),
    },
  });
}
