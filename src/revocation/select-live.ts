import { isLeaseId, isTaskId, SHARDS, shardOf, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import { fromRfc3339 } from '../core/time.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SelectionPlace } from '../ledger/revocation-records.ts';
import type { Task } from '../task/task.ts';
import { taskAllows } from '../task/task-transitions.ts';
import type { Selector } from './selector.ts';

export type SelectionLedger = Pick<Ledger, 'getTasks' | 'getLeases' | 'liveIn'>;

/** What a slice of looking found: live leases, and the tasks that end with them. */
export interface Selected {
  readonly leases: readonly Lease[];
  readonly tasks: readonly Task[];
  /** Where the next slice goes on. */
  readonly next: SelectionPlace;
}

/** Where looking begins. */
export const START: SelectionPlace = { shard: 0, after: '' };
/** Whether everything was looked at. */
export const isThrough = ({ shard }: SelectionPlace): boolean => shard >= SHARDS.length;

/** Records read in one slice: some tens of milliseconds. */
const SLICE = 1_000;

/**
 * The next slice of what matches every given word of a selector. Ids are looked at in an order that nothing changes, so
 * that slices by different processes miss nothing that was live when the first began. Words that tell tasks apart (task,
 * subtree, agent, subject, purpose, policy, all) also end those tasks, so that they cannot be given more; with a lease, a
 * credential, a provider or an instant in it, only leases end and their tasks go on.
 */
export async function selectSlice(wanted: Selector, from: SelectionPlace, ledger: SelectionLedger): Promise<Selected> {
  const ids: (LeaseId | TaskId)[] = [];
  let next = from;
  while (!isThrough(next) && ids.length < SLICE) {
    const { shard, after } = next;
    const found = (await candidates(wanted, SHARDS[shard] as Shard, ledger)).filter((id) => id > after);
    const taken = found.slice(0, SLICE - ids.length);
    ids.push(...taken);
    next = taken.length < found.length ? { shard, after: taken.at(-1) ?? after } : { shard: shard + 1, after: '' };
  }
  return { ...(await matching(wanted, ids, ledger)), next };
}

/** Where a selector can match in one shard, by the smallest index that holds it all; sorted. */
async function candidates({ lease, leases: several, task, subtree, agent, credential }: Selector, shard: Shard, ledger: SelectionLedger): Promise<(LeaseId | TaskId)[]> {
  if ([lease, task, subtree].some((id) => id !== undefined && shardOf(id) !== shard)) return [];
  if (lease !== undefined) return [lease];
  if (several !== undefined) return [...new Set(several)].filter((id) => shardOf(id) === shard).sort();
  const { leases, tasks } = await ledger.liveIn(shard, { task: task ?? subtree, agent, credential });
  return [...leases, ...tasks].sort();
}

async function matching(wanted: Selector, ids: readonly (LeaseId | TaskId)[], ledger: SelectionLedger): Promise<Omit<Selected, 'next'>> {
  const found = await ledger.getLeases(ids.filter(isLeaseId));
  const leases = found.filter((lease) => lease !== null).filter((lease) => !isFinal(lease.state) && leaseMatches(wanted, lease));
  const ofTasks = needsTask(wanted) ? leases.map(({ taskId }) => taskId) : [];
  const named = endsTasks(wanted) ? ids.filter(isTaskId) : [];
  const tasks = new Map<TaskId, Task>();
  const wantedTasks = [...new Set([...ofTasks, ...named])];
  for (const task of await ledger.getTasks(wantedTasks)) if (task !== null && taskMatches(wanted, task)) tasks.set(task.id, task);
  return {
    leases: needsTask(wanted) ? leases.filter(({ taskId }) => tasks.has(taskId)) : leases,
    tasks: named.flatMap((id) => tasks.get(id) ?? []).filter((task) => taskAllows(task.state, 'end_requested')),
  };
}

const endsTasks = ({ lease, leases, credential, provider, before }: Selector): boolean => (lease ?? leases ?? credential ?? provider ?? before) === undefined;
/** What a lease's own record does not say. */
const needsTask = ({ policy }: Selector): boolean => policy !== undefined;

const fits = (wanted: string | undefined, found: string): boolean => wanted === undefined || wanted === found;

const leaseMatches = (wanted: Selector, lease: Lease): boolean =>
  fits(wanted.lease, lease.id) &&
  (wanted.leases === undefined || wanted.leases.includes(lease.id)) &&
  isBelow(wanted.task, lease.taskId, lease) &&
  isBelow(wanted.subtree, lease.taskId, lease) &&
  isOf(wanted, lease) &&
  isFor(wanted, lease) &&
  fits(wanted.credential, lease.credential) &&
  fits(wanted.provider, lease.provider) &&
  fits(wanted.purpose, lease.purpose) &&
  (wanted.before === undefined || lease.createdAtMs < (fromRfc3339(wanted.before) ?? 0));

const taskMatches = (wanted: Selector, task: Task): boolean =>
  isBelow(wanted.task, task.id, task) &&
  isBelow(wanted.subtree, task.id, task) &&
  isOf(wanted, task) &&
  isFor(wanted, task) &&
  fits(wanted.purpose, task.purpose) &&
  (wanted.policy === undefined || wanted.policy === task.decision.policyVersion || task.decision.policies.includes(wanted.policy));

/** Whether a task is the wanted one, or hangs below it: it ends with that. */
const isBelow = (wanted: TaskId | undefined, id: TaskId, { chain }: Pick<Task, 'chain'>): boolean =>
  wanted === undefined || wanted === id || chain.some(({ task }) => task === wanted);

/** Whether it is an agent's own, or came from it by delegation. */
const isOf = ({ agent: wanted, agent_issuer: wantedIssuer }: Selector, { agent, chain }: Pick<Task, 'agent' | 'chain'>): boolean =>
  wanted === undefined || [agent, ...chain].some(({ issuer, subject }) => subject === wanted && fits(wantedIssuer, issuer));

const isFor = ({ subject: wanted }: Selector, { subject }: Pick<Task, 'subject'>): boolean => wanted === undefined || subject === wanted;
