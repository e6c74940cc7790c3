import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import type { Secret } from '../core/secret.ts';
import type { TaskId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { LeaseIntent } from '../ledger/lease.ts';
import type { FailedLease, Ledger, MintedLease } from '../ledger/ledger.ts';
import { inSpan, type SpanFacts } from '../telemetry/in-span.ts';
import { ProviderError, type CredentialProvider, type Minted } from '../providers/credential-provider.ts';

export interface MintLeasesDeps {
  readonly ledger: Pick<Ledger, 'activate' | 'failGrant'>;
  readonly clock: Clock;
  /** For one whole mint, ms. */
  readonly mintTimeoutMs: number;
  readonly observeMint: (observation: { provider: string; outcome: 'minted' | 'unavailable' | 'refused'; seconds: number }) => void;
  readonly log: { error(fields: object, message: string): void };
}

export interface Mintable {
  readonly intent: LeaseIntent;
  readonly provider: CredentialProvider;
}

/** What is handed over, once. */
export interface Granted {
  readonly intent: LeaseIntent;
  readonly secret: Readonly<Record<string, Secret>>;
  readonly targetExpiresAtMs: Minted['targetExpiresAtMs'];
}

/** How long the minter tries to undo by itself when the ledger cannot take the duty. */
const UNDO_TIMEOUT_MS = 5_000;

/**
 * Mints what has been recorded as intended, then activates it: all or nothing. If one mint fails, or the task ended
 * meanwhile, or the ledger is lost, everything minted is put down for revocation, and revoked here where the ledger
 * cannot take it. Throws the `Problem` for the caller.
 */
export async function mintLeases(
  taskId: TaskId,
  wanted: readonly Mintable[],
  options: { readonly by: WorkloadId; readonly endsTask: boolean },
  deps: MintLeasesDeps,
): Promise<readonly Granted[]> {
  const attempts = await Promise.all(wanted.map((item) => mintOne(item, deps)));
  const failure = attempts.find((attempt) => !attempt.ok);
  if (failure !== undefined) {
    await undo(taskId, attempts, failure.error.message, options, deps);
    throw providerProblem(failure.error);
  }
  const minted = attempts.filter((attempt) => attempt.ok);
  try {
    const outcome = await inSpan('activate', { facts: { 'mayfly.task': taskId, 'mayfly.leases': minted.length } }, async (span) => {
      const activated = await deps.ledger.activate(taskId, minted.map(toMintedLease), options.by);
      span.tell({ 'mayfly.outcome': activated });
      return activated;
    });
    if (outcome === 'refused') throw new Problem('task_not_active', 'the task ended while its credentials were being minted; they are being revoked');
  } catch (error) {
    await undo(taskId, attempts, 'the grant could not be activated', options, deps);
    throw error;
  }
  return minted.map(({ item, minted: { secret, targetExpiresAtMs } }) => ({ intent: item.intent, secret, targetExpiresAtMs }));
}

type Attempt =
  | { readonly ok: true; readonly item: Mintable; readonly minted: Minted }
  | { readonly ok: false; readonly item: Mintable; readonly error: ProviderError };

async function mintOne(item: Mintable, deps: MintLeasesDeps): Promise<Attempt> {
  const startedMs = deps.clock.monotonicMs();
  const observe = (outcome: 'minted' | 'unavailable' | 'refused'): void =>
    deps.observeMint({ provider: item.provider.name, outcome, seconds: (deps.clock.monotonicMs() - startedMs) / 1000 });
  try {
    const minted = await inSpan('mint', { facts: mintFacts(item.intent), linkTo: item.intent.traceparent }, () => item.provider.mint(item.intent, AbortSignal.timeout(deps.mintTimeoutMs)));
    observe('minted');
    return { ok: true, item, minted };
  } catch (cause) {
    // An adapter that throws anything else has a fault of its own: assume the worst, that something was minted.
    const error =
      cause instanceof ProviderError
        ? cause
        : new ProviderError(item.provider.name, 'unavailable', 'the provider adapter failed', { mayHaveMinted: true, cause });
    observe(error.failure);
    deps.log.error({ provider: item.provider.name, lease: item.intent.id, err: error }, 'mint failed');
    return { ok: false, item, error };
  }
}

const mintFacts = ({ taskId, id, provider, credential, kind }: LeaseIntent): SpanFacts => ({ 'mayfly.task': taskId, 'mayfly.lease': id, 'mayfly.provider': provider, 'mayfly.credential': credential, 'mayfly.kind': kind });

const toMintedLease = ({ item, minted }: Extract<Attempt, { ok: true }>): MintedLease => ({
  leaseId: item.intent.id,
  handle: minted.handle,
  targetExpiresAtMs: minted.targetExpiresAtMs,
  lapsesAtMs: minted.lapsesAtMs === undefined ? minted.targetExpiresAtMs : minted.lapsesAtMs,
});

function fateOf(attempt: Attempt): FailedLease {
  if (attempt.ok) return { leaseId: attempt.item.intent.id, fate: 'revoke', minted: toMintedLease(attempt) };
  return attempt.error.mayHaveMinted
    ? { leaseId: attempt.item.intent.id, fate: 'revoke', minted: null }
    : { leaseId: attempt.item.intent.id, fate: 'abandoned' };
}

async function undo(
  taskId: TaskId,
  attempts: readonly Attempt[],
  failure: string,
  options: { readonly by: WorkloadId; readonly endsTask: boolean },
  deps: MintLeasesDeps,
): Promise<void> {
  const minted = attempts.filter((attempt) => attempt.ok);
  let ours = minted;
  try {
    const owedByNobody = await deps.ledger.failGrant({ taskId, leases: attempts.map(fateOf), endsTask: options.endsTask, by: options.by, failure });
    ours = minted.filter(({ item }) => owedByNobody.includes(item.intent.id));
  } catch (error) {
    // The ledger cannot take the duty now. The intent is on record and will be swept; what we hold, we end ourselves.
    deps.log.error({ task: taskId, err: error }, 'the failed grant could not be recorded; revoking at once');
  }
  await Promise.all(ours.map((attempt) => revokeNow(attempt, deps)));
}

async function revokeNow({ item, minted }: Extract<Attempt, { ok: true }>, deps: MintLeasesDeps): Promise<void> {
  try {
    const orders = [{ intent: item.intent, handle: minted.handle }];
    for await (const result of item.provider.revokeMany(orders, AbortSignal.timeout(UNDO_TIMEOUT_MS))) {
      if (result.outcome === 'failed') throw result.error;
    }
  } catch (error) {
    deps.log.error({ lease: item.intent.id, err: error }, 'a minted credential could not be undone; the sweep will find its intent, or the reconciler the credential');
  }
}

function providerProblem(error: ProviderError): Problem {
  return error.failure === 'unavailable'
    ? new Problem('provider_unavailable', `${error.provider}: ${error.message}`, { members: { provider: error.provider }, retryAfterSeconds: 5, cause: error })
    : new Problem('provider_refused', `${error.provider}: ${error.message}`, { members: { provider: error.provider }, cause: error });
}
