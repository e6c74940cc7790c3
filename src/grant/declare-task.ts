import { newDecisionId, newTaskId } from '../core/ids.ts';
import { addSeconds } from '../core/time.ts';
import type { Workload } from '../identity/caller.ts';
import type { Declaration } from '../task/declaration.ts';
import type { Task, TaskEnvelope } from '../task/task.ts';
import { checkDeclaration, refuseUnsupported } from './check-request.ts';
import { decideCredentials } from './decide-credentials.ts';
import { decisionFacts, deny } from './deny.ts';
import { intendLease, withReservedRoom, type GrantDeps } from './grant-deps.ts';
import { mintLeases, type Granted } from './mint-leases.ts';

export interface DeclaredTask {
  readonly task: Task;
  /** Empty when the task waits for a human. */
  readonly granted: readonly Granted[];
}

/**
 * Declares a task: checks it, asks policy, records the intent, mints, activates. Throws `invalid_request`,
 * `policy_denied`, `limit_exceeded`, or what minting throws; then nothing usable is left behind.
 */
export async function declareTask(declaration: Declaration, caller: Workload, deps: GrantDeps): Promise<DeclaredTask> {
  refuseUnsupported(declaration, caller);
  const ttlSeconds = declaration.ttl_seconds ?? deps.limits.default_ttl_seconds;
  const wanted = checkDeclaration(declaration, ttlSeconds, deps.limits, deps.catalog);

  const nowMs = deps.clock.now();
  const taskId = newTaskId();
  const agent = { issuer: caller.issuer, subject: caller.subject };
  const decisionId = newDecisionId();
  const basis = { taskId, agent, purpose: declaration.purpose, toolCall: null, decisionId, nowMs };
  const mintable = wanted.map((credential) => intendLease(credential, basis));
  const intents = mintable.map(({ intent }) => intent);

  return withReservedRoom(agent, intents, deps, async (counters) => {
    const declared = {
      agent,
      purpose: declaration.purpose,
      actions: declaration.actions,
      dataClasses: declaration.data_classes,
      context: declaration.context,
      evidence: 'self_declared',
      ticket: declaration.ticket ?? null,
    } as const;
    const decisionBasis = { ...declared, ...counters, environment: deps.environment, nowMs };
    const decision = decideCredentials(deps.policy, decisionId, decisionBasis, wanted);
    deps.observeDecision(decision);
    if (decision.summary.result === 'deny') {
      return deny({ type: 'task.denied', taskId, basis: decisionBasis, decision, vocabulary: deps.policy.vocabulary }, deps.ledger);
    }
    const waits = decision.summary.result === 'approval_required';
    const envelope: TaskEnvelope = {
      ...declared,
      id: taskId,
      parent: null,
      root: taskId,
      declarer: agent,
      instance: caller.instance,
      justification: declaration.justification ?? null,
      createdAtMs: nowMs,
      expiresAtMs: addSeconds(nowMs, waits ? deps.limits.approval_window_seconds : ttlSeconds),
      heartbeatSeconds: declaration.heartbeat_seconds ?? null,
      decision: decision.summary,
    };
    if (waits) return { task: await deps.ledger.parkTask(envelope, agent, decisionFacts(decision)), granted: [] };

    const task = await deps.ledger.declareTask(envelope, intents, agent, decisionFacts(decision));
    const granted = await mintLeases(taskId, mintable, { by: agent, endsTask: true }, deps);
    return { task: { ...task, state: 'active' as const }, granted };
  });
}
