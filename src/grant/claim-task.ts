import { timingSafeEqual } from 'node:crypto';
import { newDecisionId, shardOf } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { addSeconds, type EpochMs } from '../core/time.ts';
import type { Workload } from '../identity/caller.ts';
import type { HeldSlot } from '../ledger/idempotency.ts';
import type { TokenTerms } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { approvedBasis, isAsApproved } from '../task/approval.ts';
import type { RequestedCredential, Task } from '../task/task.ts';
import type { CredentialCatalog } from './credential-catalog.ts';
import type { WantedCredential } from './decide-credentials.ts';
import { decideOrDeny } from './decide-or-deny.ts';
import type { DeclaredTask } from './declare-task.ts';
import { callerFacts } from './caller-facts.ts';
import { decisionFacts } from './deny.ts';
import { intendLease, withReservedRoom, type GrantDeps } from './grant-deps.ts';
import { asksOf, parentBounds } from './handed-on.ts';
import { inTree } from './in-tree.ts';
import { mintLeases } from './mint-leases.ts';
import { ticketDigest } from './park-task.ts';

/** How a claim came, where that makes a difference. */
export interface ClaimOptions {
  readonly slot?: HeldSlot | undefined;
  /** The task ends then, where that is before its own time is over. */
  readonly endsAtMs?: EpochMs;
  /** What an OAuth client agreed about its token. */
  readonly token?: TokenTerms;
}

/**
 * Its agent picks a waiting task up: decided afresh, minted now, its lifetime begins now, and it is bound to the
 * instance that claims it. Throws `not_claimable`, `already_claimed`, `claim_refused`, `policy_denied`,
 * `limit_exceeded`, or what minting throws. A refused claim is on the record, with who tried.
 */
export async function claimTask(task: Task, ticket: string | undefined, caller: Workload, deps: GrantDeps, { slot, endsAtMs, token }: ClaimOptions = {}): Promise<DeclaredTask> {
  if (task.state !== 'pending_claim') {
    throw await refused(task, caller, task.startedAtMs === null ? new Problem('not_claimable', `the task is ${task.state}`) : taken(), deps.ledger);
  }
  const nowMs = deps.clock.now();
  if (task.waitsUntilMs !== null && nowMs >= task.waitsUntilMs) throw await refused(task, caller, new Problem('not_claimable', 'its claim window has passed'), deps.ledger);
  if (!showsTicket(task, ticket)) throw await refused(task, caller, new Problem('claim_refused', 'the claim_ticket is missing or not the one of this task'), deps.ledger);

  if (!isAsApproved(task)) throw await refused(task, caller, new Problem('claim_refused', 'the task is not what was approved'), deps.ledger);

  const agent = { issuer: caller.issuer, subject: caller.subject };
  const expiresAtMs = Math.min(await endOf(task, nowMs, deps), endsAtMs ?? Infinity) as EpochMs;
  const secondsLeft = Math.floor((expiresAtMs - nowMs) / 1000);
  if (secondsLeft < 1) throw await refused(task, caller, new Problem('not_claimable', 'its parent task is out of time'), deps.ledger);
  const wanted = task.credentials.map((credential) => stillConfigured(credential, secondsLeft, deps.catalog));

  return inTree(task, deps.ledger, (tree) => {
    const decisionId = newDecisionId();
    const mintable = wanted.map((credential) => intendLease(credential, { ...task, taskId: task.id, agent, token, toolCall: null, decisionId, nowMs }, deps));
    const intents = mintable.map(({ intent }) => intent);
    return withReservedRoom({ agent, purpose: task.purpose }, intents, deps, async (counters) => {
      const basis = { ...task, ...approvedBasis(task), agent, ...counters, touched: tree.touched, senderBound: caller.senderBound, nowMs };
      const decision = await decideOrDeny({ decisionId, taskId: task.id, by: agent, caller, denial: 'credential.denied', basis, wanted, asks: asksOf(task) }, deps);
      const claim = { expiresAtMs, instance: caller.instance, decision: decision.summary, tree };
      const claimed = await deps.ledger.claimTask(task, claim, intents, agent, { ...approvedBasis(task), ...callerFacts(caller), ...(token === undefined ? {} : { client_id: token.clientId }), ...decisionFacts(decision) }, slot);
      if (claimed === null) throw await refused(task, caller, taken(), deps.ledger);
      await deps.ledger.releaseWaiting(task.declarer, 'pending_claim', task.id).catch(() => undefined);
      const granted = await mintLeases(task.id, mintable, { by: agent, endsTask: true }, deps);
      return { task: { ...claimed, state: 'active' as const }, granted };
    });
  });
}

/** When a task that starts now ends: after its own time, and never after its parent. */
async function endOf(task: Task, nowMs: EpochMs, { ledger }: Pick<GrantDeps, 'ledger'>): Promise<EpochMs> {
  const ownMs = addSeconds(nowMs, task.ttlSeconds);
  const bounds = await parentBounds(task, ledger);
  return Math.min(ownMs, bounds?.endsAtMs ?? ownMs) as EpochMs;
}

const taken = (): Problem => new Problem('already_claimed', 'the task was claimed already');

/** Puts a claim that came to nothing on the record, with who tried, and answers its problem. */
export async function refused(task: Task, by: Workload, problem: Problem, ledger: Pick<Ledger, 'recordEvent'>): Promise<Problem> {
  await ledger.recordEvent({
    shard: shardOf(task.id),
    type: 'task.claim_refused',
    task: task.id,
    agent: task.agent,
    by: { issuer: by.issuer, subject: by.subject },
    facts: { ...callerFacts(by), purpose: task.purpose, state: task.state, instance: by.instance, reason: problem.message },
  });
  return problem;
}

function showsTicket(task: Task, ticket: string | undefined): boolean {
  if (task.claimTicketSha256 === null) return true;
  return ticket !== undefined && timingSafeEqual(Buffer.from(ticketDigest(ticket)), Buffer.from(task.claimTicketSha256));
}

/** The credential as it is configured now; its configuration may have changed since the declaration. */
function stillConfigured({ name, ttlSeconds, params }: RequestedCredential, secondsLeft: number, catalog: CredentialCatalog): WantedCredential {
  const entry = catalog.get(name);
  if (entry === undefined) throw new Problem('not_claimable', `the credential ${name} is no longer configured`);
  return { entry, ttlSeconds: Math.min(ttlSeconds, secondsLeft, entry.config.max_ttl_seconds ?? ttlSeconds), params };
}
