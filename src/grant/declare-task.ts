import { newDecisionId, newTaskId, newTaskIdIn } from '../core/ids.ts';
import { addSeconds } from '../core/time.ts';
import { sameWorkload, type Workload, type WorkloadId } from '../identity/caller.ts';
import type { HeldSlot } from '../ledger/idempotency.ts';
import type { TokenTerms } from '../ledger/lease.ts';
import { invalidRequest, type Declaration } from '../task/declaration.ts';
import type { Task, TaskEnvelope } from '../task/task.ts';
import { activeTrace } from '../telemetry/trace-context.ts';
import { checkDeclaration, declaredAgent } from './check-request.ts';
import type { Ask, JointDecision } from './decide-credentials.ts';
import { decideOrDeny } from './decide-or-deny.ts';
import { callerFacts } from './caller-facts.ts';
import { decisionFacts } from './deny.ts';
import { intendLease, withReservedRoom, type AgentCounters, type GrantDeps } from './grant-deps.ts';
import { judgeEvidence, wordFacts } from './judge-evidence.ts';
import { mintLeases, type Granted } from './mint-leases.ts';
import { parkTask } from './park-task.ts';

export interface DeclaredTask {
  readonly task: Task;
  /** Empty when the task waits for a human or for its agent. */
  readonly granted: readonly Granted[];
  /** Handed over once, where the declaration asked for one; the claim must show it. */
  readonly claimTicket?: string;
}

/** How a declaration came, where that makes a difference. */
export interface DeclareOptions {
  readonly slot?: HeldSlot | undefined;
  /** False where nobody could come back for a task that waits for a human: it is then denied. */
  readonly mayWait?: boolean;
  /** What an OAuth client agreed about its token. */
  readonly token?: TokenTerms;
}

/**
 * Declares a task: checks it, asks policy, records the intent, mints, activates. A task for another agent, or one that
 * is to be claimed, waits and mints nothing yet. Throws `invalid_request`, `evidence_refused`, `policy_denied`,
 * `limit_exceeded`, or what minting throws; then nothing usable is left behind.
 */
export async function declareTask(declaration: Declaration, caller: Workload, deps: GrantDeps, { slot, mayWait = true, token }: DeclareOptions = {}): Promise<DeclaredTask> {
  const agent = declaredAgent(declaration, caller, deps.issuers);
  const forItself = sameWorkload(agent, caller);
  if (!forItself && declaration.start === 'now') {
    throw invalidRequest([{ pointer: '/start', detail: 'must be claim, or left out: another agent has to claim the task itself' }]);
  }
  const ttlSeconds = declaration.ttl_seconds ?? deps.limits.default_ttl_seconds;
  const wanted = checkDeclaration(declaration, ttlSeconds, deps.limits, deps.catalog);

  const nowMs = deps.clock.now();
  const declarer = { issuer: caller.issuer, subject: caller.subject };
  const decisionId = newDecisionId();
  const taskId = slot === undefined ? newTaskId() : newTaskIdIn(slot.shard);
  const word = await judgeEvidence(declaration, { agent, declarer, caller, taskId }, deps);
  const declared = {
    agent,
    purpose: declaration.purpose,
    actions: declaration.actions,
    dataClasses: declaration.data_classes,
    context: declaration.context,
    evidence: word.evidence,
    vouchedBy: word.orchestrator?.subject ?? null,
    subject: word.user?.subject ?? null,
    chain: [],
    ticket: declaration.ticket ?? null,
  } as const;
  const envelope: Omit<TaskEnvelope, 'decision'> = {
    ...declared,
    id: taskId,
    parent: null,
    root: taskId,
    declarer,
    instance: forItself ? caller.instance : null,
    justification: declaration.justification ?? null,
    credentials: wanted.map(({ entry, ttlSeconds: seconds, params }) => ({ name: entry.name, ttlSeconds: seconds, params })),
    createdAtMs: nowMs,
    ttlSeconds,
    expiresAtMs: addSeconds(nowMs, ttlSeconds),
    waitsUntilMs: null,
    claimTicketSha256: null,
    heartbeatSeconds: declaration.heartbeat_seconds ?? null,
    ...activeTrace(),
  };

  // Whoever speaks for the agent must be allowed to: the declarer, and the orchestrator that signed.
  const speakers = [...(forItself ? [] : [declarer]), ...(word.orchestrator === null || sameWorkload(word.orchestrator, declarer) ? [] : [word.orchestrator])];
  const countersOf = (workload: WorkloadId) => deps.ledger.reserve(workload, declaration.purpose, [], Number.MAX_SAFE_INTEGER);
  const speaking = speakers.map(async (principal): Promise<Ask> => {
    const { denialsInARow } = await countersOf(principal);
    return { action: 'declare_for', principal, forAgent: agent.subject, denialsInARow };
  });
  const asks: readonly Ask[] = [...(await Promise.all(speaking)), MINT];
  const facts = { ...callerFacts(caller), ...wordFacts(word) };

  const decide = (counters: AgentCounters): Promise<JointDecision> => {
    // A new task is a tree of its own, that touched nothing yet.
    const basis = { ...declared, ...counters, touched: [], senderBound: caller.senderBound, nowMs };
    return decideOrDeny({ decisionId, taskId, by: declarer, caller, denial: 'task.denied', basis, wanted, asks, mayWait }, deps);
  };

  if (!forItself || declaration.start === 'claim') {
    // No room is taken before the claim: these counters are only for policy to look at.
    const decision = await decide(await countersOf(agent));
    const denialsInARow = asks.find(({ principal }) => principal === declarer)?.denialsInARow ?? 0;
    if (denialsInARow > 0) await deps.ledger.forgetDenials(declarer);
    return parkTask(envelope, decision, { withTicket: declaration.claim_ticket, facts }, deps, slot);
  }

  const basis = { ...declared, taskId, token, toolCall: null, decisionId, nowMs, traceparent: envelope.traceparent };
  const mintable = wanted.map((credential) => intendLease(credential, basis, deps));
  const intents = mintable.map(({ intent }) => intent);
  return withReservedRoom<DeclaredTask>(declared, intents, deps, async (counters) => {
    const decision = await decide(counters);
    if (decision.summary.result === 'approval_required') return parkTask(envelope, decision, { withTicket: declaration.claim_ticket, facts }, deps, slot);
    const client = token === undefined ? {} : { client_id: token.clientId };
    const task = await deps.ledger.declareTask({ ...envelope, decision: decision.summary }, intents, declarer, { ...facts, ...client, ...decisionFacts(decision) }, slot);
    const granted = await mintLeases(taskId, mintable, { by: agent, endsTask: true }, deps);
    return { task: { ...task, state: 'active' as const }, granted };
  });
}

const MINT: Ask = { action: 'mint' };
