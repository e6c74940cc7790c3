import type { Config } from '../config/config-schema.ts';
import { newLeaseIdIn, shardOf, type DecisionId, type TaskId } from '../core/ids.ts';
import { Problem, type ProblemCode } from '../core/problem.ts';
import { addMs, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { EvidenceVerifier } from '../identity/evidence-verifier.ts';
import type { LeaseIntent, TokenTerms, ToolCall } from '../ledger/lease.ts';
import { DUE_WINDOW_MS } from '../ledger/due-room.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PolicyEngine } from '../policy/decision.ts';
import type { ShadowPolicies } from '../policy/shadow-policies.ts';
import type { ExternalPolicy } from '../policy/external-policy.ts';
import type { Task } from '../task/task.ts';
import type { CredentialCatalog } from './credential-catalog.ts';
import type { JointDecision, WantedCredential } from './decide-credentials.ts';
import type { AgentsPort } from './known-principals.ts';
import type { Mintable, MintLeasesDeps } from './mint-leases.ts';

/** What granting needs; declaring a task and adding a credential share it. */
export interface GrantDeps extends MintLeasesDeps {
  readonly ledger: MintLeasesDeps['ledger'] &
    Pick<
      Ledger,
      | 'reserve' | 'release' | 'uncount' | 'prolong' | 'reserveDue' | 'releaseDue' | 'reserveWaiting' | 'releaseWaiting'
      | 'declareTask' | 'parkTask' | 'claimTask' | 'intendCredential' | 'intendRenewal' | 'extendTask'
      | 'getTask' | 'getTree' | 'leasesOfTask' | 'endLease' | 'endTask' | 'recordEvent' | 'refuseWhereLocked' | 'countDenial' | 'forgetDenials' | 'useOnce'
    >;
  readonly policy: PolicyEngine;
  /** Asked the same questions, and never decides. */
  readonly shadow?: Pick<ShadowPolicies, 'answer'> | undefined;
  /** For the words of others that a declaration brings. */
  readonly evidence: EvidenceVerifier;
  /** Asked besides, where configured. */
  readonly externalPolicy?: ExternalPolicy;
  readonly catalog: CredentialCatalog;
  readonly limits: Config['limits'];
  readonly environment: string;
  /** How the operator rates what actions can do, by action; `low` where not rated. */
  readonly risk: Config['policy']['risk'];
  /** Every configured issuer and trust domain of workloads. */
  readonly issuers: ReadonlySet<string>;
  /** How many credentials of a provider can be ended in a second; more than anybody asks for where its own clock ends them. */
  readonly revocationsPerSecond: (provider: string) => number;
  /** Tells the sweep of this process, if it has one, that there is something to end now. */
  readonly nudge: () => void;
  readonly agents: AgentsPort;
  readonly observeDecision: (decision: JointDecision) => void;
}

/** What the leases of one grant have in common. */
export interface LeaseBasis {
  readonly taskId: TaskId;
  readonly agent: WorkloadId;
  readonly chain: Task['chain'];
  readonly subject: string | null;
  readonly purpose: string;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly token?: TokenTerms | undefined;
  readonly toolCall: ToolCall | null;
  readonly decisionId: DecisionId;
  readonly nowMs: EpochMs;
  readonly traceparent?: string | undefined;
}

/** The intent of one lease, with the provider that will mint it. */
export function intendLease(wanted: WantedCredential, basis: LeaseBasis, { limits }: Pick<GrantDeps, 'limits'>): Mintable {
  const { entry, ttlSeconds, params } = wanted;
  const intent: LeaseIntent = {
    id: newLeaseIdIn(shardOf(basis.taskId)),
    taskId: basis.taskId,
    agent: basis.agent,
    chain: basis.chain,
    subject: basis.subject,
    purpose: basis.purpose,
    actions: basis.actions,
    dataClasses: basis.dataClasses,
    touches: basis.dataClasses.filter((word) => entry.config.data_classes?.includes(word) ?? true),
    ...(basis.token === undefined ? {} : { token: basis.token }),
    credential: entry.name,
    kind: entry.capabilities.kind,
    provider: entry.provider.name,
    revocability: entry.capabilities.revocability,
    params,
    toolCall: basis.toolCall,
    decisionId: basis.decisionId,
    createdAtMs: basis.nowMs,
    dueAtMs: addMs(basis.nowMs, jittered(ttlSeconds * 1000, limits.expiry_jitter_percent)),
    ...(basis.traceparent === undefined ? {} : { traceparent: basis.traceparent }),
  };
  return { intent, provider: entry.provider };
}

/** A life cut at random, so that what was granted together does not fall due together; a second at least. */
export const jittered = (ms: number, percent: number, random: () => number = Math.random): number => Math.max(Math.min(ms, 1_000), Math.round(ms * (1 - (random() * percent) / 100)));

/** The counters policy decides on, this request not included. */
export interface AgentCounters {
  readonly liveLeases: number;
  readonly grantsLastHour: number;
  readonly purposeGrantsLastHour: number;
  readonly denialsInARow: number;
}

/**
 * Runs `grant` with room reserved under the agent's limit; the room is given back when it throws, or answers that
 * nothing was minted. Throws `limit_exceeded` or `revocation_capacity` when there is none.
 */
export async function withReservedRoom<T extends { readonly granted: readonly unknown[] }>(
  { agent, purpose }: { readonly agent: WorkloadId; readonly purpose: string },
  leases: readonly Pick<LeaseIntent, 'id' | 'dueAtMs' | 'provider'>[],
  deps: Pick<GrantDeps, 'ledger' | 'limits' | 'revocationsPerSecond'>,
  grant: (counters: AgentCounters) => Promise<T>,
): Promise<T> {
  const limit = deps.limits.live_leases_per_agent;
  const byProvider = [...Map.groupBy(leases, ({ provider }) => provider)];
  const ids = leases.map(({ id }) => id);
  // Room that cannot be given back now frees itself at the due time, and a count within the hour.
  const giveBack = async ({ counts }: { readonly counts: boolean }): Promise<void> => {
    await Promise.allSettled([
      deps.ledger.release(agent, ids),
      ...(counts ? [] : [deps.ledger.uncount(agent, purpose, ids)]),
      ...byProvider.map(([provider, own]) => deps.ledger.releaseDue(provider, own.map(({ id }) => id))),
    ]);
  };
  try {
    const [{ granted, ...counters }] = await Promise.all([deps.ledger.reserve(agent, purpose, leases, limit), ...byProvider.map(([provider, own]) => reserveDue(provider, own, deps))]);
    if (!granted) {
      throw new Problem('limit_exceeded', `this agent holds ${counters.liveLeases} live leases of at most ${limit}; complete tasks or wait`, {
        retryAfterSeconds: 30,
      });
    }
    const result = await grant(counters);
    if (result.granted.length === 0) await giveBack({ counts: false });
    return result;
  } catch (error) {
    // A mint that failed counts: something was asked of a provider.
    await giveBack({ counts: !(error instanceof Problem && REFUSED_BEFORE.has(error.code)) });
    throw error;
  }
}

/** What is thrown before anything is asked of a provider: no grant, also for those that count them. */
const REFUSED_BEFORE: ReadonlySet<ProblemCode> = new Set(['policy_denied', 'policy_unavailable', 'agent_disabled', 'agent_unregistered', 'revocation_capacity']);

/** Throws `revocation_capacity` where the provider could not end these in time, with all else that falls due then. */
async function reserveDue(provider: string, leases: readonly Pick<LeaseIntent, 'id' | 'dueAtMs'>[], { ledger, revocationsPerSecond }: Pick<GrantDeps, 'ledger' | 'revocationsPerSecond'>): Promise<void> {
  if (await ledger.reserveDue(provider, leases, revocationsPerSecond(provider))) return;
  throw new Problem('revocation_capacity', `${provider}: too much falls due at that time to be ended then; ask again in a while, or for another lifetime`, {
    members: { provider },
    retryAfterSeconds: DUE_WINDOW_MS / 1000,
  });
}
