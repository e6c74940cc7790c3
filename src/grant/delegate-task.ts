import { newDecisionId, newTaskIdIn, shardOf } from '../core/ids.ts';
import { Problem, type FieldFault } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { Workload, WorkloadId } from '../identity/caller.ts';
import type { HeldSlot } from '../ledger/idempotency.ts';
import type { DelegationRequest } from '../task/declaration.ts';
import { excessOver } from '../task/narrower.ts';
import type { DelegationLink, Task, TaskEnvelope } from '../task/task.ts';
import type { TaskTree } from '../task/task-tree.ts';
import { activeTrace } from '../telemetry/trace-context.ts';
import { callerFacts } from './caller-facts.ts';
import { checkDeclaration, declaredAgent } from './check-request.ts';
import { decideOrDeny } from './decide-or-deny.ts';
import type { DeclaredTask } from './declare-task.ts';
import type { GrantDeps } from './grant-deps.ts';
import { asksOf, handedOn } from './handed-on.ts';
import { inTree } from './in-tree.ts';
import { parkTask } from './park-task.ts';
import { refuseWider } from './refuse-wider.ts';

/** How a delegation came, where that makes a difference. */
export interface DelegateOptions {
  readonly slot?: HeldSlot | undefined;
  /** False where nobody could come back for a task that waits for a human: it is then denied. */
  readonly mayWait?: boolean;
  /** The child must be over by then, where that is before its parent's end. */
  readonly endsAtMs?: EpochMs;
  /** More for the record. */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/**
 * Hands a part of an active task to another agent, as a child task that waits for that agent's claim. Judged from the
 * broker's own records alone: narrower than the parent in everything, not deeper than allowed, no agent twice in one chain.
 * The parent's agent must be permitted to `delegate`, and the child's to `mint`. Throws `invalid_request`,
 * `task_not_active`, `policy_denied`, `limit_exceeded`.
 *
 * @param caller who asks: the parent's agent, or whoever shows a token of the parent
 */
export async function delegateTask(parentId: Task['id'], request: DelegationRequest, caller: Workload, deps: GrantDeps, options: DelegateOptions = {}): Promise<DeclaredTask> {
  const first = await activeParent(parentId, deps);
  return inTree(first, deps.ledger, async (tree) => {
    // Read after the tree: what is written below names both as they were read.
    const parent = await activeParent(parentId, deps);
    return delegateFrom({ parent, tree }, request, caller, deps, options);
  });
}

async function delegateFrom(
  { parent, tree }: { readonly parent: Task; readonly tree: TaskTree },
  request: DelegationRequest,
  caller: Workload,
  deps: GrantDeps,
  { slot, mayWait = true, endsAtMs = parent.expiresAtMs, facts = {} }: DelegateOptions,
): Promise<DeclaredTask> {
  const nowMs = deps.clock.now();
  const secondsLeft = Math.floor((Math.min(parent.expiresAtMs, endsAtMs) - nowMs) / 1000);
  const declaration = {
    ...request,
    purpose: request.purpose ?? parent.purpose,
    ticket: request.ticket ?? parent.ticket ?? undefined,
    // What the parent said holds for the child, too.
    context: { ...parent.context, ...request.context },
    ttl_seconds: request.ttl_seconds ?? Math.min(deps.limits.default_ttl_seconds, secondsLeft),
  };
  const agent = declaredAgent(declaration, caller, deps.issuers);
  const chain: DelegationLink[] = [...parent.chain, { task: parent.id, ...parent.agent }];
  await checkChain({ parent, tree }, chain, agent, caller, deps);
  const wanted = checkDeclaration(declaration, declaration.ttl_seconds, deps.limits, deps.catalog);
  const credentials = wanted.map(({ entry, ttlSeconds, params }) => ({ name: entry.name, ttlSeconds, params }));
  const child = {
    purpose: declaration.purpose,
    ticket: declaration.ticket ?? null,
    actions: declaration.actions,
    dataClasses: declaration.data_classes,
    context: declaration.context,
    ttlSeconds: declaration.ttl_seconds,
    credentials,
  };
  const excess = excessOver({ ...parent, secondsLeft, credentials: handedOn(parent, await deps.ledger.leasesOfTask(parent.id)) }, child);
  if (excess.length > 0) throw await refuseWider(parent, caller, excess, deps.ledger);

  const id = newTaskIdIn(shardOf(parent.id));
  const envelope: Omit<TaskEnvelope, 'decision'> = {
    ...child,
    id,
    parent: parent.id,
    root: parent.root,
    chain,
    agent,
    declarer: parent.agent,
    instance: null,
    evidence: 'self_declared',
    vouchedBy: null,
    subject: parent.subject,
    justification: request.justification ?? null,
    createdAtMs: nowMs,
    expiresAtMs: addSeconds(nowMs, child.ttlSeconds),
    waitsUntilMs: null,
    claimTicketSha256: null,
    heartbeatSeconds: request.heartbeat_seconds ?? null,
    ...activeTrace(),
  };
  // No room is taken before the claim: these counters are only for policy to look at.
  const counters = await deps.ledger.reserve(agent, child.purpose, [], Number.MAX_SAFE_INTEGER);
  const basis = { ...envelope, ...counters, touched: tree.touched, senderBound: caller.senderBound, nowMs };
  const decision = await decideOrDeny({ decisionId: newDecisionId(), taskId: id, by: { issuer: caller.issuer, subject: caller.subject }, caller, denial: 'task.denied', basis, wanted, asks: asksOf(envelope), mayWait }, deps);
  return parkTask(envelope, decision, { withTicket: request.claim_ticket, under: { parent, tree }, facts: { ...facts, ...callerFacts(caller) } }, deps, slot);
}

async function activeParent(id: Task['id'], { ledger, clock }: Pick<GrantDeps, 'ledger' | 'clock'>): Promise<Task> {
  const parent = await ledger.getTask(id);
  if (parent?.state !== 'active') throw new Problem('task_not_active', `the task is ${parent?.state ?? 'gone'}`);
  if (parent.expiresAtMs - clock.now() < 1_000) throw new Problem('task_not_active', 'the task is out of time');
  return parent;
}

/** Throws where the chain would be too long, go round in a circle, or the tree would be too large. */
async function checkChain({ parent, tree: { nodes } }: { readonly parent: Task; readonly tree: TaskTree }, chain: readonly DelegationLink[], agent: WorkloadId, caller: Workload, { limits, ledger }: Pick<GrantDeps, 'limits' | 'ledger'>): Promise<void> {
  const refuse = (fault: FieldFault): Promise<Problem> => refuseWider(parent, caller, [fault], ledger);
  if (chain.length > limits.delegation_depth) {
    throw await refuse({ pointer: '', detail: `this task is ${chain.length - 1} delegations deep, and ${limits.delegation_depth} is the most: it cannot be handed on` });
  }
  // By name alone: whoever reads the chain tells agents apart by it.
  if (chain.some(({ subject }) => subject === agent.subject)) {
    throw await refuse({ pointer: '/agent', detail: 'is in the chain of this task already: a task is not handed back' });
  }
  if (nodes.length >= limits.delegations_per_tree) {
    throw new Problem('limit_exceeded', `${limits.delegations_per_tree} tasks were delegated in this tree already`, { retryAfterSeconds: 30 });
  }
}
