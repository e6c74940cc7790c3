import { addSeconds, type EpochMs } from '../../core/time.ts';
import type { Renewed, RenewalOrder } from '../credential-provider.ts';
import { DATABASE_EXPIRY_BUFFER_SECONDS, secondsAtTarget, type MintContext } from './mint-credential.ts';
import * as answers from './vault-answers.ts';
import { toProviderError } from './vault-failure.ts';
import { parseHandle } from './vault-handle.ts';

/**
 * Asks the target to keep a credential until a margin past its new due time: its token by accessor, and the lease that
 * hangs on it. Null where the target is another than at the mint. Throws `ProviderError`; `refused` where the token or
 * the lease cannot be renewed, or is gone: what was revoked stays so.
 */
export async function renewCredential({ intent, handle, dueAtMs }: RenewalOrder, context: Pick<MintContext, 'provider' | 'session' | 'config' | 'clock'>, signal: AbortSignal): Promise<Renewed | null> {
  const { provider, session, config, clock } = context;
  const recorded = parseHandle(handle);
  if (recorded === undefined || recorded.cluster_id !== (await session.clusterId(signal)) || recorded.namespace !== (config.namespace ?? '')) return null;
  const increment = secondsAtTarget(dueAtMs, context);
  try {
    const { auth } = await session.call({
      method: 'POST',
      path: 'auth/token/renew-accessor',
      body: { accessor: recorded.accessor, increment: `${increment}s` },
      answer: answers.renewedToken,
      signal,
    });
    const tokenEndsAtMs = addSeconds(clock.now(), auth.lease_duration);
    if (recorded.lease_id === null) return { targetExpiresAtMs: tokenEndsAtMs };
    const lease = await session.call({
      method: 'POST',
      path: 'sys/leases/renew',
      body: { lease_id: recorded.lease_id, increment },
      answer: answers.renewedLease,
      signal,
    });
    const leaseEndsAtMs = addSeconds(clock.now(), lease.lease_duration);
    return {
      targetExpiresAtMs: Math.min(tokenEndsAtMs, leaseEndsAtMs) as EpochMs,
      lapsesAtMs: addSeconds(leaseEndsAtMs, DATABASE_EXPIRY_BUFFER_SECONDS),
    };
  } catch (cause) {
    throw toProviderError(provider, `renewing ${intent.credential}`, cause);
  }
}
