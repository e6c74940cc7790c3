import { LRUCache } from 'lru-cache';
import type { WorkloadId } from '../identity/caller.ts';
import { agentIdOf } from '../ledger/agent-record.ts';
import { TamperedRecord } from '../ledger/record-seal.ts';
import type { AgentRegister } from './agent-register.ts';

/** Who answers for an agent, for those who look at what it holds. */
export interface AgentTag {
  /** Null where nobody registered it, or its registration cannot be read. */
  readonly owner: string | null;
  readonly reviewOverdue: boolean;
  readonly disabled: boolean;
}

export interface AgentDirectory {
  /** Looks up many at once; answers a look-up among them. */
  describe(agents: readonly WorkloadId[]): Promise<(agent: WorkloadId) => AgentTag>;
  /** Every agent that an owner answers for. */
  agentsOf(owner: string): Promise<readonly WorkloadId[]>;
}

/** How old an answer may be: it is shown, and decides nothing. */
const FRESH_FOR_MS = 5_000;
const KEPT_AGENTS = 10_000;
const KEPT_OWNERS = 100;
/** Records read at once. */
const BATCH = 100;
const PAGE = 1_000;

const NOBODY: AgentTag = { owner: null, reviewOverdue: false, disabled: false };

/** The register as lists of leases and tasks need it: many agents at once, read at most every five seconds. */
export function createAgentDirectory(register: Pick<AgentRegister, 'standingOf' | 'list'>): AgentDirectory {
  const tags = new LRUCache<string, AgentTag>({ max: KEPT_AGENTS, ttl: FRESH_FOR_MS });
  const owners = new LRUCache<string, readonly WorkloadId[]>({ max: KEPT_OWNERS, ttl: FRESH_FOR_MS });
  const keyOf = ({ issuer, subject }: WorkloadId): string => `${issuer}\n${subject}`;

  const read = async (agent: WorkloadId): Promise<AgentTag> => {
    try {
      const { facts, disabled } = await register.standingOf(agent);
      return { owner: facts.registered ? facts.owner : null, reviewOverdue: facts.reviewOverdue, disabled };
    } catch (error) {
      // Granting finds it, and tells. Here it must not take away the look at what is live.
      if (error instanceof TamperedRecord) return NOBODY;
      throw error;
    }
  };

  return {
    async describe(agents) {
      const found = new Map<string, AgentTag>();
      const unread = new Map<string, WorkloadId>();
      for (const agent of agents) {
        const key = keyOf(agent);
        const known = found.get(key) ?? tags.get(key);
        if (known === undefined) unread.set(key, agent);
        else found.set(key, known);
      }
      const missing = [...unread];
      for (let from = 0; from < missing.length; from += BATCH) {
        await Promise.all(
          missing.slice(from, from + BATCH).map(async ([key, agent]) => {
            const tag = await read(agent);
            tags.set(key, tag);
            found.set(key, tag);
          }),
        );
      }
      return (agent) => found.get(keyOf(agent)) ?? NOBODY;
    },

    async agentsOf(owner) {
      const known = owners.get(owner);
      if (known !== undefined) return known;
      const agents = new Map<string, WorkloadId>();
      for (let page = await register.list({ owner, limit: PAGE }); ; ) {
        for (const { agent } of page.items) agents.set(agentIdOf(agent), agent);
        const last = page.items.at(-1);
        if (!page.more || last === undefined) break;
        page = await register.list({ owner, limit: PAGE, after: last.id });
      }
      const all = [...agents.values()];
      owners.set(owner, all);
      return all;
    },
  };
}
