import { newDecisionId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { isFinal } from '../ledger/lease.ts';
import { invalidRequest, type CredentialRequest } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';
import { checkCredential } from './check-request.ts';
import { decideCredentials } from './decide-credentials.ts';
import type { DeclaredTask } from './declare-task.ts';
import { deny } from './deny.ts';
import { intendLease, withReservedRoom, type GrantDeps } from './grant-deps.ts';
import { mintLeases } from './mint-leases.ts';

/**
 * Grants one more credential inside an active task, decided afresh within the envelope the task declared. Throws
 * `invalid_request`, `task_not_active`, `duplicate_credential`, `policy_denied`, `limit_exceeded`, or what minting throws.
 */
export async function grantCredential(task: Task, request: CredentialRequest, deps: GrantDeps): Promise<DeclaredTask> {
  const nowMs = deps.clock.now();
  const leftSeconds = Math.floor((task.expiresAtMs - nowMs) / 1000);
  if (task.state !== 'active' || leftSeconds < 1) throw new Problem('task_not_active', `the task is ${task.state === 'active' ? 'out of time' : task.state}`);

  const ceiling = Math.min(leftSeconds, deps.catalog.get(request.name)?.config.max_ttl_seconds ?? leftSeconds);
  const ttlSeconds = request.ttl_seconds ?? Math.min(deps.limits.default_ttl_seconds, ceiling);
  const bound = { seconds: leftSeconds, because: 'what is left of the task' };
  const { entry, faults } = checkCredential({ ...request, ttlSeconds }, bound, [], deps.catalog);
  if (entry === undefined || faults.length > 0) throw invalidRequest(faults);

  const held = await deps.ledger.leasesOfTask(task.id);
  if (held.some((lease) => lease.credential === request.name && !isFinal(lease.state))) {
    throw new Problem('duplicate_credential', `the task already holds ${request.name}; it can be asked for again once that lease has ended`);
  }

  const wanted = { entry, ttlSeconds, params: request.params };
  const { agent, purpose } = task;
  const decisionId = newDecisionId();
  const mintable = intendLease(wanted, { taskId: task.id, agent, purpose, toolCall: request.tool_call ?? null, decisionId, nowMs });

  return withReservedRoom(agent, [mintable.intent], deps, async (counters) => {
    const basis = { ...task, ...counters, environment: deps.environment, nowMs };
    const decision = decideCredentials(deps.policy, decisionId, basis, [wanted]);
    deps.observeDecision(decision);
    if (decision.summary.result !== 'permit') {
      return deny({ type: 'credential.denied', taskId: task.id, basis, decision, vocabulary: deps.policy.vocabulary }, deps.ledger);
    }
    const next = await deps.ledger.intendCredential(task, mintable.intent, agent);
    const granted = await mintLeases(task.id, [mintable], { by: agent, endsTask: false }, deps);
    return { task: next, granted };
  });
}
