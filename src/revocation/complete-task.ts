import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Completion } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';

export interface CompleteTaskDeps {
  readonly ledger: Pick<Ledger, 'endTask' | 'finishTask' | 'getTask' | 'tasksBelow' | 'leasesOfTask'>;
  readonly clock: Clock;
  /** Tells the sweep of this process, if it has one, that there is something to do now. */
  readonly nudge: () => void;
}

export interface CompletedTask {
  readonly task: Task;
  /** Its own, then those of the tasks below it. */
  readonly leases: readonly Lease[];
  /** Whether every lease is final. */
  readonly settled: boolean;
}

/** How long a caller waits for its leases to die before it is told that they are still dying. */
const WAIT_MS = 2_000;
/** Revocation takes tens of milliseconds; looking more often than this would only load the ledger. */
const LOOK_EVERY_MS = 20;

/** Ends a task and all below it because its work is done, and waits up to two seconds for their leases to be final. Repeating it is harmless. */
export async function completeTask(task: Task, completion: Completion, by: WorkloadId, deps: CompleteTaskDeps): Promise<CompletedTask> {
  const note = completion.note === undefined ? {} : { note: completion.note };
  const ended = (await deps.ledger.endTask(task.id, 'completed', by, { outcome: completion.outcome, ...note })) ?? task;
  deps.nudge();
  const ids = [task.id, ...(await deps.ledger.tasksBelow(task)).ids];
  const untilMs = deps.clock.monotonicMs() + WAIT_MS;
  for (;;) {
    const leases = (await Promise.all(ids.map((id) => deps.ledger.leasesOfTask(id)))).flat();
    const settled = leases.every((lease) => isFinal(lease.state));
    // The last lease ends the task in a step of its own, a moment later: what is told here is to be whole.
    if (settled) await Promise.all(ids.map((id) => deps.ledger.finishTask(id)));
    if (settled || deps.clock.monotonicMs() >= untilMs) {
      return { task: (await deps.ledger.getTask(task.id)) ?? ended, leases, settled };
    }
    await sleep(LOOK_EVERY_MS);
  }
}
