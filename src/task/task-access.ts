import { sameWorkload, type Workload } from '../identity/caller.ts';
import type { Task } from './task.ts';

/** What a workload can do to a task. Operators have routes of their own and never act on a task here. */
export type TaskOperation = 'get' | 'heartbeat' | 'complete' | 'claim' | 'credentials' | 'reissue' | 'extend' | 'tool_calls' | 'delegate';

/** What a caller is to a task; the agent's place is its own even where it declared the task itself. */
type Relation = 'agent' | 'declarer';

const MAY: Readonly<Record<TaskOperation, readonly Relation[]>> = {
  get: ['agent', 'declarer'],
  heartbeat: ['agent', 'declarer'],
  complete: ['agent', 'declarer'],
  claim: ['agent'],
  credentials: ['agent'],
  reissue: ['agent'],
  extend: ['agent'],
  tool_calls: ['agent'],
  delegate: ['agent'],
};

/**
 * Whether a workload may do this to a task (design: who may call what). A task bound to an instance is only for that
 * instance of its agent, so that a sibling replica cannot take it over.
 */
export function mayOnTask(operation: TaskOperation, task: Task, caller: Workload): boolean {
  return MAY[operation].some((relation) => isRelated(relation, task, caller));
}

function isRelated(relation: Relation, task: Task, caller: Workload): boolean {
  switch (relation) {
    case 'agent':
      return sameWorkload(task.agent, caller) && (task.instance === null || task.instance === caller.instance);
    case 'declarer':
      return sameWorkload(task.declarer, caller) && !sameWorkload(task.declarer, task.agent);
    default:
      return relation satisfies never;
  }
}
