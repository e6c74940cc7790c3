import type { Redis } from 'ioredis';
import { isLeaseId, SHARDS, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Task } from '../task/task.ts';
import { formatCursor, parseCursor, rowOrder, type createIndexPages, type Row } from './index-pages.ts';
import { CREDENTIAL_KINDS, isFinal, type Lease } from './lease.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import { overdueFrom } from './lease-transitions.ts';
import { smallestIndex, tellsTotal, type Index, type SizedIndex } from './smallest-index.ts';
import type { CountedPage, LeaseFilter } from './ledger.ts';
import { disclosedKey, dueKey, leasesKey, leasesOfSubjectKey, leasesOfTraceKey, liveOfCredentialKey, liveOfKindKey, liveOfPurposeKey, liveOfSubjectKey, stuckKey, taskLeasesKey } from './redis-keys.ts';

interface LeaseListReads {
  readonly page: ReturnType<typeof createIndexPages>;
  readonly getTask: (id: TaskId) => Promise<Task | null>;
  readonly getLeases: (ids: readonly LeaseId[]) => Promise<readonly (Lease | null)[]>;
  readonly tasksBelow: (task: Task) => Promise<{ readonly ids: readonly TaskId[] }>;
}

type LeaseIndex = Index<keyof LeaseFilter>;

/** Records read together: some milliseconds. */
const BATCH = 100;
/** So many indexes are read beside each other; of an owner with more agents, all that is live is looked through. */
export const AGENTS_AT_ONCE = 20;
/** Words that say how to list, not what. */
const NO_FILTERS = ['cursor', 'limit', 'byDueTime', 'dueBeforeMs'] as const;

/** The same index in every shard. */
export const inShards = (keyOf: (shard: Shard) => string): string[] => SHARDS.map(keyOf);

/** Lists leases by the smallest index that has all that are wanted. */
export function createLeaseLists(redis: Redis, { page, getTask, getLeases, tasksBelow }: LeaseListReads): (filter: LeaseFilter) => Promise<CountedPage<Lease>> {
  /** Leases of a task, a tree or a trace: all are read, and put in order here. */
  async function listOf(ids: readonly LeaseId[], filter: LeaseFilter): Promise<CountedPage<Lease>> {
    const byDue = isByDueTime(filter);
    const rowOf = (lease: Lease): Row => ({ score: byDue ? overdueFrom(lease) : lease.createdAtMs, member: lease.id });
    const order = rowOrder(!byDue);
    const found = (await inBatches(ids)).filter(matcher(filter));
    const sorted = found.sort((a, b) => order(rowOf(a), rowOf(b)));
    const after = parseCursor(filter.cursor);
    const rest = after === undefined ? sorted : sorted.filter((lease) => order(rowOf(lease), after) > 0);
    const items = rest.slice(0, filter.limit);
    const last = items.at(-1);
    return { items, nextCursor: rest.length > items.length && last !== undefined ? formatCursor(rowOf(last)) : null, total: sorted.length };
  }

  /** Reads them in parts, so that others have their turn in between. */
  async function inBatches(ids: readonly LeaseId[]): Promise<Lease[]> {
    const found: Lease[] = [];
    for (let from = 0; from < ids.length; from += BATCH) found.push(...(await getLeases(ids.slice(from, from + BATCH))).filter((lease) => lease !== null));
    return found;
  }

  const leasesOfTasks = async (tasks: readonly TaskId[]): Promise<LeaseId[]> => (await Promise.all(tasks.map((id) => redis.smembers(taskLeasesKey(id))))).flat().filter(isLeaseId);

  const leasesOfTrace = async (traceId: string): Promise<LeaseId[]> =>
    (await Promise.all(SHARDS.map((shard) => redis.zrange(leasesOfTraceKey(shard, traceId), '0', '-1')))).flat().filter(isLeaseId);

  const tasksOf = async (tree: TaskId): Promise<readonly TaskId[]> => {
    const task = await getTask(tree);
    return task === null ? [] : [tree, ...(await tasksBelow(task)).ids];
  };

  async function totalIn(index: SizedIndex<keyof LeaseFilter>, filter: LeaseFilter): Promise<number | null> {
    if (!tellsTotal(index, filter, NO_FILTERS)) return null;
    if (filter.dueBeforeMs === undefined) return index.size;
    const counts = await Promise.all(index.keys.map((key) => redis.zcount(key, '-inf', filter.dueBeforeMs ?? '+inf')));
    return counts.reduce((sum, one) => sum + one, 0);
  }

  return async (filter) => {
    const { task, tree, traceId } = filter;
    if (tree !== undefined) return listOf(await leasesOfTasks((await tasksOf(tree)).filter((id) => task === undefined || id === task)), filter);
    if (task !== undefined) return listOf(await leasesOfTasks([task]), filter);
    if (traceId !== undefined) return listOf(await leasesOfTrace(traceId), filter);
    const index = await smallestIndex(redis, indexesFor(filter));
    const [found, total] = await Promise.all([
      page<LeaseId, Lease>({
        keys: index.keys,
        newestFirst: !isByDueTime(filter),
        upToMs: filter.dueBeforeMs,
        cursor: filter.cursor,
        limit: filter.limit,
        isId: isLeaseId,
        getAll: getLeases,
        matches: matcher(filter),
      }),
      totalIn(index, filter),
    ]);
    return { ...found, total };
  };
}

/** Live leases are listed by when they are due; so are the disclosed, which are overdue for good. */
const isByDueTime = ({ state, live, dueBeforeMs, byDueTime }: LeaseFilter): boolean =>
  byDueTime === true || live === true || dueBeforeMs !== undefined || (state !== undefined && (state === 'disclosed' || !isFinal(state)));

/** Every index in which all that is wanted stands, in the order that is wanted. */
function indexesFor(filter: LeaseFilter): LeaseIndex[] {
  const { state, live, agent, agents, provider, purpose, credential } = filter;
  const few = agents !== undefined && agents.length <= AGENTS_AT_ONCE ? [...new Set(agents.map(({ subject }) => subject))] : undefined;
  if (!isByDueTime(filter)) {
    const all: LeaseIndex[] = [{ keys: inShards(leasesKey), says: [] }];
    if (agent !== undefined) all.push({ keys: inShards((shard) => leasesOfSubjectKey(shard, agent)), says: ['agent'] });
    if (few !== undefined) all.push({ keys: few.flatMap((subject) => inShards((shard) => leasesOfSubjectKey(shard, subject))), says: [] });
    return all;
  }
  if (state === 'disclosed') return [{ keys: inShards(disclosedKey), says: ['state'] }];
  const found: LeaseIndex[] = [{ keys: inShards(dueKey), says: ['live'] }];
  if (state === 'stuck') found.push({ keys: inShards(stuckKey), says: ['live', 'state'] });
  if (provider !== undefined) found.push({ keys: CREDENTIAL_KINDS.flatMap((kind) => inShards((shard) => liveOfKindKey(shard, provider, kind))), says: ['live', 'provider'] });
  if (credential !== undefined) found.push({ keys: inShards((shard) => liveOfCredentialKey(shard, credential)), says: ['live', 'credential'] });
  if (purpose !== undefined) found.push({ keys: inShards((shard) => liveOfPurposeKey(shard, purpose)), says: ['live', 'purpose'] });
  // Beside the agent's own there are those of whom it delegated to.
  if (agent !== undefined) found.push({ keys: inShards((shard) => liveOfSubjectKey(shard, agent)), says: ['live'] });
  if (few !== undefined) found.push({ keys: few.flatMap((subject) => inShards((shard) => liveOfSubjectKey(shard, subject))), says: ['live'] });
  if (live === true || state !== undefined) return found;
  // The disclosed are few, and in no other index.
  return found.map(({ keys, says }) => ({ keys: [...keys, ...inShards(disclosedKey)], says: says.length > 1 ? [] : says }));
}

const fits = (wanted: string | undefined, found: string): boolean => wanted === undefined || wanted === found;

function matcher(filter: LeaseFilter): (lease: Lease) => boolean {
  const { state, live, agent, agents, provider, purpose, credential, traceId, dueBeforeMs } = filter;
  const byDueTime = isByDueTime(filter);
  const wanted = agents === undefined ? undefined : new Set(agents.map(nameOf));
  return (lease) =>
    fits(state, lease.state) &&
    (!isFinal(lease.state) || (live !== true && (!byDueTime || lease.state === 'disclosed'))) &&
    fits(agent, lease.agent.subject) &&
    (wanted === undefined || wanted.has(nameOf(lease.agent))) &&
    fits(provider, lease.provider) &&
    fits(purpose, lease.purpose) &&
    fits(credential, lease.credential) &&
    (traceId === undefined || traceIdOf(lease.traceparent) === traceId) &&
    (dueBeforeMs === undefined || overdueFrom(lease) <= dueBeforeMs);
}

/** A workload as one word. */
export const nameOf = ({ issuer, subject }: WorkloadId): string => `${issuer}\n${subject}`;
