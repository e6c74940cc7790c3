import type { AgentId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { lockOfAgent, type AgentRegistration, type Disablement } from '../ledger/agent-record.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RevocationRecord } from '../ledger/revocation-records.ts';
import { requestRevocation, type RequestRevocationDeps } from '../revocation/request-revocation.ts';
import { invalidRequest } from '../task/declaration.ts';
import { parseAgentRegistration, unknownPurposes, type AgentPatch, type RegistrationBounds } from './agent-registration.ts';
import type { AgentRegister, RegisteredAgent } from './agent-register.ts';

export interface ChangeAgentsDeps extends RegistrationBounds {
  readonly ledger: Pick<Ledger, 'changeAgent' | 'saveLock' | 'liftLock'>;
  readonly register: AgentRegister;
  readonly revocation: Pick<RequestRevocationDeps, 'jobs' | 'clock'>;
  /** Agents that the API may register. */
  readonly most: number;
}

/** Registers an agent. Throws `invalid_request`, `agent_exists`, `agent_configured` or `limit_exceeded`. */
export async function registerAgent(body: unknown, by: WorkloadId, deps: ChangeAgentsDeps): Promise<RegisteredAgent> {
  const { agent, registration } = parseAgentRegistration(body, deps);
  if (deps.register.isConfigured(agent)) throw configured();
  const record = await deps.ledger.changeAgent({
    agent,
    by,
    type: 'agent.registered',
    facts: factsOf(registration),
    most: deps.most,
    to(before) {
      if (before !== null && before.registration !== null) throw new Problem('agent_exists', `it is ${before.id}; change it there`);
      // Disabled once, as an agent of the configuration: only enabling it changes that.
      return { registration, registeredBy: by, disabled: before?.disabled ?? null };
    },
  });
  return found(record === null ? null : await deps.register.get(record.id));
}

/** Changes what is said of an agent. Throws `not_found`, `invalid_request` or `agent_configured`. */
export async function changeAgent(id: AgentId, patch: AgentPatch, by: WorkloadId, deps: ChangeAgentsDeps): Promise<RegisteredAgent> {
  const { agent, source } = found(await deps.register.get(id));
  if (source === 'configuration') throw configured();
  const faults = unknownPurposes(patch.purposes ?? [], deps);
  if (faults.length > 0) throw invalidRequest(faults);
  const changes: Partial<AgentRegistration> = {
    ...(patch.owner === undefined ? {} : { owner: patch.owner }),
    ...(patch.purposes === undefined ? {} : { purposes: patch.purposes }),
    ...(patch.environments === undefined ? {} : { environments: patch.environments }),
    ...(patch.review_by === undefined ? {} : { reviewBy: patch.review_by }),
    ...(patch.description === undefined ? {} : { description: patch.description }),
  };
  await deps.ledger.changeAgent({
    agent,
    by,
    type: 'agent.changed',
    facts: { ...patch },
    most: deps.most,
    to(before) {
      if (before === null || before.registration === null) throw new Problem('not_found', NO_SUCH_AGENT);
      return { registration: { ...before.registration, ...changes }, registeredBy: before.registeredBy, disabled: before.disabled };
    },
  });
  return found(await deps.register.get(id));
}

/**
 * Disables an agent. First a lock in every shard, so that nothing new is granted behind the revocation; then all that lives of
 * its tasks is ended; last it is noted in the register. Doing it again does each of these again, which mends one that broke off.
 */
export async function disableAgent(id: AgentId, reason: string, by: WorkloadId, deps: ChangeAgentsDeps): Promise<{ readonly agent: RegisteredAgent; readonly revocation: RevocationRecord }> {
  const { agent } = found(await deps.register.get(id));
  const disabled: Disablement = { reason, by, atMs: deps.revocation.clock.now() };
  await deps.ledger.saveLock(lockOfAgent(agent, disabled));
  const revocation = await requestRevocation({ selector: { agent: agent.subject, agent_issuer: agent.issuer }, reason }, by, deps.revocation);
  await deps.ledger.changeAgent({
    agent,
    by,
    type: 'agent.disabled',
    facts: { reason, revocation: revocation.id },
    // A kill switch is not refused for want of room.
    most: Number.POSITIVE_INFINITY,
    to: (before) => ({ registration: before?.registration ?? null, registeredBy: before?.registeredBy ?? null, disabled }),
  });
  return { agent: found(await deps.register.get(id)), revocation };
}

/** Lifts the lock, then notes it: what broke off in between still refuses, and is done by doing it again. */
export async function enableAgent(id: AgentId, by: WorkloadId, deps: ChangeAgentsDeps): Promise<RegisteredAgent> {
  const { agent } = found(await deps.register.get(id));
  const lifted = await deps.ledger.liftLock(lockOfAgent(agent, { reason: '', by, atMs: deps.revocation.clock.now() }).id, by);
  await deps.ledger.changeAgent({
    agent,
    by,
    type: 'agent.enabled',
    facts: { was_disabled_for: lifted?.reason ?? null },
    most: deps.most,
    to: (before) => (before === null || before.disabled === null ? null : { registration: before.registration, registeredBy: before.registeredBy, disabled: null }),
  });
  return found(await deps.register.get(id));
}

const NO_SUCH_AGENT = 'there is no such agent in the register';

function found(agent: RegisteredAgent | null): RegisteredAgent {
  if (agent === null) throw new Problem('not_found', NO_SUCH_AGENT);
  return agent;
}

const configured = (): Problem => new Problem('agent_configured', 'it stands in the configuration; change it there. Disabling and enabling it are done here');
const factsOf = ({ owner, purposes, environments, reviewBy, description }: AgentRegistration): Record<string, unknown> => ({ owner, purposes, environments, review_by: reviewBy, description });
