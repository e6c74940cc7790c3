import { ProviderError, type RevocationOrder, type RevocationResult } from '../credential-provider.ts';
import { failed, leaseMustBeGone, revokeLease, revokeToken, settleAs, tokenMustBeGone, type Ending, type RevokeContext } from './end-at-target.ts';
import { endWrapped } from './end-wrapped.ts';
import { inParallel } from './in-parallel.ts';
import { RecordedTarget } from './recorded-target.ts';
import { revokeUnconfirmed, type UnconfirmedOrder } from './revoke-unconfirmed.ts';
import { parseHandle, type VaultHandle } from './vault-handle.ts';

interface ConfirmedOrder {
  readonly leaseId: RevocationOrder['intent']['id'];
  readonly handle: VaultHandle;
}

/**
 * Ends credentials at the target, many at once, and yields a result for each. Nothing is called revoked before the target
 * was asked and knows it no longer; what is gone already counts only at the very target that minted it.
 */
export async function* revokeCredentials(
  orders: readonly RevocationOrder[],
  context: RevokeContext,
  signal: AbortSignal,
): AsyncGenerator<RevocationResult, void, undefined> {
  const target = new RecordedTarget(context, signal);
  const confirmed: ConfirmedOrder[] = [];
  const unconfirmed: UnconfirmedOrder[] = [];
  for (const { intent, handle: recorded } of orders) {
    const handle = recorded === null ? null : parseHandle(recorded);
    if (handle === undefined) {
      yield failed(intent.id, new ProviderError(context.provider, 'refused', 'the recorded handle is not one of this provider'));
      continue;
    }
    const credential = context.credentials.get(handle?.credential ?? intent.credential);
    const kind = credential?.kind ?? (handle === null ? intent.kind : 'vault.token');
    const isWhole = handle !== null && (kind === 'vault.token' || handle.lease_id !== null || handle.wrap_accessor !== null);
    if (isWhole) confirmed.push({ leaseId: intent.id, handle });
    else unconfirmed.push({ intent, handle, credential, kind });
  }
  yield* inParallel(confirmed, context.concurrency, ({ leaseId, handle }) =>
    settleAs(leaseId, context.provider, () => endByHandle(handle, target, context, signal)),
  );
  yield* revokeUnconfirmed(unconfirmed, target, context, signal);
}

async function endByHandle(handle: VaultHandle, target: RecordedTarget, context: RevokeContext, signal: AbortSignal): Promise<Ending> {
  await target.mustBe(handle);
  if (handle.wrap_accessor !== null) return endWrapped(handle.wrap_accessor, handle.accessor, context, signal);
  if (handle.lease_id === null) {
    await revokeToken(handle.accessor, context.session, signal);
    await tokenMustBeGone(handle.accessor, context, signal);
    return { outcome: 'revoked', evidence: { verifiedAtMs: context.clock.now() } };
  }
  // Synchronously first: its answer says whether the database did it. The token is ended even when that failed, so that
  // OpenBao keeps trying by itself as well; it alone proves nothing, for the lease may be queued behind it.
  const lease = await attempt(revokeLease(handle.lease_id, context.session, signal));
  const token = await attempt(revokeToken(handle.accessor, context.session, signal));
  if (lease.failed) throw lease.error;
  if (token.failed) throw token.error;
  await leaseMustBeGone(handle.lease_id, context, signal);
  return { outcome: 'revoked', evidence: { verifiedAtMs: context.clock.now() } };
}

type Attempt = { readonly failed: false } | { readonly failed: true; readonly error: unknown };

const attempt = (work: Promise<void>): Promise<Attempt> =>
  work.then(
    () => ({ failed: false }),
    (error: unknown) => ({ failed: true, error }),
  );
