import { ProviderError, type CredentialProvider, type RevocationOrder, type RevocationResult } from '../providers/credential-provider.ts';

/**
 * The breaker of revocation: revokes as the provider does, but while its target is known to be away, one order goes first,
 * and the rest only where that one was answered. Else the rest has failed as well, without each waiting for a time-out of
 * its own: they are due again soon. No duty is refused: every batch tries.
 */
export async function* probeFirst(provider: CredentialProvider, isAway: () => boolean, orders: readonly RevocationOrder[], signal: AbortSignal): AsyncGenerator<RevocationResult, void, undefined> {
  const [probe, ...others] = orders;
  if (probe === undefined || !isAway()) {
    yield* provider.revokeMany(orders, signal);
    return;
  }
  let answered = false;
  for await (const result of provider.revokeMany([probe], signal)) {
    answered = result.outcome !== 'failed' || result.error.failure !== 'unavailable';
    yield result;
  }
  if (answered) {
    yield* provider.revokeMany(others, signal);
    return;
  }
  for (const { intent } of others) yield { leaseId: intent.id, outcome: 'failed', error: new ProviderError(provider.name, 'unavailable', 'the target is away') };
}
