import { BrokenCircuitError, circuitBreaker, ConsecutiveBreaker, handleWhen, type CircuitBreakerPolicy } from 'cockatiel';
import pLimit from 'p-limit';
import type { LeaseIntent } from '../ledger/lease.ts';
import { ProviderError, type CredentialProvider, type Minted, type RevocationOrder, type RevocationResult } from './credential-provider.ts';

export interface GuardSettings {
  /** Mints at once; others wait their turn. */
  readonly maxInFlight: number;
  /** The longest wait for a turn, ms. */
  readonly queueTimeoutMs: number;
}

/** This many mints in a row without an answer, and the target is taken to be away. */
const FAILURES_TO_OPEN = 3;
/** How long before one mint is let through to see whether it is back. */
const HALF_OPEN_AFTER_MS = 2_000;

/**
 * What every provider needs around its mints, once: turns, and a breaker that answers at once while the target is away.
 * Revocation passes straight through: it is scheduled by the ledger, and must never be refused here.
 */
export function guardProvider(provider: CredentialProvider, settings: GuardSettings): CredentialProvider {
  const turns = pLimit(settings.maxInFlight);
  const isAway = (error: unknown): boolean => error instanceof ProviderError && error.failure === 'unavailable';
  const breaker: CircuitBreakerPolicy = circuitBreaker(handleWhen(isAway), {
    halfOpenAfter: HALF_OPEN_AFTER_MS,
    breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
  });

  async function mint(intent: LeaseIntent, signal: AbortSignal): Promise<Minted> {
    const queuedMs = performance.now();
    return turns(async () => {
      // Nothing was sent yet, so nothing can have been minted.
      if (signal.aborted || performance.now() - queuedMs > settings.queueTimeoutMs) throw new ProviderError(provider.name, 'unavailable', 'too many mints are waiting');
      try {
        return await breaker.execute(() => provider.mint(intent, signal));
      } catch (error) {
        if (error instanceof BrokenCircuitError) throw new ProviderError(provider.name, 'unavailable', 'the target did not answer lately; nothing is sent until it does', { cause: error });
        throw error;
      }
    });
  }

  return {
    name: provider.name,
    capabilities: (credential) => provider.capabilities(credential),
    mint,
    revokeMany: (orders: readonly RevocationOrder[], signal: AbortSignal): AsyncIterable<RevocationResult> => provider.revokeMany(orders, signal),
    ...(provider.list === undefined ? {} : { list: provider.list.bind(provider) }),
    checkHealth: (signal) => provider.checkHealth(signal),
    close: () => provider.close(),
  };
}
