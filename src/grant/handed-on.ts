import { Problem } from '../core/problem.ts';
import type { EpochMs } from '../core/time.ts';
import { isFinal, type Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { RequestedCredential, Task } from '../task/task.ts';
import type { Ask } from './decide-credentials.ts';

/** What a task may hand on: what it declared, and what it was granted besides and still holds. */
export const handedOn = (task: Task, leases: readonly Lease[]): RequestedCredential[] => [
  ...task.credentials,
  ...leases.flatMap((lease) => (isFinal(lease.state) ? [] : [{ name: lease.credential, params: lease.params, ttlSeconds: Math.ceil((lease.dueAtMs - lease.createdAtMs) / 1000) }])),
];

/** The bounds that a parent sets to its child at this moment. */
export interface ParentBounds {
  readonly parent: Task;
  readonly endsAtMs: EpochMs;
  readonly credentials: readonly RequestedCredential[];
}

/** What bounds a delegated task now; null for a root. Throws `task_not_active` where its parent is at its end, too. */
export async function parentBounds(task: Pick<Task, 'parent'>, ledger: Pick<Ledger, 'getTask' | 'leasesOfTask'>): Promise<ParentBounds | null> {
  if (task.parent === null) return null;
  const parent = await ledger.getTask(task.parent);
  if (parent?.state !== 'active') throw new Problem('task_not_active', `the parent task is ${parent?.state ?? 'gone'}`);
  return { parent, endsAtMs: parent.expiresAtMs, credentials: handedOn(parent, await ledger.leasesOfTask(parent.id)) };
}

/** What is delegated needs the leave of whoever handed it on at this moment, too. */
export function asksOf({ chain, agent }: Pick<Task, 'chain' | 'agent'>): readonly Ask[] {
  const from = chain.at(-1);
  return from === undefined ? [{ action: 'mint' }] : [{ action: 'delegate', principal: { issuer: from.issuer, subject: from.subject }, forAgent: agent.subject }, { action: 'mint' }];
}
