import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { isLeaseId, isTaskId, newRevocationId, type LeaseId, type TaskId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger, RevocationRecord } from '../ledger/ledger.ts';
import { freeText, parse } from '../task/declaration.ts';

const selector = z
  .strictObject({
    lease: z.string().refine(isLeaseId, 'the id of a lease').meta({ pattern: '^lse_[0-9a-f]{32}$' }).optional(),
    task: z.string().refine(isTaskId, 'the id of a task').meta({ pattern: '^tsk_[0-9a-f]{32}$' }).optional(),
    agent: z.string().min(1).max(2_048).optional(),
    credential: z.string().min(1).max(64).optional(),
  })
  .refine((value) => Object.keys(value).length > 0, 'a selector with at least one of lease, task, agent, credential')
  .meta({ minProperties: 1 });

/** What `POST /v1/revocations` takes. */
export const revocationRequest = z.strictObject({
  selector,
  reason: freeText.min(1),
  dry_run: z.boolean().default(false),
});

type Selector = z.infer<typeof selector>;
export type RevocationRequest = z.infer<typeof revocationRequest>;

export const parseRevocationRequest = (body: unknown): RevocationRequest => parse(revocationRequest, body);

export interface RequestRevocationDeps {
  readonly ledger: Pick<
    Ledger,
    'getLease' | 'getLeases' | 'leasesOfTask' | 'liveLeasesOf' | 'liveTasksOf' | 'endTask' | 'endLease' | 'saveRevocation'
  >;
  readonly clock: Clock;
  readonly nudge: () => void;
}

/** What a selector matches now: live leases, and the tasks that end with them. */
export interface Selected {
  readonly leases: readonly Lease[];
  readonly tasks: readonly TaskId[];
}

/**
 * Live leases that match every given word of the selector. A selector of tasks or an agent alone also ends those tasks,
 * so that they cannot be given more; with a lease or a credential in it, only the leases end and their tasks go on.
 */
export async function select(wanted: Selector, ledger: RequestRevocationDeps['ledger']): Promise<Selected> {
  const sets: (readonly LeaseId[])[] = [];
  if (wanted.lease !== undefined) sets.push([wanted.lease]);
  if (wanted.task !== undefined) sets.push((await ledger.leasesOfTask(wanted.task)).map((lease) => lease.id));
  if (wanted.agent !== undefined) sets.push(await ledger.liveLeasesOf({ subject: wanted.agent }));
  if (wanted.credential !== undefined) sets.push(await ledger.liveLeasesOf({ credential: wanted.credential }));
  const [first = [], ...others] = sets;
  const ids = first.filter((id) => others.every((set) => set.includes(id)));
  const found = await ledger.getLeases(ids);
  const leases = found.filter((lease) => lease !== null).filter((lease) => !isFinal(lease.state));
  return { leases, tasks: await selectTasks(wanted, ledger) };
}

async function selectTasks(wanted: Selector, ledger: RequestRevocationDeps['ledger']): Promise<readonly TaskId[]> {
  if (wanted.lease !== undefined || wanted.credential !== undefined) return [];
  const ofAgent = wanted.agent === undefined ? undefined : await ledger.liveTasksOf(wanted.agent);
  if (wanted.task === undefined) return ofAgent ?? [];
  return ofAgent === undefined || ofAgent.includes(wanted.task) ? [wanted.task] : [];
}

/** Ends what the selector matches. The record is written first, so that what was asked is known even if this breaks off. */
export async function requestRevocation(request: RevocationRequest, selected: Selected, by: WorkloadId, deps: RequestRevocationDeps): Promise<RevocationRecord> {
  const record: RevocationRecord = {
    id: newRevocationId(),
    selector: request.selector,
    reason: request.reason,
    by,
    createdAtMs: deps.clock.now(),
    leases: selected.leases.map((lease) => lease.id),
    tasks: selected.tasks,
  };
  await deps.ledger.saveRevocation(record);
  await Promise.all(selected.tasks.map((id) => deps.ledger.endTask(id, 'revoked', by, { revocation: record.id })));
  await Promise.all(selected.leases.map((lease) => deps.ledger.endLease(lease.id, 'revoked', by)));
  deps.nudge();
  return record;
}
