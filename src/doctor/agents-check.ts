import { isOverdue } from '../agents/agent-register.ts';
import type { Config } from '../config/config-schema.ts';
import { systemClock } from '../core/clock.ts';
import type { EpochMs } from '../core/time.ts';
import { readPolicies } from '../policy/load-policies.ts';
import { compilePolicies } from '../policy/compile-policies.ts';
import { ok, skipped, warning, type Check, type Finding } from './check.ts';

/** The agents of the configuration: who answers for them, and whether somebody still looks. */
export const agentsCheck = (config: Config): Check => ({
  area: 'agents',
  look: () => Promise.resolve(judgeAgents(config, purposesOf(config), systemClock.now())),
});

/** How the register of a configuration stands. `purposes` is null where policy does not compile. Pure. */
export function judgeAgents({ agents, unregistered_agents: unregistered }: Pick<Config, 'agents' | 'unregistered_agents'>, purposes: ReadonlySet<string> | null, nowMs: EpochMs): Finding[] {
  const overdue = agents.filter(({ review_by: day }) => isOverdue(day, nowMs));
  const strange = purposes === null ? [] : agents.flatMap(({ subject, purposes: own }) => own.filter((purpose) => !purposes.has(purpose)).map((purpose) => `${subject} for ${purpose}`));
  return [
    unregistered === 'refuse'
      ? ok('agents.owners', 'agents that nobody answers for are refused')
      : agents.length === 0
        ? warning('agents.owners', 'nobody is said to answer for any agent', 'register agents (docs/agents.md), then set unregistered_agents: refuse')
        : ok('agents.owners', `${agents.length} agents of the configuration have an owner; policy decides on those that nobody registered`),
    overdue.length === 0
      ? ok('agents.review', 'no review is overdue in the configuration')
      : warning('agents.review', `overdue: ${overdue.map(({ subject, owner }) => `${subject} (${owner})`).join(', ')}`, 'let the owner look at it, and set review_by anew; `mayfly agents ls --overdue` shows those of the API too'),
    ...(purposes === null
      ? [skipped('agents.purposes', 'policy does not compile')]
      : strange.length === 0
        ? []
        : [warning('agents.purposes', `policy does not know: ${strange.join(', ')}`, 'add the purpose to the policy schema, or take it out of the registration')]),
  ];
}

function purposesOf({ policy }: Config): ReadonlySet<string> | null {
  try {
    return compilePolicies(readPolicies(policy.directory)).vocabulary.purposes;
  } catch {
    return null;
  }
}
