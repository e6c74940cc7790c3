import { createHash } from 'node:crypto';
import type { AgentId, LeaseId, ReconciliationId, RevocationId, SessionId, Shard, TaskId } from '../core/ids.ts';
import { RECONCILIATIONS, shardOf, shardOfName } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { TaskState, WaitingState } from '../task/task.ts';
import type { CredentialKind } from './lease.ts';

/**
 * Every key of the ledger. All begin with `mayfly:{<shard>}:`, so that what one script touches is in one slot.
 * The audit stream's keys are in `audit/event-stream-keys.ts`.
 */
const inShard = (shard: Shard, rest: string): string => `mayfly:{${shard}}:${rest}`;

/** No text that a caller chose ever becomes part of a key. */
const shortDigest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);

/** A workload as it appears in key names. */
export const workloadDigest = ({ issuer, subject }: WorkloadId): string => shortDigest(`${issuer}\n${subject}`);

/** Hash: the task record. */
export const taskKey = (id: TaskId): string => inShard(shardOf(id), `task:${id}`);
/** Set: every lease the task ever had. */
export const taskLeasesKey = (id: TaskId): string => inShard(shardOf(id), `task:${id}:leases`);
/** Set: leases of the task that are not final. */
export const taskLiveKey = (id: TaskId): string => inShard(shardOf(id), `task:${id}:live`);
/** Hash: what was delegated below a root task, and what its tree touched. */
export const treeKey = (root: TaskId): string => inShard(shardOf(root), `tree:${root}`);
/** Hash: the lease record. */
export const leaseKey = (id: LeaseId): string => inShard(shardOf(id), `lease:${id}`);

/** Sorted set of task and lease ids: when the sweep must next look at each. */
export const wakeKey = (shard: Shard): string => inShard(shard, 'wake');
/** String: that grants are being made. Expires by itself, soon after the last. */
export const grantingKey = inShard(shardOfName('granting'), 'granting');
/** Sorted set of live leases by the instant from which each is overdue: the truth about expiry. */
export const dueKey = (shard: Shard): string => inShard(shard, 'due');
/** Sorted set of those of one provider and kind, by the same instant. */
export const liveOfKindKey = (shard: Shard, provider: string, kind: CredentialKind): string => inShard(shard, `due:kind:${provider}:${kind}`);
/** Sorted set of stuck leases by the instant from which each is overdue. */
export const stuckKey = (shard: Shard): string => inShard(shard, 'stuck');
/** Sorted set of leases that were to end and that only their target's clock ends, by when it does. */
export const lapsingKey = (shard: Shard): string => inShard(shard, 'lapsing');
/** Sorted set of retained disclosed leases by the instant each should have been dead. */
export const disclosedKey = (shard: Shard): string => inShard(shard, 'disclosed');
/** Sorted set of revoked leases that their target only keeps out by an order, by the instant at which they are dead anyway. */
export const keptOutKey = (shard: Shard): string => inShard(shard, 'kept-out');
/** Sorted set of retained tasks by creation. */
export const tasksKey = (shard: Shard): string => inShard(shard, 'tasks');
/** Sorted set of the tasks in one state, by creation; none for those that have ended. */
export const tasksInStateKey = (shard: Shard, state: Exclude<TaskState, 'ended'>): string => inShard(shard, `tasks:state:${state}`);
/** Sorted set of retained tasks of one agent by creation. Expires by itself. */
export const agentTasksKey = (shard: Shard, agent: WorkloadId): string => inShard(shard, `tasks:agent:${workloadDigest(agent)}`);
/** Sorted set of what was counted in one hour since the epoch, by how often. Expires by itself. */
export const tallyKey = (shard: Shard, hour: number): string => inShard(shard, `tally:${hour}`);
/** Sorted set of tasks that wait for a human, by creation. */
export const waitingApprovalsKey = (shard: Shard): string => inShard(shard, 'approvals:waiting');
/** Sorted set of who is still to be told of a task that waits, as `<task>.<recipient>`, by when. */
export const noticesKey = (shard: Shard): string => inShard(shard, 'notices');
/** Sorted set of retained tasks that waited for a human or still do, by creation. */
export const approvalsKey = (shard: Shard): string => inShard(shard, 'approvals');
/** Sorted set of retained leases by creation. */
export const leasesKey = (shard: Shard): string => inShard(shard, 'leases');
/** Sorted set of retained tasks of one subject by creation, whichever issuer vouched for it. Expires by itself. */
export const tasksOfSubjectKey = (shard: Shard, subject: string): string => inShard(shard, `tasks:subject:${shortDigest(subject)}`);
/** Sorted set of retained leases of one subject by creation, whichever issuer vouched for it. Expires by itself. */
export const leasesOfSubjectKey = (shard: Shard, subject: string): string => inShard(shard, `leases:subject:${shortDigest(subject)}`);
/** Sorted set of retained leases of tasks that were declared in one W3C trace, by creation. Expires by itself. */
export const leasesOfTraceKey = (shard: Shard, traceId: string): string => inShard(shard, `leases:trace:${shortDigest(traceId)}`);
/** Sorted set of live leases under a subject, whichever issuer vouched for it, and of what it delegated, by the instant from which each is overdue: operators revoke by the name they see. */
export const liveOfSubjectKey = (shard: Shard, subject: string): string => inShard(shard, `due:subject:${shortDigest(subject)}`);
/** Sorted set of live leases of one purpose, by the same instant. */
export const liveOfPurposeKey = (shard: Shard, purpose: string): string => inShard(shard, `due:purpose:${shortDigest(purpose)}`);
/** Set of tasks under a subject, and of those it delegated, that have not ended, whether or not they hold a live lease. */
export const liveTasksOfSubjectKey = (shard: Shard, subject: string): string =>
  inShard(shard, `live-tasks:subject:${shortDigest(subject)}`);
/** Sorted set of live leases of one credential, by the same instant. */
export const liveOfCredentialKey = (shard: Shard, credential: string): string => inShard(shard, `due:credential:${credential}`);
/** Hash: a revocation requested by an operator. */
export const revocationKey = (id: RevocationId): string => inShard(shardOf(id), `revocation:${id}`);
/** String: who may do what only one process at a time may do. */
export const turnKey = (name: string): string => inShard(shardOfName(name), `turn:${shortDigest(name)}`);
/** Sorted set of the leases it selected, in the order of their selection. */
export const revocationLeasesKey = (id: RevocationId): string => inShard(shardOf(id), `revocation:${id}:leases`);
/** Sorted set of the tasks and leases whose end is still to be asked for: by provider, tasks first. */
export const revocationTodoKey = (id: RevocationId): string => inShard(shardOf(id), `revocation:${id}:todo`);
/** Set, sorted by nothing, of the leases whose end was asked for and that are not known to be final. */
export const revocationOpenKey = (id: RevocationId): string => inShard(shardOf(id), `revocation:${id}:open`);
/** Sorted set of revocations with work left, by when each is next looked at. */
export const openRevocationsKey = (shard: Shard): string => inShard(shard, 'revocations');
/** Hash: a reconciliation that was asked for. Expires by itself. */
export const reconciliationKey = (id: ReconciliationId): string => inShard(shardOf(id), `reconciliation:${id}`);
/** Sorted set of those that no worker has done, by when each is next looked at. */
export const openReconciliationsKey = (): string => inShard(RECONCILIATIONS, 'reconciliations');
/** Hash: every lock, in this shard's copy. Grants name its generation, so that none slips past a lock written meanwhile. */
export const locksKey = (shard: Shard): string => inShard(shard, 'locks');
/** Hash: an agent of the register. */
export const agentKey = (id: AgentId): string => inShard(shardOf(id), `agent:${id}`);
/** Hash: every agent of this shard, so that a record which was deleted is missed. */
export const agentIndexKey = (shard: Shard): string => inShard(shard, 'agents');
/** Hash: the epoch of the ledger, in this shard's copy. Grants name its generation, so that none is made on a ledger that lost records. */
export const epochKey = (shard: Shard): string => inShard(shard, 'epoch');
/** Hash: what became of a request that may be repeated. */
export const idempotencyKey = (shard: Shard, id: string): string => inShard(shard, `idempotency:${id}`);

/** Hash: the session of a person who signed in. Expires by itself. */
export const sessionKey = (id: SessionId): string => inShard(shardOf(id), `session:${id}`);
/** String: what stands for a person's sessions; another once they were all ended. Expires by itself, after the last of them. */
export const standingKey = (person: WorkloadId): string => inShard(shardOfName(workloadDigest(person)), `standing:${workloadDigest(person)}`);
/** String: that the issuer ended its own session, and ours that began in it. Expires by itself. */
export const issuerSessionKey = (issuer: string, sid: string): string => inShard(shardOfName(sid), `issuer-session:${shortDigest(JSON.stringify([issuer, sid]))}`);

/** String: that a thing which may be used once was used, under its digest. Expires by itself. */
export const usedKey = (shard: Shard, digest: string): string => inShard(shard, `used:${digest}`);

/** Sorted set in the provider's own shard: its live leases by due time, for admission and forecast. Expires by itself. */
export const providerDueKey = (provider: string): string => inShard(shardOfName(provider), `provider:${provider}:due`);

/** Sorted set in a declarer's own shard: its tasks in a waiting state by the instant they stop waiting. Expires by itself. */
export const agentWaitingKey = (declarer: WorkloadId, state: WaitingState): string =>
  inShard(shardOfName(workloadDigest(declarer)), `quota:${workloadDigest(declarer)}:${state}`);
/** Sorted set in the agent's own shard: its live leases by due time. Expires by itself. */
export const agentLiveKey = (agent: WorkloadId): string =>
  inShard(shardOfName(workloadDigest(agent)), `quota:${workloadDigest(agent)}:live`);
/** Sorted set in the agent's own shard: its grants of the last hour by time; of one purpose, where one is given. */
export const agentGrantsKey = (agent: WorkloadId, purpose?: string): string =>
  inShard(shardOfName(workloadDigest(agent)), `quota:${workloadDigest(agent)}:grants${purpose === undefined ? '' : `:${shortDigest(purpose)}`}`);
/** String in the agent's own shard: how often it was denied since its last permit. Expires by itself. */
export const agentDenialsKey = (agent: WorkloadId): string =>
  inShard(shardOfName(workloadDigest(agent)), `quota:${workloadDigest(agent)}:denials`);
