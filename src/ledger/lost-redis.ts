import { Problem } from '../core/problem.ts';

/** Turns a lost Redis into the problem that says so; everything else passes through. */
export async function unavailableOnFailure<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Error && LOST_REDIS.test(`${error.name} ${error.message}`)) {
      throw new Problem('ledger_unavailable', 'the ledger (Redis) does not answer; nothing was granted', { cause: error, retryAfterSeconds: 2 });
    }
    throw error;
  }
}

/** How ioredis and Redis say that the server is gone, starting, out of memory, or read-only. */
const LOST_REDIS =
  /MaxRetriesPerRequest|Connection is closed|isn't writeable|Command timed out|ECONN|EPIPE|ETIMEDOUT|LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|OOM|MISCONF|NOAUTH|Stream connection ended|Socket closed/i;

type AsyncMethods = Record<string, (...args: never[]) => Promise<unknown>>;

/** The same methods, each with a lost Redis told as such. */
export function onFailureUnavailable<T extends AsyncMethods>(methods: T): T {
  const wrapped = Object.entries(methods).map(([name, method]) => [
    name,
    (...args: never[]) => unavailableOnFailure(() => method(...args)),
  ]);
  return Object.fromEntries(wrapped) as T;
}
