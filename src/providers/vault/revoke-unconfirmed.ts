import type { LeaseId } from '../../core/ids.ts';
import { addMs, addSeconds, type EpochMs } from '../../core/time.ts';
import type { CredentialKind, LeaseIntent } from '../../ledger/lease.ts';
import { ProviderError, type RevocationResult } from '../credential-provider.ts';
import { revokeLease, revokeToken, settle, settleAs, tokenMustBeGone, leaseMustBeGone, type Ending, type RevokeContext } from './end-at-target.ts';
import { endWrapped } from './end-wrapped.ts';
import { inParallel } from './in-parallel.ts';
import { fixedPart } from './leased-path.ts';
import { findLeases, liveTokens, type FoundLease, type LiveToken } from './list-live.ts';
import type { VaultCredentialConfig } from '../../config/config-schema.ts';
import type { RecordedTarget } from './recorded-target.ts';
import type { VaultHandle } from './vault-handle.ts';
import type { VaultSession } from './vault-login.ts';

/** An order that does not name all there is to end: its mint was never confirmed, or it was found by listing. */
export interface UnconfirmedOrder {
  readonly intent: LeaseIntent;
  /** Null where nothing is known but the intent. */
  readonly handle: VaultHandle | null;
  readonly credential: VaultCredentialConfig | undefined;
  /** What may hang on its token: a lease, or a wrap. */
  readonly kind: CredentialKind;
}

/**
 * Ends what has no full handle. Tokens are found by the lease id in their metadata, with one listing for all orders.
 * A lease at the target does not say which token it hung on; but ending a token makes its leases expire at that moment, so
 * every expired lease of the path is ended, which is right for each of them, and none of the order's time may be left.
 * A wrap that no token names was never handed over, and is left to its own end.
 */
export async function* revokeUnconfirmed(
  orders: readonly UnconfirmedOrder[],
  target: RecordedTarget,
  context: RevokeContext,
  signal: AbortSignal,
): AsyncGenerator<RevocationResult, void, undefined> {
  if (orders.length === 0) return;
  const tokens = orders.some(({ handle }) => handle === null) ? tokensByLease(context, signal) : Promise.resolve(new Map<LeaseId, FoundToken[]>());
  tokens.catch(() => undefined);
  const endTokens = async ({ intent, handle, kind }: UnconfirmedOrder): Promise<Ending> => {
    if (handle !== null) await target.mustBe(handle);
    const found = handle === null ? ((await tokens).get(intent.id) ?? []) : [{ accessor: handle.accessor, wrapAccessor: null }];
    let ending: Ending = kind === 'vault.kv' ? { outcome: 'lapses', atMs: addSeconds(intent.dueAtMs, context.targetMarginSeconds + 1) } : { outcome: 'revoked' };
    for (const { accessor, wrapAccessor } of found) {
      if (wrapAccessor !== null) ending = await endWrapped(wrapAccessor, accessor, context, signal);
      else {
        await revokeToken(accessor, context.session, signal);
        await tokenMustBeGone(accessor, context, signal);
      }
    }
    return ending;
  };
  const ended: UnconfirmedOrder[] = [];
  const firstStep = async (order: UnconfirmedOrder): Promise<{ order: UnconfirmedOrder; result: RevocationResult }> => ({
    order,
    result: await settleAs(order.intent.id, context.provider, () => endTokens(order)),
  });
  for await (const { order, result } of inParallel(orders, context.concurrency, firstStep)) {
    if (result.outcome === 'revoked' && order.kind === 'vault.dynamic') ended.push(order);
    else yield result;
  }
  const expired = new Map<string, Promise<readonly FoundLease[]>>();
  for (const { intent, credential } of ended) {
    yield await settle(intent.id, context.provider, async () => {
      const path = leasedPathOf(credential, context.provider);
      const left = expired.get(path) ?? endExpiredLeases(path, context, signal);
      expired.set(path, left);
      if ((await left).some((lease) => mayBelongTo(intent, lease.issuedAtMs))) {
        throw new ProviderError(context.provider, 'unavailable', 'a lease of its path is expired but could not be ended yet');
      }
    });
  }
}

function leasedPathOf(credential: VaultCredentialConfig | undefined, provider: string): string {
  if (credential?.kind !== 'vault.dynamic') {
    throw new ProviderError(provider, 'refused', 'its credential is not configured any more, so its leases cannot be looked for');
  }
  return fixedPart(credential.path);
}

type FoundToken = Pick<LiveToken, 'accessor' | 'wrapAccessor'>;

async function tokensByLease(context: RevokeContext, signal: AbortSignal): Promise<Map<LeaseId, FoundToken[]>> {
  const found = new Map<LeaseId, FoundToken[]>();
  for await (const { leaseId, accessor, wrapAccessor } of liveTokens(listSession(context), context, signal)) {
    found.set(leaseId, [...(found.get(leaseId) ?? []), { accessor, wrapAccessor }]);
  }
  return found;
}

function listSession({ listSession: session, provider }: RevokeContext): VaultSession {
  if (session === undefined) throw new ProviderError(provider, 'refused', 'a credential without a handle can only be found with the right to list');
  return session;
}

/** Ends every lease below the path that is past its end, and answers those that are still there. */
async function endExpiredLeases(path: string, context: RevokeContext, signal: AbortSignal): Promise<readonly FoundLease[]> {
  const left: FoundLease[] = [];
  const endOne = async (lease: FoundLease): Promise<FoundLease | null> => {
    try {
      await revokeLease(lease.id, context.session, signal);
      await leaseMustBeGone(lease.id, context, signal);
      return null;
    } catch {
      // Which orders wait for it is for the caller to say.
      return lease;
    }
  };
  const expired: FoundLease[] = [];
  for await (const lease of findLeases(path, listSession(context), context.concurrency, signal)) {
    if (lease.ttlSeconds <= 0) expired.push(lease);
  }
  for await (const alive of inParallel(expired, context.concurrency, endOne)) {
    if (alive !== null) left.push(alive);
  }
  return left;
}

/** The target's clock and ours may differ by this much. */
const CLOCK_DIFFERENCE_MS = 60_000;

const mayBelongTo = (intent: LeaseIntent, issuedAtMs: EpochMs): boolean => issuedAtMs >= addMs(intent.createdAtMs, -CLOCK_DIFFERENCE_MS);
