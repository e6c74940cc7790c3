import { circuitBreaker, ConsecutiveBreaker, ExponentialBackoff, handleWhen, isBrokenCircuitError } from 'cockatiel';
import pLimit, { type LimitFunction } from 'p-limit';
import { ProviderError, type CredentialProvider } from './credential-provider.ts';
import { withDeadline } from '../core/with-deadline.ts';

export interface GuardSettings {
  /** Mints at once; the others wait their turn. */
  readonly maxInFlight: number;
  /** For one mint, its waiting included, ms. */
  readonly mintTimeoutMs: number;
}

/** One failure can be chance; three in a row are a target that is away. */
const FAILURES_TO_OPEN = 3;
/** The first try again after this; each that fails doubles it, up to the longest. */
const FIRST_PROBE_AFTER_MS = 1_000;
const LONGEST_PROBE_AFTER_MS = 10_000;

/**
 * The same provider with mints bounded: so many at once, each within its time, and none at all while the target is known
 * to be away, so that callers hear at once. `mint` throws nothing but `ProviderError`. Revoking passes through untouched:
 * its retries are on the ledger's schedule, and a duty must not be refused here.
 */
export function guardProvider(provider: CredentialProvider, { maxInFlight, mintTimeoutMs }: GuardSettings): CredentialProvider {
  const turn = pLimit(maxInFlight);
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof ProviderError && error.failure === 'unavailable'),
    {
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
      halfOpenAfter: new ExponentialBackoff({ initialDelay: FIRST_PROBE_AFTER_MS, maxDelay: LONGEST_PROBE_AFTER_MS }),
    },
  );
  const unavailable = (message: string): ProviderError => new ProviderError(provider.name, 'unavailable', message);

  const mint: CredentialProvider['mint'] = async (intent, callerSignal) => {
    try {
      // Waiting is outside the breaker: a long queue of our own is no sign that the target is away.
      return await withDeadline(mintTimeoutMs, callerSignal, (signal) => inTurn(turn, signal, () => breaker.execute(() => provider.mint(intent, signal))));
    } catch (error) {
      if (error instanceof ProviderError) throw error;
      if (error instanceof WaitedTooLong) throw unavailable('too many mints are waiting; this one waited too long');
      if (isBrokenCircuitError(error)) throw unavailable('the target failed several times in a row; it is left alone for a moment');
      // A fault of the adapter's own: assume the worst, that something was minted.
      throw new ProviderError(provider.name, 'unavailable', 'the provider adapter failed', { mayHaveMinted: true, cause: error });
    }
  };

  return {
    name: provider.name,
    capabilities: (credential) => provider.capabilities(credential),
    mint,
    ...(provider.renew === undefined ? {} : { renew: provider.renew.bind(provider) }),
    revokeMany: (orders, signal) => provider.revokeMany(orders, signal),
    ...(provider.list === undefined ? {} : { list: provider.list.bind(provider) }),
    ...(provider.undone === undefined ? {} : { undone: provider.undone.bind(provider) }),
    ...(provider.tidy === undefined ? {} : { tidy: provider.tidy.bind(provider) }),
    checkHealth: (signal) => provider.checkHealth(signal),
    close: () => provider.close(),
  };
}

class WaitedTooLong extends Error {}

/** Runs `work` when its turn comes; throws `WaitedTooLong`, and never runs it, when `signal` aborts before that. */
function inTurn<T>(turn: LimitFunction, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(new WaitedTooLong());
    signal.addEventListener('abort', giveUp, { once: true });
    turn(() => {
      signal.removeEventListener('abort', giveUp);
      if (signal.aborted) throw new WaitedTooLong();
      return work();
    }).then(resolve, reject);
  });
}
