import type { ConfiguredAgent } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import type { AgentId } from '../core/ids.ts';
import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { agentIdOf, type AgentRecord, type AgentRegistration, type Disablement } from '../ledger/agent-record.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { UNREGISTERED, type AgentFacts } from '../policy/decision.ts';
import { configuredAgent } from './agent-registration.ts';

/** An agent that somebody answers for. */
export interface RegisteredAgent {
  readonly id: AgentId;
  readonly agent: WorkloadId;
  /** Who registered it: one of the configuration is changed there, and nowhere else. */
  readonly source: 'configuration' | 'api';
  readonly registration: AgentRegistration;
  readonly registeredBy: WorkloadId | null;
  readonly createdAtMs: EpochMs | null;
  readonly changedAtMs: EpochMs | null;
  readonly disabled: Disablement | null;
}

/** What the register says of a workload, whether or not it is registered. */
export interface AgentStanding {
  readonly facts: AgentFacts;
  readonly disabled: boolean;
}

/** Which agents are wanted; all where nothing is given. */
export interface AgentFilter {
  readonly subject?: string;
  readonly owner?: string;
  readonly state?: 'enabled' | 'disabled';
  readonly reviewOverdue?: boolean;
  /** The last id of the page before. */
  readonly after?: AgentId;
  readonly limit: number;
}

/** Counts for the metrics. Of those registered, some are disabled and some are overdue. */
export interface AgentCounts {
  readonly registered: number;
  readonly disabled: number;
  readonly reviewOverdue: number;
}

export interface AgentRegisterDeps {
  readonly ledger: Pick<Ledger, 'getAgent' | 'agentEntries'>;
  readonly configured: readonly ConfiguredAgent[];
  readonly clock: Clock;
}

/** The register of agents: those of the configuration, and those that were registered by the API. */
export interface AgentRegister {
  /** Throws `ledger_unavailable`, and `TamperedRecord` where the register is not as it was written: then nothing is granted. */
  standingOf(workload: WorkloadId): Promise<AgentStanding>;
  /** Null where nobody registered it. */
  get(id: AgentId): Promise<RegisteredAgent | null>;
  /** By id; `more` where the page ended before the list did. */
  list(filter: AgentFilter): Promise<{ readonly items: readonly RegisteredAgent[]; readonly more: boolean }>;
  isConfigured(workload: WorkloadId): boolean;
  counts(): Promise<AgentCounts>;
}

/** Records read at once for a list. */
const BATCH = 100;

export function createAgentRegister({ ledger, configured, clock }: AgentRegisterDeps): AgentRegister {
  const ofConfiguration = new Map(configured.map(configuredAgent).map((one) => [agentIdOf(one.agent), one]));

  function merged(id: AgentId, record: AgentRecord | null): RegisteredAgent | null {
    const fixed = ofConfiguration.get(id);
    const disabled = record?.disabled ?? null;
    if (fixed !== undefined) return { id, ...fixed, source: 'configuration', registeredBy: null, createdAtMs: null, changedAtMs: null, disabled };
    if (record === null || record.registration === null) return null;
    const { agent, registration, registeredBy, createdAtMs, changedAtMs } = record;
    return { id, agent, source: 'api', registration, registeredBy, createdAtMs, changedAtMs, disabled };
  }

  const get = async (id: AgentId): Promise<RegisteredAgent | null> => merged(id, await ledger.getAgent(id));

  return {
    get,
    isConfigured: (workload) => ofConfiguration.has(agentIdOf(workload)),

    async standingOf(workload) {
      const id = agentIdOf(workload);
      const record = await ledger.getAgent(id);
      const known = merged(id, record);
      return { facts: known === null ? UNREGISTERED : factsOf(known, clock.now()), disabled: (record?.disabled ?? null) !== null };
    },

    async list(filter) {
      const ids = [...new Set([...ofConfiguration.keys(), ...(await ledger.agentEntries()).keys()])].sort().filter((id) => filter.after === undefined || id > filter.after);
      const items: RegisteredAgent[] = [];
      for (let from = 0; from < ids.length; from += BATCH) {
        for (const one of await Promise.all(ids.slice(from, from + BATCH).map(get))) {
          if (one === null || !matches(one, filter, clock.now())) continue;
          if (items.length === filter.limit) return { items, more: true };
          items.push(one);
        }
      }
      return { items, more: false };
    },

    async counts() {
      const entries = await ledger.agentEntries();
      const nowMs = clock.now();
      const reviewDates = [
        ...[...ofConfiguration.values()].map(({ registration }) => registration.reviewBy),
        ...[...entries].flatMap(([id, { reviewBy }]) => (reviewBy === null || ofConfiguration.has(id) ? [] : [reviewBy])),
      ];
      return {
        registered: reviewDates.length,
        disabled: [...entries].filter(([id, entry]) => entry.disabled && (entry.reviewBy !== null || ofConfiguration.has(id))).length,
        reviewOverdue: reviewDates.filter((day) => isOverdue(day, nowMs)).length,
      };
    },
  };
}

/** Whether a day, in UTC, is over. */
export const isOverdue = (reviewBy: string, nowMs: EpochMs): boolean => toRfc3339(nowMs).slice(0, 10) > reviewBy;

const factsOf = ({ registration: { owner, purposes, environments, reviewBy } }: RegisteredAgent, nowMs: EpochMs): AgentFacts => ({
  registered: true,
  owner,
  purposes,
  environments,
  reviewOverdue: isOverdue(reviewBy, nowMs),
});

const matches = (one: RegisteredAgent, { subject, owner, state, reviewOverdue }: AgentFilter, nowMs: EpochMs): boolean =>
  (subject === undefined || subject === one.agent.subject) &&
  (owner === undefined || owner === one.registration.owner) &&
  (state === undefined || (state === 'disabled') === (one.disabled !== null)) &&
  (reviewOverdue === undefined || reviewOverdue === isOverdue(one.registration.reviewBy, nowMs));
