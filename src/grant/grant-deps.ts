import type { Config } from '../config/config-schema.ts';
import { newLeaseIdIn, shardOf, type DecisionId, type TaskId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { LeaseIntent, ToolCall } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PolicyEngine } from '../policy/decision.ts';
import type { CredentialCatalog } from './credential-catalog.ts';
import type { JointDecision, WantedCredential } from './decide-credentials.ts';
import type { Mintable, MintLeasesDeps } from './mint-leases.ts';

/** What granting needs; declaring a task and adding a credential share it. */
export interface GrantDeps extends MintLeasesDeps {
  readonly ledger: MintLeasesDeps['ledger'] &
    Pick<
      Ledger,
      | 'reserve' | 'release' | 'prolong' | 'reserveWaiting' | 'releaseWaiting'
      | 'declareTask' | 'parkTask' | 'claimTask' | 'intendCredential' | 'intendRenewal' | 'extendTask'
      | 'getTask' | 'leasesOfTask' | 'endLease' | 'recordEvent' | 'refuseWhereLocked'
    >;
  readonly policy: PolicyEngine;
  readonly catalog: CredentialCatalog;
  readonly limits: Config['limits'];
  readonly environment: string;
  /** Every configured issuer and trust domain of workloads. */
  readonly issuers: ReadonlySet<string>;
  /** Tells the sweep of this process, if it has one, that there is something to end now. */
  readonly nudge: () => void;
  readonly observeDecision: (decision: JointDecision) => void;
}

/** What the leases of one grant have in common. */
export interface LeaseBasis {
  readonly taskId: TaskId;
  readonly agent: WorkloadId;
  readonly purpose: string;
  readonly toolCall: ToolCall | null;
  readonly decisionId: DecisionId;
  readonly nowMs: EpochMs;
}

/** The intent of one lease, with the provider that will mint it. */
export function intendLease(wanted: WantedCredential, basis: LeaseBasis): Mintable {
  const { entry, ttlSeconds, params } = wanted;
  const intent: LeaseIntent = {
    id: newLeaseIdIn(shardOf(basis.taskId)),
    taskId: basis.taskId,
    agent: basis.agent,
    purpose: basis.purpose,
    credential: entry.name,
    kind: entry.capabilities.kind,
    provider: entry.provider.name,
    revocability: entry.capabilities.revocability,
    params,
    toolCall: basis.toolCall,
    decisionId: basis.decisionId,
    createdAtMs: basis.nowMs,
    dueAtMs: addSeconds(basis.nowMs, ttlSeconds),
  };
  return { intent, provider: entry.provider };
}

/** The counters policy decides on, this request not included. */
export interface AgentCounters {
  readonly liveLeases: number;
  readonly grantsLastHour: number;
}

/**
 * Runs `grant` with room reserved under the agent's limit; the room is given back when it throws, or answers that
 * nothing was minted. Throws `limit_exceeded` when there is none.
 */
export async function withReservedRoom<T extends { readonly granted: readonly unknown[] }>(
  agent: WorkloadId,
  leases: readonly Pick<LeaseIntent, 'id' | 'dueAtMs'>[],
  deps: Pick<GrantDeps, 'ledger' | 'limits'>,
  grant: (counters: AgentCounters) => Promise<T>,
): Promise<T> {
  const limit = deps.limits.live_leases_per_agent;
  const { granted, ...counters } = await deps.ledger.reserve(agent, leases, limit);
  if (!granted) {
    throw new Problem('limit_exceeded', `this agent holds ${counters.liveLeases} live leases of at most ${limit}; complete tasks or wait`, {
      retryAfterSeconds: 30,
    });
  }
  // Room that cannot be given back now frees itself at the due time.
  const giveBack = (): Promise<void> => deps.ledger.release(agent, leases.map(({ id }) => id)).catch(() => undefined);
  try {
    const result = await grant(counters);
    if (result.granted.length === 0) await giveBack();
    return result;
  } catch (error) {
    await giveBack();
    throw error;
  }
}
