import type { EpochMs } from '../core/time.ts';
import type { Workload } from '../identity/caller.ts';
import type { Lease, TokenTerms } from '../ledger/lease.ts';
import type { DelegationRequest } from '../task/declaration.ts';
import { claimTask } from './claim-task.ts';
import type { DeclaredTask } from './declare-task.ts';
import { delegateTask } from './delegate-task.ts';
import type { GrantDeps } from './grant-deps.ts';
import { handedOn } from './handed-on.ts';

/** A part of a task that its agent handed on by its token, to an agent that shows it. */
export interface HandOver {
  /** The lease of the token that is shown; it is live. */
  readonly shown: Pick<Lease, 'id' | 'taskId' | 'agent' | 'dueAtMs'>;
  readonly to: Workload;
  readonly request: Omit<DelegationRequest, 'agent' | 'agent_issuer' | 'claim_ticket'>;
  readonly token: TokenTerms;
}

/**
 * Delegates a part of a task, and has it claimed at once: by whoever shows a token of that task, for itself. It ends no later
 * than that token does. Throws what delegating and claiming throw; then the child has ended, or waits for nobody but this
 * call, whose ticket nobody has, and ends by itself.
 */
export async function handOver({ shown, to, request, token }: HandOver, deps: GrantDeps): Promise<DeclaredTask> {
  const endsAtMs: EpochMs = shown.dueAtMs;
  const delegation: DelegationRequest = { ...request, agent: to.subject, agent_issuer: to.issuer, claim_ticket: true };
  // What the actor proved of itself says nothing of the parent's agent, which is not there.
  const caller = { ...to, senderBound: false };
  const facts = { handed_over_by: shown.id };
  const { task, claimTicket } = await delegateTask(shown.taskId, delegation, caller, deps, { mayWait: false, endsAtMs, facts });
  try {
    return await claimTask(task, claimTicket, to, deps, { endsAtMs, token });
  } catch (error) {
    await deps.ledger.endTask(task.id, 'revoked', to).catch((cause: unknown) => {
      deps.log.error({ task: task.id, err: cause }, 'a delegation that came to nothing could not be ended; it ends with its claim window');
    });
    throw error;
  }
}

/** How long a child could live at most that is handed over now, with this credential, seconds; 0 where there is nothing to hand on. */
export async function longestChild({ taskId, dueAtMs }: HandOver['shown'], credential: string, { ledger, clock }: Pick<GrantDeps, 'ledger' | 'clock'>): Promise<number> {
  const parent = await ledger.getTask(taskId);
  if (parent === null) return 0;
  const held = handedOn(parent, await ledger.leasesOfTask(taskId)).filter(({ name }) => name === credential);
  const secondsLeft = Math.floor((Math.min(parent.expiresAtMs, dueAtMs) - clock.now()) / 1000);
  return Math.max(0, Math.min(secondsLeft, ...held.map(({ ttlSeconds }) => ttlSeconds)));
}
