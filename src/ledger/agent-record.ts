import { agentIdFrom, lockIdOfAgent, type AgentId, type Shard } from '../core/ids.ts';
import { epochMsFrom, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Lock } from './lock.ts';
import { workloadDigest } from './redis-keys.ts';

/** What an operator says of an agent. */
export interface AgentRegistration {
  /** The person or team that answers for it. */
  readonly owner: string;
  readonly purposes: readonly string[];
  /** Empty: nothing is said about environments. */
  readonly environments: readonly string[];
  /** The last day (UTC, `YYYY-MM-DD`) on which the registration counts as reviewed. */
  readonly reviewBy: string;
  readonly description: string | null;
}

/** Why an agent is granted nothing, and who said so. */
export interface Disablement {
  /** For operators; the agent never sees it. */
  readonly reason: string;
  readonly by: WorkloadId;
  readonly atMs: EpochMs;
}

/** An agent as it is kept in Redis, sealed. */
export interface AgentRecord {
  readonly id: AgentId;
  readonly generation: number;
  readonly agent: WorkloadId;
  /** Null where only the configuration registers it: the record then says no more than whether it is disabled. */
  readonly registration: AgentRegistration | null;
  readonly registeredBy: WorkloadId | null;
  readonly createdAtMs: EpochMs;
  readonly changedAtMs: EpochMs;
  readonly disabled: Disablement | null;
}

/** What the index of a shard knows of an agent: enough to miss its record, and to count without reading it. */
export interface AgentEntry {
  readonly generation: number;
  /** Null where the record holds no registration. */
  readonly reviewBy: string | null;
  readonly disabled: boolean;
}

/** Every agent of one shard, sealed as one record: whoever deletes an agent's own record is found out by it. */
export interface AgentIndex {
  /** Goes up with every change; 0 before the first. */
  readonly generation: number;
  readonly agents: Readonly<Record<AgentId, AgentEntry>>;
}

/** The name under which a shard's index is sealed: one shard's copy never passes as another's. */
export const agentIndexId = (shard: Shard): string => `agt_${shard}`;

/** The id of an agent: the same wherever and whenever it is registered. */
export const agentIdOf = (agent: WorkloadId): AgentId => agentIdFrom(workloadDigest(agent));

/** Far: an agent is disabled until somebody enables it. */
const FOR_GOOD = epochMsFrom(Date.UTC(9999, 11, 31, 23, 59, 59));

/** The lock that stands against a disabled agent. Unlike others it has one id, so that placing it twice is placing it once. */
export function lockOfAgent(agent: WorkloadId, { reason, by, atMs }: Disablement): Lock {
  const id = agentIdOf(agent);
  return {
    id: lockIdOfAgent(id),
    selector: { agent: agent.subject, agent_issuer: agent.issuer },
    disables: id,
    reason,
    by,
    createdAtMs: atMs,
    untilMs: FOR_GOOD,
  };
}
