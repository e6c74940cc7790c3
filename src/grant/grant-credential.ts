import { setTimeout as sleep } from 'node:timers/promises';
import { newDecisionId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { Workload } from '../identity/caller.ts';
import type { HeldSlot } from '../ledger/idempotency.ts';
import { isFinal, type Lease, type ToolCall } from '../ledger/lease.ts';
import { approvedBasisFor } from '../task/approval.ts';
import { invalidRequest, type CredentialRequest } from '../task/declaration.ts';
import { credentialExcess } from '../task/narrower.ts';
import type { Task } from '../task/task.ts';
import { callerFacts } from './caller-facts.ts';
import { checkCredential } from './check-request.ts';
import type { WantedCredential } from './decide-credentials.ts';
import { decideOrDeny } from './decide-or-deny.ts';
import type { DeclaredTask } from './declare-task.ts';
import { decisionFacts } from './deny.ts';
import { intendLease, withReservedRoom, type GrantDeps } from './grant-deps.ts';
import { parentBounds } from './handed-on.ts';
import { inTree } from './in-tree.ts';
import { mintLeases } from './mint-leases.ts';
import { refuseWider } from './refuse-wider.ts';

/** How long a reissue waits for the old lease to die. */
const OLD_LEASE_WAIT_MS = 2_000;
const LOOK_EVERY_MS = 20;

/**
 * Grants one more credential inside an active task, decided afresh within the envelope the task declared. Throws
 * `invalid_request`, `task_not_active`, `duplicate_credential`, `policy_denied`, `limit_exceeded`, or what minting throws.
 */
export async function grantCredential(task: Task, request: CredentialRequest, caller: Workload, deps: GrantDeps, slot?: HeldSlot): Promise<DeclaredTask> {
  const leftSeconds = secondsLeft(task, deps);
  const ceiling = Math.min(leftSeconds, deps.catalog.get(request.name)?.config.max_ttl_seconds ?? leftSeconds);
  const ttlSeconds = request.ttl_seconds ?? Math.min(deps.limits.default_ttl_seconds, ceiling);
  const bound = { seconds: leftSeconds, because: 'what is left of the task' };
  const { entry, faults } = checkCredential({ ...request, ttlSeconds }, bound, [], deps.catalog);
  if (entry === undefined || faults.length > 0) throw invalidRequest(faults);
  const bounds = await parentBounds(task, deps.ledger);
  const excess = bounds === null ? [] : credentialExcess(bounds.credentials, { name: request.name, params: request.params, ttlSeconds }, []);
  if (excess.length > 0) throw await refuseWider(task, caller, excess, deps.ledger);

  if ((await liveLeaseOf(task, request.name, deps)) !== undefined) {
    throw new Problem('duplicate_credential', `the task already holds ${request.name}; it can be asked for again once that lease has ended`);
  }
  return grant(task, { entry, ttlSeconds, params: request.params }, { caller, toolCall: request.tool_call ?? null, slot }, deps);
}

/**
 * Replaces a credential of an active task: decided afresh, the old lease ended first, a new one minted with the same
 * parameters, as long as the first or as long as the task still has. Throws as `grantCredential`, `invalid_request` when the
 * task never held it, and `provider_unavailable` when the old one does not die in time.
 */
export async function reissueCredential(task: Task, name: string, caller: Workload, deps: GrantDeps): Promise<DeclaredTask> {
  const leftSeconds = secondsLeft(task, deps);
  const leases = await deps.ledger.leasesOfTask(task.id);
  const old = leases.findLast((lease) => lease.credential === name);
  const entry = deps.catalog.get(name);
  if (old === undefined || entry === undefined) {
    const held = [...new Set(leases.map(({ credential }) => credential))].join(', ');
    throw invalidRequest([{ pointer: '/name', detail: held === '' ? 'the task was given no credential yet' : `must be a credential that the task was given: ${held}` }]);
  }
  const firstSeconds = Math.ceil((old.dueAtMs - old.createdAtMs) / 1000);
  const ttlSeconds = Math.min(firstSeconds, leftSeconds, entry.config.max_ttl_seconds ?? leftSeconds);
  return grant(task, { entry, ttlSeconds, params: old.params }, { caller, toolCall: old.toolCall, replaces: old }, deps);
}

interface GrantOptions {
  readonly caller: Workload;
  readonly toolCall: ToolCall | null;
  readonly replaces?: Lease;
  readonly slot?: HeldSlot | undefined;
}

function grant(task: Task, wanted: WantedCredential, { caller, toolCall, replaces, slot }: GrantOptions, deps: GrantDeps): Promise<DeclaredTask> {
  const nowMs = deps.clock.now();
  const { agent } = task;
  return inTree(task, deps.ledger, (tree) => {
    const decisionId = newDecisionId();
    const mintable = intendLease(wanted, { ...task, taskId: task.id, token: replaces?.token, toolCall, decisionId, nowMs }, deps);
    return withReservedRoom(task, [mintable.intent], deps, async (counters) => {
      const seen = approvedBasisFor(task, { name: wanted.entry.name, ttlSeconds: wanted.ttlSeconds, params: wanted.params });
      const basis = { ...task, ...seen, ...counters, tool: toolCall?.tool ?? null, touched: tree.touched, senderBound: caller.senderBound, nowMs };
      const decision = await decideOrDeny({ decisionId, taskId: task.id, by: agent, caller, denial: 'credential.denied', basis, wanted: [wanted] }, deps);
      if (replaces !== undefined) {
        // A refusal must not cost the agent what it has.
        await deps.ledger.refuseWhereLocked({ task, credentials: [mintable.intent] }, agent);
        await endFirst(replaces, task, deps);
      }
      const next = await deps.ledger.intendCredential(task, tree, mintable.intent, agent, { ...callerFacts(caller), ...decisionFacts(decision) }, slot);
      const granted = await mintLeases(task.id, [mintable], { by: agent, endsTask: false }, deps);
      return { task: next, granted };
    });
  });
}

/** Ends a lease, and waits until it is dead. One that only its own expiry ends cannot be waited for. */
async function endFirst(old: Lease, task: Task, { ledger, clock, nudge }: GrantDeps): Promise<void> {
  await ledger.endLease(old.id, 'reissued', task.agent);
  nudge();
  if (old.revocability === 'none') return;
  const untilMs = clock.monotonicMs() + OLD_LEASE_WAIT_MS;
  while (clock.monotonicMs() < untilMs) {
    const lease = (await ledger.leasesOfTask(task.id)).find(({ id }) => id === old.id);
    if (lease === undefined || isFinal(lease.state)) return;
    await sleep(LOOK_EVERY_MS);
  }
  throw new Problem('provider_unavailable', `${old.provider}: the old ${old.credential} is being revoked and is not dead yet; ask again`, {
    members: { provider: old.provider },
    retryAfterSeconds: 2,
  });
}

const liveLeaseOf = async (task: Task, name: string, { ledger }: GrantDeps): Promise<Lease | undefined> =>
  (await ledger.leasesOfTask(task.id)).find((lease) => lease.credential === name && !isFinal(lease.state));

/** Whole seconds an active task has left. Throws `task_not_active` when there are none. */
function secondsLeft(task: Task, { clock }: GrantDeps): number {
  const seconds = Math.floor((task.expiresAtMs - clock.now()) / 1000);
  if (task.state !== 'active' || seconds < 1) throw new Problem('task_not_active', `the task is ${task.state === 'active' ? 'out of time' : task.state}`);
  return seconds;
}
