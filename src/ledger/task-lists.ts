import type { Redis } from 'ioredis';
import { isTaskId, SHARDS, type TaskId } from '../core/ids.ts';
import { TASK_STATES, type Task } from '../task/task.ts';
import type { createIndexPages } from './index-pages.ts';
import { AGENTS_AT_ONCE, inShards, nameOf } from './lease-lists.ts';
import type { CountedPage, TaskSearch } from './ledger.ts';
import { tasksInStateKey, tasksKey, tasksOfSubjectKey } from './redis-keys.ts';
import { smallestIndex, tellsTotal, type Index } from './smallest-index.ts';

interface TaskListReads {
  readonly page: ReturnType<typeof createIndexPages>;
  readonly getTask: (id: TaskId) => Promise<Task | null>;
  readonly getTasks: (ids: readonly TaskId[]) => Promise<readonly (Task | null)[]>;
  readonly tasksBelow: (task: Task) => Promise<{ readonly ids: readonly TaskId[] }>;
}

/** Words that say how to list, not what. */
const NO_FILTERS = ['cursor', 'limit'] as const;
const LIVE_STATES = TASK_STATES.filter((state) => state !== 'ended');

/** Lists tasks of anybody, newest first, by the smallest index that has all that are wanted. */
export function createTaskLists(redis: Redis, { page, getTask, getTasks, tasksBelow }: TaskListReads) {
  return {
    /** A task and all below it, each after its parent; empty where there is no such task. */
    async treeFrom(id: TaskId): Promise<readonly Task[]> {
      const task = await getTask(id);
      return task === null ? [] : [task, ...(await getTasks((await tasksBelow(task)).ids)).filter((one) => one !== null)];
    },

    async searchTasks(filter: TaskSearch): Promise<CountedPage<Task>> {
      const index = await smallestIndex(redis, indexesFor(filter));
      const found = await page<TaskId, Task>({
        keys: index.keys,
        newestFirst: true,
        cursor: filter.cursor,
        limit: filter.limit,
        isId: isTaskId,
        getAll: getTasks,
        matches: matcher(filter),
      });
      return { ...found, total: tellsTotal(index, filter, NO_FILTERS) ? index.size : null };
    },
  };
}

function indexesFor({ state, live, agent, agents }: TaskSearch): Index<keyof TaskSearch>[] {
  const found: Index<keyof TaskSearch>[] = [{ keys: inShards(tasksKey), says: [] }];
  if (state !== undefined && state !== 'ended') found.push({ keys: inShards((shard) => tasksInStateKey(shard, state)), says: ['state', 'live'] });
  if (live === true) found.push({ keys: SHARDS.flatMap((shard) => LIVE_STATES.map((one) => tasksInStateKey(shard, one))), says: ['live'] });
  if (agent !== undefined) found.push({ keys: inShards((shard) => tasksOfSubjectKey(shard, agent)), says: ['agent'] });
  if (agents !== undefined && agents.length <= AGENTS_AT_ONCE) found.push({ keys: [...new Set(agents.map(({ subject }) => subject))].flatMap((subject) => inShards((shard) => tasksOfSubjectKey(shard, subject))), says: [] });
  return found;
}

function matcher({ state, live, agent, agents, purpose }: TaskSearch): (task: Task) => boolean {
  const wanted = agents === undefined ? undefined : new Set(agents.map(nameOf));
  return (task) =>
    (state === undefined || task.state === state) &&
    (live !== true || task.state !== 'ended') &&
    (agent === undefined || task.agent.subject === agent) &&
    (wanted === undefined || wanted.has(nameOf(task.agent))) &&
    (purpose === undefined || task.purpose === purpose);
}
