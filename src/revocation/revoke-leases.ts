import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { LeaseId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { addMs, type EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Lease } from '../ledger/lease.ts';
import { latenessMs } from '../ledger/lateness.ts';
import { allows, deadlineOf, transition, type LeaseChange } from '../ledger/lease-transitions.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { ProviderError, type CredentialProvider, type RevocationResult } from '../providers/credential-provider.ts';
import type { OpenSpan } from '../telemetry/in-span.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import { probeFirst } from './probe-first.ts';
import { nextTry, type RetrySettings } from './retry-schedule.ts';
import { openRevocation } from './revocation-span.ts';

/** A lease to revoke and the generation at which it was found due: all that a job holds. */
export type DuePair = readonly [lease: LeaseId, generation: number];

export interface RevokeLeasesDeps {
  readonly ledger: Pick<Ledger, 'getLeases' | 'settle'>;
  /** Whether the target of a provider is known not to answer. */
  readonly isAway: (provider: string) => boolean;
  readonly clock: Clock;
  readonly retry: RetrySettings;
  readonly observe: (observation: RevocationObservation) => void;
  readonly log: { warn(fields: object, message: string): void };
}

export interface RevocationObservation {
  readonly provider: string;
  readonly reason: string;
  readonly outcome: 'revoked' | 'lapsed' | 'disclosed' | 'left_to_lapse' | 'failed' | 'stuck';
  /** From the instant the lease should have been dead to its end, ms; null while it has none, and where none could be had in time. */
  readonly latenessMs: number | null;
  /** That its task was declared in. */
  readonly traceId: string | null;
}

const WORKER: WorkloadId = { issuer: 'mayfly', subject: 'revocation-worker' };

/**
 * The one path by which a credential is ended at its target. Reads the leases afresh, asks the provider, and records
 * every result: a failure is scheduled again, never dropped. Leases that moved on since they were found due are left alone.
 */
export async function revokeLeases(
  provider: CredentialProvider,
  pairs: readonly DuePair[],
  signal: AbortSignal,
  deps: RevokeLeasesDeps,
): Promise<void> {
  const generations = new Map(pairs);
  const found = await deps.ledger.getLeases([...generations.keys()]);
  const leases = new Map(
    found
      .filter((lease) => lease !== null)
      .filter((lease) => lease.generation === generations.get(lease.id) && allows(lease.state, 'revoked'))
      .map((lease) => [lease.id, lease]),
  );
  const orders = [...leases.values()].map((lease) => ({ intent: lease, handle: lease.handle }));
  if (orders.length === 0) return;

  const spans = new Map([...leases].map(([id, lease]) => [id, openRevocation(lease)]));
  const settled: Promise<void>[] = [];
  const settleResult = (result: RevocationResult): void => {
    const lease = leases.get(result.leaseId);
    if (lease === undefined) return;
    leases.delete(result.leaseId);
    settled.push(record(lease, result, signal, deps).finally(() => endSpan(spans.get(lease.id), result)));
  };
  try {
    for await (const result of probeFirst(provider, () => deps.isAway(provider.name), orders, signal)) settleResult(result);
  } catch (cause) {
    deps.log.warn({ provider: provider.name, err: cause }, 'revocation batch broke off');
  }
  // Whatever the provider did not answer for has failed: it stays on the schedule.
  for (const leaseId of [...leases.keys()]) {
    settleResult({ leaseId, outcome: 'failed', error: new ProviderError(provider.name, 'unavailable', 'the provider gave no answer') });
  }
  await Promise.all(settled);
}

function endSpan(span: OpenSpan | undefined, result: RevocationResult): void {
  span?.tell({ 'mayfly.outcome': result.outcome });
  if (result.outcome === 'failed') span?.fail(result.error);
  span?.end();
}

async function record(lease: Lease, result: RevocationResult, signal: AbortSignal, deps: RevokeLeasesDeps): Promise<void> {
  const nowMs = deps.clock.now();
  const change = changeFor(lease, result, nowMs, deps.retry);
  deps.observe({
    provider: lease.provider,
    reason: lease.revocationReason ?? 'expired',
    outcome: change.type === 'attempt_failed' ? (change.stuck ? 'stuck' : 'failed') : change.type,
    latenessMs: latenessMs(transition(lease, change)),
    traceId: traceIdOf(lease.traceparent),
  });
  if (result.outcome === 'failed') {
    deps.log.warn({ lease: lease.id, provider: lease.provider, attempts: lease.attempts + 1, err: result.error }, 'revocation failed; it will be tried again');
  }
  if (result.outcome === 'disclosed') {
    deps.log.warn({ lease: lease.id, provider: lease.provider, credential: lease.credential }, 'a static secret was opened; only rotating it ends it');
  }
  await settleWhenPossible(lease, change, signal, deps);
}

type ResultChange = Extract<LeaseChange, { type: 'revoked' | 'disclosed' | 'left_to_lapse' | 'attempt_failed' }>;

function changeFor(lease: Lease, result: RevocationResult, nowMs: EpochMs, retry: RetrySettings): ResultChange {
  switch (result.outcome) {
    case 'revoked':
      return { type: 'revoked', atMs: nowMs, ...result.evidence };
    case 'disclosed':
      return { type: 'disclosed', atMs: nowMs };
    case 'lapses':
      return { type: 'left_to_lapse', lapsesAtMs: result.atMs };
    case 'failed': {
      const { atMs, stuck } = nextTry(lease.attempts, deadlineOf(lease), nowMs, result.error.retryable, retry);
      return { type: 'attempt_failed', nextTryAtMs: atMs, failure: result.error.message, stuck };
    }
    default:
      return result satisfies never;
  }
}

/** How long to wait between attempts to record what was done while the ledger is away. */
const RECORD_RETRY_MS = 500;

/**
 * Records a result, waiting for the ledger if it is away: what was revoked at the target must not be forgotten here.
 * Should the process end first, the lease is still on the schedule, and revoking twice is revoking once.
 */
async function settleWhenPossible(lease: Lease, change: ResultChange, signal: AbortSignal, deps: RevokeLeasesDeps): Promise<void> {
  for (;;) {
    try {
      await deps.ledger.settle(lease, change, WORKER);
      return;
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'ledger_unavailable') || signal.aborted) throw error;
      await sleep(RECORD_RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** The clocks of a target and ours may differ by this much before a lapse is taken as certain. */
export const LAPSE_MARGIN_MS = 5_000;

/** Whether the target's own clock has certainly ended the credential. */
export function hasLapsed(lease: Lease, nowMs: EpochMs): boolean {
  if (lease.lapsesAtMs === null) return false;
  if (lease.revocability === 'none') return nowMs >= lease.lapsesAtMs;
  return lease.attempts > 0 && nowMs >= addMs(lease.lapsesAtMs, LAPSE_MARGIN_MS);
}
