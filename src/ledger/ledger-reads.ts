import type { Redis } from 'ioredis';
import { isLeaseId, isTaskId, SHARDS, shardOf, type LeaseId, type RevocationId, type Shard, type TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { Task } from '../task/task.ts';
import { emptyTree, tasksBelow as nodesBelow, type TaskTree } from '../task/task-tree.ts';
import { createIndexPages } from './index-pages.ts';
import type { Lease } from './lease.ts';
import { createLeaseLists } from './lease-lists.ts';
import { createTaskLists } from './task-lists.ts';
import type { ApprovalFilter, DueEntry, DueItems, LiveIds, LiveIndex, Page, TaskFilter } from './ledger.ts';
import { lockSetId, type LockSet } from './lock.ts';
import type { RevocationRecord } from './revocation-records.ts';
import { createRecordReader } from './read-record.ts';
import { TamperedRecord, type RecordSeal } from './record-seal.ts';
import {
  agentTasksKey,
  approvalsKey,
  keptOutKey,
  leaseKey,
  liveOfCredentialKey,
  liveOfSubjectKey,
  liveTasksOfSubjectKey,
  locksKey,
  revocationKey,
  taskKey,
  taskLeasesKey,
  taskLiveKey,
  treeKey,
  waitingApprovalsKey,
  wakeKey,
} from './redis-keys.ts';

/** A record that must be there and is not, or does not open: told, never silently passed over. */
export type OnTampered = (error: TamperedRecord, shard: Shard) => void;

export type LedgerReads = ReturnType<typeof createLedgerReads>;

/** Every read of the ledger. A record that fails its seal throws when asked for by id, and is reported and left out of lists. */
export function createLedgerReads(redis: Redis, seal: RecordSeal, onTampered: OnTampered) {
  const read = createRecordReader(redis, seal);

  /** The locks as one shard has them. Throws `TamperedRecord` where they fail their seal: nothing is granted there then. */
  const lockSet = async (shard: Shard): Promise<LockSet> =>
    ((await read('locks', lockSetId(shard), locksKey(shard))) as LockSet | null) ?? { generation: 0, locks: [] };

  /** What is kept of the tree of a root task; null before anything is. */
  const getTree = async (root: TaskId): Promise<TaskTree | null> => (await read('tree', root, treeKey(root))) as TaskTree | null;

  const getTask = async (id: TaskId): Promise<Task | null> => (await read('task', id, taskKey(id))) as Task | null;
  const getLease = async (id: LeaseId): Promise<Lease | null> => (await read('lease', id, leaseKey(id))) as Lease | null;

  /** Reads many; what fails its seal or is missing comes back as null, and a failed seal is reported. */
  async function readAll<Id extends TaskId | LeaseId, T>(ids: readonly Id[], get: (id: Id) => Promise<T | null>): Promise<(T | null)[]> {
    return Promise.all(
      ids.map(async (id) => {
        try {
          return await get(id);
        } catch (error) {
          if (!(error instanceof TamperedRecord)) throw error;
          onTampered(error, id.charAt(4) as Shard);
          return null;
        }
      }),
    );
  }

  const getLeases = (ids: readonly LeaseId[]): Promise<(Lease | null)[]> => readAll(ids, getLease);

  const getTasks = (ids: readonly TaskId[]): Promise<(Task | null)[]> => readAll(ids, getTask);

  async function leasesOfTask(id: TaskId): Promise<Lease[]> {
    const ids = await redis.smembers(taskLeasesKey(id));
    const leases = await Promise.all(ids.filter(isLeaseId).map(getLease));
    return leases.filter((lease) => lease !== null).sort((a, b) => a.createdAtMs - b.createdAtMs || a.id.localeCompare(b.id));
  }

  /**
   * What was delegated below a task, and the tree that says so. Where that fails its seal, which is told, the index of
   * what is live under the agent's name has to do, and `tree` is null: nothing may hinder an end.
   */
  async function tasksBelow({ id, root, agent }: Pick<Task, 'id' | 'root' | 'agent'>): Promise<{ readonly tree: TaskTree | null; readonly ids: readonly TaskId[] }> {
    try {
      const tree = (await getTree(root)) ?? emptyTree(root);
      return { tree, ids: nodesBelow(tree, id) };
    } catch (error) {
      if (!(error instanceof TamperedRecord)) throw error;
      const shard = shardOf(root);
      onTampered(error, shard);
      const named = await getTasks((await redis.smembers(liveTasksOfSubjectKey(shard, agent.subject))).filter(isTaskId));
      return { tree: null, ids: named.flatMap((task) => (task?.chain.some((link) => link.task === id) === true ? [task.id] : [])) };
    }
  }

  /** Unreadable or deleted: out of the sweep's way, so that they cannot hold up the rest. The reconciler finds what they named. */
  async function setAside(shard: Shard, strays: readonly string[]): Promise<void> {
    if (strays.length === 0) return;
    await redis.zrem(wakeKey(shard), ...strays);
    for (const id of strays) onTampered(new TamperedRecord(isTaskId(id) ? 'task' : 'lease', id), shard);
  }

  const page = createIndexPages(redis);

  return {
    lockSet,
    getTree,
    getTask,
    getTasks,
    tasksBelow,
    getLease,
    getLeases,
    leasesOfTask,

    listTasks: (filter: TaskFilter): Promise<Page<Task>> =>
      page<TaskId, Task>({
        keys: SHARDS.map((shard) => agentTasksKey(shard, filter.agent)),
        newestFirst: true,
        cursor: filter.cursor,
        limit: filter.limit,
        isId: isTaskId,
        getAll: getTasks,
        matches: (task) =>
          (filter.state === undefined || task.state === filter.state) &&
          (filter.purpose === undefined || task.purpose === filter.purpose),
      }),

    ...createTaskLists(redis, { page, getTask, getTasks, tasksBelow }),

    listApprovals: ({ waiting, matches, cursor, limit }: ApprovalFilter): Promise<Page<Task>> =>
      page<TaskId, Task>({
        keys: SHARDS.map(waiting ? waitingApprovalsKey : approvalsKey),
        newestFirst: !waiting,
        cursor,
        limit,
        isId: isTaskId,
        getAll: getTasks,
        matches,
      }),

    listLeases: createLeaseLists(redis, { page, getTask, getLeases, tasksBelow }),

    /** Tasks that have not ended and leases that are not final, of one shard: those of a task and all below it, of an agent and what it delegated, of a credential, or all, which are on the schedule. */
    async liveIn(shard: Shard, index: LiveIndex = {}): Promise<LiveIds> {
      if (index.task !== undefined) {
        const task = await getTask(index.task);
        const tasks = [index.task, ...(task === null ? [] : (await tasksBelow(task)).ids)];
        const leases = await Promise.all(tasks.map((id) => redis.smembers(taskLiveKey(id))));
        return { leases: leases.flat().filter(isLeaseId).sort(), tasks: tasks.sort() };
      }
      if (index.agent !== undefined) {
        const [leases, tasks] = await Promise.all([redis.zrange(liveOfSubjectKey(shard, index.agent), '0', '-1'), redis.smembers(liveTasksOfSubjectKey(shard, index.agent))]);
        return { leases: leases.filter(isLeaseId).sort(), tasks: tasks.filter(isTaskId).sort() };
      }
      if (index.credential !== undefined) return { leases: (await redis.zrange(liveOfCredentialKey(shard, index.credential), '0', '-1')).filter(isLeaseId).sort(), tasks: [] };
      const ids = await redis.zrange(wakeKey(shard), '0', '-1');
      return { leases: ids.filter(isLeaseId), tasks: ids.filter(isTaskId) };
    },

    async due(shard: Shard, nowMs: EpochMs, limit: number): Promise<readonly DueEntry[]> {
      const found = await redis.zrangebyscore(wakeKey(shard), '-inf', nowMs, 'WITHSCORES', 'LIMIT', 0, limit);
      // Somebody else may have written an infinite score: that is due as nothing else.
      const entries = Array.from({ length: found.length / 2 }, (_, index) => ({ id: found[2 * index] ?? '', atMs: (Number(found[2 * index + 1]) || 0) as EpochMs }));
      await setAside(shard, entries.map(({ id }) => id).filter((id) => !isDueId(id)));
      return entries.filter((entry): entry is DueEntry => isDueId(entry.id));
    },

    async dueItems(shard: Shard, ids: readonly (LeaseId | TaskId)[]): Promise<DueItems> {
      const leaseIds = ids.filter(isLeaseId);
      const taskIds = ids.filter(isTaskId);
      const [leases, tasks] = await Promise.all([getLeases(leaseIds), getTasks(taskIds)]);
      await setAside(shard, [...leaseIds.filter((_, index) => leases[index] === null), ...taskIds.filter((_, index) => tasks[index] === null)]);
      return { leases: leases.filter((lease) => lease !== null), tasks: tasks.filter((task) => task !== null) };
    },

    async keptOut(nowMs: EpochMs): Promise<readonly Lease[]> {
      const ids = (await Promise.all(SHARDS.map((shard) => redis.zrangebyscore(keptOutKey(shard), nowMs, '+inf')))).flat().filter(isLeaseId);
      return (await getLeases(ids)).filter((lease) => lease !== null);
    },

    async getRevocation(id: RevocationId): Promise<RevocationRecord | null> {
      return (await read('revocation', id, revocationKey(id))) as RevocationRecord | null;
    },
  };
}

const isDueId = (id: string): id is LeaseId | TaskId => isLeaseId(id) || isTaskId(id);
