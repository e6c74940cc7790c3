import { ProviderError } from '../credential-provider.ts';
import { VaultFailure } from './vault-client.ts';

/** Statuses by which the target says no for good: a wrong request, no rights, no such thing. */
const REFUSALS: ReadonlySet<number | null> = new Set([400, 403, 404, 405]);

const isRefusal = (error: unknown): boolean => error instanceof VaultFailure && REFUSALS.has(error.status);

/**
 * A failed call as a `ProviderError` that says what was being done. A mint may have happened where the target may have
 * acted on the call that creates; `mayHaveMinted` says so, for that call alone.
 */
export function toProviderError(provider: string, doing: string, error: unknown, options: { mayHaveMinted?: boolean } = {}): ProviderError {
  if (error instanceof ProviderError) return error;
  const failure = isRefusal(error) ? 'refused' : 'unavailable';
  const said = error instanceof VaultFailure ? error.message : 'the adapter failed';
  return new ProviderError(provider, failure, `${doing}: ${said}`, { mayHaveMinted: options.mayHaveMinted ?? false, cause: error });
}

/** Whether the call that failed may have been done all the same. */
export const mayHaveActed = (error: unknown): boolean => !(error instanceof ProviderError) && (!(error instanceof VaultFailure) || error.mayHaveActed);
