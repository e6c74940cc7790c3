import { SHARDS, shardOf, type Shard } from '../core/ids.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger, LiveIds } from '../ledger/ledger.ts';
import type { Task } from '../task/task.ts';
import { taskAllows } from '../task/task-transitions.ts';
import type { Selector } from './selector.ts';

export type SelectionLedger = Pick<Ledger, 'getTasks' | 'getLeases' | 'leasesOfTask' | 'liveIn'>;

/** What a selector matches now: live leases, and the tasks that end with them. */
export interface Selected {
  readonly leases: readonly Lease[];
  readonly tasks: readonly Task[];
}

/**
 * What matches every given word of a selector. Words that tell tasks apart (task, agent, purpose, all) also end those
 * tasks, so that they cannot be given more; with a lease, a credential or a provider in it, only leases end and their
 * tasks go on.
 */
export async function selectLive(wanted: Selector, ledger: SelectionLedger): Promise<Selected> {
  const shards = await Promise.all(SHARDS.map(async (shard) => matching(wanted, await candidates(wanted, shard, ledger), ledger)));
  return { leases: shards.flatMap(({ leases }) => leases), tasks: shards.flatMap(({ tasks }) => tasks) };
}

/** Where a selector can match in one shard: by the smallest index that holds it all. */
async function candidates({ lease, task, agent, credential }: Selector, shard: Shard, ledger: SelectionLedger): Promise<LiveIds> {
  const only = lease ?? task;
  if (only !== undefined && shardOf(only) !== shard) return { leases: [], tasks: [] };
  if (lease !== undefined) return { leases: [lease], tasks: [] };
  if (task !== undefined) return { leases: (await ledger.leasesOfTask(task)).map(({ id }) => id), tasks: [task] };
  return ledger.liveIn(shard, { agent, credential });
}

async function matching(wanted: Selector, ids: LiveIds, ledger: SelectionLedger): Promise<Selected> {
  const leases = (await ledger.getLeases(ids.leases)).filter((lease) => lease !== null);
  const tasks = endsTasks(wanted) ? (await ledger.getTasks(ids.tasks)).filter((task) => task !== null) : [];
  return {
    leases: leases.filter((lease) => !isFinal(lease.state) && leaseMatches(wanted, lease)),
    tasks: tasks.filter((task) => taskAllows(task.state, 'end_requested') && taskMatches(wanted, task)),
  };
}

const endsTasks = ({ lease, credential, provider }: Selector): boolean => (lease ?? credential ?? provider) === undefined;

const fits = (wanted: string | undefined, found: string): boolean => wanted === undefined || wanted === found;

const leaseMatches = (wanted: Selector, lease: Lease): boolean =>
  fits(wanted.lease, lease.id) &&
  fits(wanted.task, lease.taskId) &&
  fits(wanted.agent, lease.agent.subject) &&
  fits(wanted.credential, lease.credential) &&
  fits(wanted.provider, lease.provider) &&
  fits(wanted.purpose, lease.purpose);

const taskMatches = (wanted: Selector, task: Task): boolean => fits(wanted.task, task.id) && fits(wanted.agent, task.agent.subject) && fits(wanted.purpose, task.purpose);
