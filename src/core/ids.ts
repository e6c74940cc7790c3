import { createHash, randomBytes } from 'node:crypto';

declare const kind: unique symbol;
type Id<K extends string> = string & { readonly [kind]: K };

export type TaskId = Id<'task'>;
export type LeaseId = Id<'lease'>;
export type DecisionId = Id<'decision'>;
export type EventId = Id<'event'>;
export type RevocationId = Id<'revocation'>;
export type LockId = Id<'lock'>;
export type ReconciliationId = Id<'reconciliation'>;
export type AgentId = Id<'agent'>;
export type SessionId = Id<'session'>;

/**
 * One of sixteen slices of the ledger, a lower-case hexadecimal digit. It is the first digit of every task, lease,
 * revocation, lock, agent and session id, so that an id alone tells where its record lives.
 */
export type Shard = string & { readonly [kind]: 'shard' };

export const SHARDS: readonly Shard[] = '0123456789abcdef'.split('') as Shard[];

/** The shard of all reconciliations. */
export const RECONCILIATIONS = '0' as Shard;

/** 128 bits: unguessable, and far below any collision. */
const ID_BYTES = 16;

const randomHex = (): string => randomBytes(ID_BYTES).toString('hex');
const inShard = (shard: Shard): string => shard + randomHex().slice(1);

/** A new root task in a random shard. */
export const newTaskId = (): TaskId => `tsk_${randomHex()}` as TaskId;
/** A new task in the shard of its root, so that one script can end the whole tree. */
export const newTaskIdIn = (shard: Shard): TaskId => `tsk_${inShard(shard)}` as TaskId;
/** A new lease in its task's shard. Fits `[\w+=,.@-]{2,64}`, since it becomes a name at targets. */
export const newLeaseIdIn = (shard: Shard): LeaseId => `lse_${inShard(shard)}` as LeaseId;
export const newDecisionId = (): DecisionId => `dec_${randomHex()}` as DecisionId;
export const newEventId = (): EventId => `evt_${randomHex()}` as EventId;
export const newRevocationId = (): RevocationId => `rev_${randomHex()}` as RevocationId;
export const newLockId = (): LockId => `lck_${randomHex()}` as LockId;

/** All reconciliations are in one shard: they are few, and found by one look. */
export const newReconciliationId = (): ReconciliationId => `rec_${inShard(RECONCILIATIONS)}` as ReconciliationId;

const ID = /^(tsk|lse|dec|evt|rev|lck|rec|agt)_[0-9a-f]{32}$/;
const hasPrefix = (text: string, prefix: string): boolean => ID.test(text) && text.startsWith(`${prefix}_`);

export const isTaskId = (text: string): text is TaskId => hasPrefix(text, 'tsk');
export const isLeaseId = (text: string): text is LeaseId => hasPrefix(text, 'lse');
export const isRevocationId = (text: string): text is RevocationId => hasPrefix(text, 'rev');
export const isReconciliationId = (text: string): text is ReconciliationId => hasPrefix(text, 'rec');
/** An agent's id derives from who it is (128 bits of a digest): looked up without an index, and the same wherever it is registered. */
export const agentIdFrom = (digest: string): AgentId => `agt_${digest}` as AgentId;
/** The lock that stands for a disabled agent: one an agent, whoever places it and however often. */
export const lockIdOfAgent = (id: AgentId): LockId => `lck_${id.slice(4)}` as LockId;

/** A session goes by the digest of what the person's browser holds: whoever reads the ledger can use none. 64 hexadecimal digits. */
export const sessionIdFrom = (digest: string): SessionId => `ses_${digest}` as SessionId;

export const isLockId = (text: string): text is LockId => hasPrefix(text, 'lck');
export const isAgentId = (text: string): text is AgentId => hasPrefix(text, 'agt');

/** The shard of a task, lease, revocation, lock, reconciliation, agent or session id. */
export function shardOf(id: TaskId | LeaseId | RevocationId | LockId | ReconciliationId | AgentId | SessionId): Shard {
  return id.charAt(4) as Shard;
}

/** The shard for a name that is no id (an agent, a credential): stable, and spread by SHA-256. */
export function shardOfName(name: string): Shard {
  return createHash('sha256').update(name).digest('hex').charAt(0) as Shard;
}
