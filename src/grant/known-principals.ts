import type { AgentRegister, AgentStanding } from '../agents/agent-register.ts';
import { shardOf } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { sameWorkload, type WorkloadId } from '../identity/caller.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { UNREGISTERED } from '../policy/decision.ts';
import { callerFacts } from './caller-facts.ts';
import type { FactsOf } from './decide-credentials.ts';
import type { TaskQuestion } from './decide-or-deny.ts';

/** Where grants ask who answers for an agent. */
export interface AgentsPort extends Pick<AgentRegister, 'standingOf'> {
  /** Whether an agent that nobody registered is refused before policy is asked. */
  readonly refuseUnregistered: boolean;
}

/** What the register says of everyone whom a question is about. */
export async function factsOfAll(principals: readonly WorkloadId[], agents: Pick<AgentRegister, 'standingOf'>): Promise<FactsOf> {
  return factsOf(await standings(principals, agents));
}

type Standings = readonly (AgentStanding & { readonly who: WorkloadId })[];
const standings = (workloads: readonly WorkloadId[], agents: Pick<AgentRegister, 'standingOf'>): Promise<Standings> =>
  Promise.all(unique(workloads).map(async (who) => ({ who, ...(await agents.standingOf(who)) })));
/** Nobody asks about a principal that was not looked up; if somebody does, it is nobody's agent. */
const factsOf = (found: Standings): FactsOf => (who) => found.find((one) => sameWorkload(one.who, who))?.facts ?? UNREGISTERED;

/**
 * What the register says of everyone who needs a permission, and of those the authority came through. One that is disabled is
 * refused, and one that nobody registered where the configuration says so: on the record, and thrown as `agent_disabled` or
 * `agent_unregistered`.
 */
export async function admitPrincipals(question: TaskQuestion, deps: { readonly agents: AgentsPort; readonly ledger: Pick<Ledger, 'recordEvent'> }): Promise<FactsOf> {
  const { agent, chain } = question.basis;
  const principals = [agent, ...(question.asks ?? []).flatMap(({ principal }) => principal ?? [])];
  const found = await standings([...principals, ...chain], deps.agents);
  const disabled = found.find((one) => one.disabled);
  if (disabled !== undefined) throw await refused(question, disabled.who, new Problem('agent_disabled', `${disabled.who.subject} is disabled`), deps.ledger);
  const strange = deps.agents.refuseUnregistered ? found.find(({ who, facts }) => !facts.registered && principals.some((one) => sameWorkload(one, who))) : undefined;
  if (strange !== undefined) throw await refused(question, strange.who, new Problem('agent_unregistered', `${strange.who.subject} is not registered: nobody answers for it`), deps.ledger);
  return factsOf(found);
}

async function refused({ taskId, by, caller, denial, basis }: TaskQuestion, who: WorkloadId, problem: Problem, ledger: Pick<Ledger, 'recordEvent'>): Promise<Problem> {
  await ledger.recordEvent({
    shard: shardOf(taskId),
    type: denial,
    task: denial === 'task.denied' ? null : taskId,
    agent: basis.agent,
    by,
    facts: { ...callerFacts(caller), purpose: basis.purpose, actions: basis.actions, data_classes: basis.dataClasses, refused: problem.code, refused_agent: who },
  });
  return problem;
}

const unique = (workloads: readonly WorkloadId[]): WorkloadId[] => workloads.filter((one, index) => workloads.findIndex((other) => sameWorkload(one, other)) === index);
