import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { latenessMs } from '../ledger/lateness.ts';
import { allows, transition } from '../ledger/lease-transitions.ts';
import type { Lease } from '../ledger/lease.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Task } from '../task/task.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import { hasLapsed, type RevocationObservation } from './revoke-leases.ts';

export interface EndDueDeps {
  readonly ledger: Pick<Ledger, 'settle' | 'endTask' | 'finishTask'>;
  readonly observe: (observation: RevocationObservation) => void;
}

const SWEEP: WorkloadId = { issuer: 'mayfly', subject: 'due-sweep' };

/** Ends a task whose time is up, for whatever its state says that it ran out of. Its leases are due then. */
export async function endDueTask(task: Task, nowMs: EpochMs, { ledger }: EndDueDeps): Promise<void> {
  switch (task.state) {
    case 'minting':
      // Whoever was minting is gone, or far too slow: its late activation will be refused.
      await ledger.endTask(task.id, 'mint_interrupted', SWEEP);
      return;
    case 'active':
      await ledger.endTask(task.id, nowMs >= task.expiresAtMs ? 'expired' : 'heartbeat_lost', SWEEP);
      return;
    case 'pending_approval':
      await ledger.endTask(task.id, 'approval_expired', SWEEP);
      return;
    case 'pending_claim':
      await ledger.endTask(task.id, 'unclaimed', SWEEP);
      return;
    case 'ending':
      await ledger.finishTask(task.id);
      return;
    case 'ended':
      return;
    default:
      task.state satisfies never;
  }
}

/** Moves an intent or an active lease on; the lease to dispatch, or null when there is nothing to do at the target. */
export async function endDueLease(lease: Lease, nowMs: EpochMs, claimUntilMs: EpochMs, { ledger, observe }: EndDueDeps): Promise<Lease | null> {
  if (hasLapsed(lease, nowMs) && allows(lease.state, 'lapsed')) {
    const change = { type: 'lapsed', atMs: nowMs } as const;
    if ((await ledger.settle(lease, change, SWEEP)) === 'ok') observe(lapseOf(transition(lease, change)));
    return null;
  }
  if (!allows(lease.state, 'end_requested')) return null;
  const reason = lease.state === 'intended' ? 'mint_interrupted' : 'expired';
  const outcome = await ledger.settle(lease, { type: 'end_requested', atMs: nowMs, reason }, SWEEP, claimUntilMs);
  return outcome === 'ok' ? { ...lease, state: 'revoking', generation: lease.generation + 1 } : null;
}

/** A lapse is a revocation that came too late, but for what only its expiry could end. */
const lapseOf = (lapsed: Lease): RevocationObservation => ({
  provider: lapsed.provider,
  reason: lapsed.revocationReason ?? 'expired',
  outcome: 'lapsed',
  latenessMs: latenessMs(lapsed),
  traceId: traceIdOf(lapsed.traceparent),
});
