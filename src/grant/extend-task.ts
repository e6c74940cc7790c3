import { newDecisionId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { addMs, addSeconds, type EpochMs } from '../core/time.ts';
import type { Workload } from '../identity/caller.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Renewal } from '../ledger/ledger.ts';
import { treeOf } from '../ledger/tree-steps.ts';
import { ProviderError } from '../providers/credential-provider.ts';
import { invalidRequest } from '../task/declaration.ts';
import type { Task } from '../task/task.ts';
import { callerFacts } from './caller-facts.ts';
import type { WantedCredential } from './decide-credentials.ts';
import { decideOrDeny } from './decide-or-deny.ts';
import { decisionFacts } from './deny.ts';
import type { GrantDeps } from './grant-deps.ts';
import { parentBounds, type ParentBounds } from './handed-on.ts';

/** Whether a lease lives on as long as its task, or its agent has to ask for a new credential. */
export type Extension = 'renewed' | 'reissue_needed';

export interface ExtendedTask {
  readonly task: Task;
  readonly leases: readonly { readonly lease: Lease; readonly extension: Extension }[];
}

/** No target is asked for more than the due time and this: its margin, its rounding. */
const TARGET_SLACK_MS = 120_000;
/** A heartbeat or a new credential may change the task while its targets are asked. */
const ATTEMPTS = 5;

/**
 * Gives an active task a new total from now, decided afresh, never past the ceiling counted from its start. Every live
 * lease is renewed as far as its target and its own ceiling go. Throws `invalid_request`, `task_not_active`,
 * `policy_denied` or `provider_unavailable`; then everything ends when it would have.
 */
export async function extendTask(task: Task, ttlSeconds: number, caller: Workload, deps: GrantDeps): Promise<ExtendedTask> {
  const nowMs = deps.clock.now();
  if (task.state !== 'active' || nowMs >= task.expiresAtMs) throw new Problem('task_not_active', `the task is ${task.state === 'active' ? 'out of time' : task.state}`);
  const endsAtMs = addSeconds(nowMs, ttlSeconds);
  const bounds = await parentBounds(task, deps.ledger);
  checkTotal(task, ttlSeconds, endsAtMs, nowMs, bounds, deps);

  const leases = (await deps.ledger.leasesOfTask(task.id)).filter((lease) => !isFinal(lease.state));
  const decision = await decide(task, ttlSeconds, leases, caller, nowMs, deps);

  const renewable = leases.flatMap((lease) => {
    const dueAtMs = dueWithin(lease, endsAtMs, bounds, deps);
    // An intent to renew moves the time that a lease certainly lapses at: none is written for what cannot be renewed.
    const canRenew = deps.catalog.get(lease.credential)?.capabilities.renewable === true;
    const longer = lease.state === 'active' && lease.handle !== null && dueAtMs > lease.dueAtMs;
    return canRenew && longer ? [{ lease, dueAtMs, lapsesAtMs: addMs(dueAtMs, TARGET_SLACK_MS) }] : [];
  });
  const intended = await deps.ledger.intendRenewal(renewable, task.agent);
  if (intended === null) throw changed();
  const asked = await Promise.all(intended.map((lease, index) => renewAtTarget(lease, renewable[index]?.dueAtMs ?? lease.dueAtMs, deps)));
  const renewals = asked.filter((renewal) => renewal !== null);

  const extended = await record(task, endsAtMs, renewals, { ...callerFacts(caller), ...decisionFacts(decision) }, deps);
  const renewed = new Map(extended.leases.map((lease) => [lease.id, lease]));
  // Room that is given back too early is no more than a limit that holds a little less.
  await deps.ledger.prolong(task.agent, extended.leases).catch(() => undefined);
  // They fall due later now; whether there is room for that, admission asked before their first mint.
  for (const [provider, own] of Map.groupBy(extended.leases, (lease) => lease.provider)) await deps.ledger.reserveDue(provider, own, Number.MAX_SAFE_INTEGER).catch(() => undefined);
  return {
    task: extended.task,
    leases: leases.map((lease) => {
      const longer = renewed.get(lease.id);
      return longer === undefined ? { lease, extension: 'reissue_needed' } : { lease: longer, extension: 'renewed' };
    }),
  };
}

function checkTotal(task: Task, ttlSeconds: number, endsAtMs: EpochMs, nowMs: EpochMs, bounds: ParentBounds | null, { limits }: GrantDeps): void {
  const latestMs = addSeconds(task.startedAtMs ?? task.createdAtMs, limits.max_ttl_seconds);
  const most = Math.floor((latestMs - nowMs) / 1000);
  const fault = (detail: string): Problem => invalidRequest([{ pointer: '/ttl_seconds', detail }]);
  if (ttlSeconds > most) throw fault(`must be at most ${Math.max(0, most)}: a task may live ${limits.max_ttl_seconds} seconds in all`);
  if (bounds !== null && endsAtMs > bounds.endsAtMs) throw fault(`must be at most ${Math.floor((bounds.endsAtMs - nowMs) / 1000)}, what is left of the parent task`);
  if (endsAtMs <= task.expiresAtMs) throw fault(`must be more than ${Math.floor((task.expiresAtMs - nowMs) / 1000)}, what the task has left`);
}

async function decide(task: Task, ttlSeconds: number, leases: readonly Lease[], caller: Workload, nowMs: EpochMs, deps: GrantDeps) {
  const held = leases.length > 0 ? leases.map(({ credential, params }) => ({ name: credential, params })) : task.credentials;
  const wanted = held.flatMap(({ name, params }): WantedCredential[] => {
    const entry = deps.catalog.get(name);
    return entry === undefined ? [] : [{ entry, ttlSeconds, params }];
  });
  const counters = await deps.ledger.reserve(task.agent, task.purpose, [], Number.MAX_SAFE_INTEGER);
  const { touched } = treeOf(task, await deps.ledger.getTree(task.root));
  const basis = { ...task, ...counters, touched, senderBound: caller.senderBound, nowMs };
  return decideOrDeny({ decisionId: newDecisionId(), taskId: task.id, by: task.agent, caller, denial: 'extension.denied', basis, wanted, asks: [{ action: 'extend' }] }, deps);
}

/** How long a lease may live on: with its task, within the ceiling of its credential, and no longer than its parent task may have it. */
function dueWithin(lease: Lease, endsAtMs: EpochMs, bounds: ParentBounds | null, { catalog, limits }: GrantDeps): EpochMs {
  const handedOn = bounds?.credentials.flatMap(({ name, ttlSeconds }) => (name === lease.credential ? [ttlSeconds] : [])) ?? [limits.max_ttl_seconds];
  const ceilingSeconds = Math.min(limits.max_ttl_seconds, Math.max(0, ...handedOn), catalog.get(lease.credential)?.config.max_ttl_seconds ?? limits.max_ttl_seconds);
  return Math.min(endsAtMs, addSeconds(lease.createdAtMs, ceilingSeconds)) as EpochMs;
}

/** The lease's new times, or null where its target gives it no more. */
async function renewAtTarget(lease: Lease, dueAtMs: EpochMs, { catalog, mintTimeoutMs, log }: GrantDeps): Promise<Renewal | null> {
  const provider = catalog.get(lease.credential)?.provider;
  if (provider?.renew === undefined || lease.handle === null) return null;
  try {
    const renewed = await provider.renew({ intent: lease, handle: lease.handle, dueAtMs }, AbortSignal.timeout(mintTimeoutMs));
    if (renewed === null) return null;
    // The target may have given less than was asked for.
    const due = Math.min(dueAtMs, renewed.targetExpiresAtMs) as EpochMs;
    return due > lease.dueAtMs ? { lease, dueAtMs: due, targetExpiresAtMs: renewed.targetExpiresAtMs, lapsesAtMs: renewed.lapsesAtMs ?? renewed.targetExpiresAtMs } : null;
  } catch (error) {
    log.error({ provider: provider.name, lease: lease.id, err: error }, 'renewal failed');
    if (error instanceof ProviderError && error.failure === 'refused') return null;
    throw new Problem('provider_unavailable', `${provider.name}: the credential could not be renewed; the task ends when it would have`, {
      members: { provider: provider.name },
      retryAfterSeconds: 5,
      cause: error,
    });
  }
}

/** Moves the due times, unless the task or a lease is being ended: then nothing is revived. */
async function record(task: Task, endsAtMs: EpochMs, renewals: readonly Renewal[], facts: Readonly<Record<string, unknown>>, { ledger }: GrantDeps) {
  let current: Task | null = task;
  for (let attempt = 0; attempt < ATTEMPTS && current?.state === 'active'; attempt += 1) {
    const extended = await ledger.extendTask(current, endsAtMs, renewals, task.agent, facts);
    if (extended !== null) return extended;
    current = await ledger.getTask(task.id);
  }
  throw changed();
}

const changed = (): Problem => new Problem('task_not_active', 'the task or one of its leases was ended while it was being extended; nothing lives longer');
