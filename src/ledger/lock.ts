import type { AgentId, LockId, Shard, TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Task } from '../task/task.ts';

/** What a lock is about. Every word given must match; `all` stands alone. */
export interface LockSelector {
  /** A subject, whichever issuer vouches for it: operators lock by the name they see. */
  readonly agent?: string | undefined;
  /** With `agent`: only where this issuer vouches for it. */
  readonly agent_issuer?: string | undefined;
  readonly credential?: string | undefined;
  readonly provider?: string | undefined;
  readonly purpose?: string | undefined;
  /** The task and all below it. */
  readonly task?: TaskId | undefined;
  readonly all?: true | undefined;
}

/** An operator's order that nothing new be granted for a selector until a time. Never changed: only lifted, or it expires. */
export interface Lock {
  readonly id: LockId;
  readonly selector: LockSelector;
  /** Set where it stands for a disabled agent: it then also covers what that agent declares, and what came through it. Lifted by enabling the agent. */
  readonly disables?: AgentId | undefined;
  /** For operators; a caller who is refused never sees it. */
  readonly reason: string;
  readonly by: WorkloadId;
  readonly createdAtMs: EpochMs;
  readonly untilMs: EpochMs;
}

/** All locks as one shard has them, sealed as one record: whoever takes a single lock out of it breaks the seal. */
export interface LockSet {
  /** Goes up with every change; 0 before the first. */
  readonly generation: number;
  readonly locks: readonly Lock[];
}

/** The name under which a shard's locks are sealed: one shard's copy never passes as another's. */
export const lockSetId = (shard: Shard): string => `lck_${shard}`;

/** What a step would grant, or let live longer. */
export interface GrantScope {
  readonly task: Pick<Task, 'id' | 'root' | 'chain' | 'agent' | 'declarer' | 'purpose'>;
  /** `provider` is absent where nothing is minted yet. */
  readonly credentials: readonly { readonly credential: string; readonly provider?: string }[];
}

/** Whether a lock is in force at an instant. */
export const isInForce = (lock: Lock, nowMs: EpochMs): boolean => nowMs < lock.untilMs;

/** The lock that stands against a grant at an instant, if one does. */
export const lockAgainst = ({ locks }: LockSet, scope: GrantScope, nowMs: EpochMs): Lock | undefined =>
  locks.find((lock) => isInForce(lock, nowMs) && (lock.disables === undefined ? lockCovers(lock.selector, scope) : isOfDisabled(lock.selector, scope)));

/** Whether a task is a disabled agent's, or has its authority from it. */
const isOfDisabled = ({ agent, agent_issuer: issuer }: LockSelector, { task }: GrantScope): boolean =>
  [task.agent, task.declarer, ...task.chain].some((workload) => workload.subject === agent && workload.issuer === issuer);

/** Whether a selector covers any part of what would be granted. */
export function lockCovers({ agent, agent_issuer: issuer, purpose, task: taskId, credential, provider }: LockSelector, { task, credentials }: GrantScope): boolean {
  if (agent !== undefined && ![task.agent, ...task.chain].some((one) => one.subject === agent && (issuer === undefined || one.issuer === issuer))) return false;
  if (purpose !== undefined && purpose !== task.purpose) return false;
  if (taskId !== undefined && taskId !== task.id && !task.chain.some((link) => link.task === taskId)) return false;
  if (credential === undefined && provider === undefined) return true;
  return credentials.some((one) => (credential ?? one.credential) === one.credential && (provider ?? one.provider) === one.provider);
}
