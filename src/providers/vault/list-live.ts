import { isLeaseId, type LeaseId } from '../../core/ids.ts';
import { fromEpochSeconds, fromRfc3339, type EpochMs } from '../../core/time.ts';
import { inParallel } from './in-parallel.ts';
import * as answers from './vault-answers.ts';
import { VaultFailure } from './vault-client.ts';
import type { VaultSession } from './vault-login.ts';

export interface LiveToken {
  readonly leaseId: LeaseId;
  readonly accessor: string;
  readonly credential: string;
  readonly createdAtMs: EpochMs;
}

/** The tokens alive at the target that carry our deployment id, and no others. Throws `VaultFailure` or `ProviderError`. */
export async function* liveTokens(
  session: VaultSession,
  { deploymentId, concurrency }: { readonly deploymentId: string; readonly concurrency: number },
  signal: AbortSignal,
): AsyncGenerator<LiveToken, void, undefined> {
  const accessors = await listKeys('auth/token/accessors', session, signal);
  const lookUp = async (accessor: string): Promise<LiveToken | undefined> => {
    const look = { method: 'POST', path: 'auth/token/lookup-accessor', body: { accessor }, answer: answers.tokenByAccessor, signal } as const;
    const found = await unlessMissing('invalid_accessor', session.call(look));
    const meta = found?.data.meta ?? {};
    const leaseId = meta['mayfly_lease'] ?? '';
    if (found === undefined || meta['mayfly_deployment'] !== deploymentId || !isLeaseId(leaseId)) return undefined;
    return { leaseId, accessor, credential: meta['credential'] ?? '', createdAtMs: fromEpochSeconds(found.data.creation_time) };
  };
  for await (const token of inParallel(accessors, concurrency, lookUp)) if (token !== undefined) yield token;
}

export interface FoundLease {
  readonly id: string;
  /** 0 or less: past its end, and waiting to be cleaned up. */
  readonly ttlSeconds: number;
  readonly issuedAtMs: EpochMs;
}

/** Every lease at the target below `path`. Throws `VaultFailure` or `ProviderError`. */
export async function* findLeases(
  path: string,
  session: VaultSession,
  concurrency: number,
  signal: AbortSignal,
): AsyncGenerator<FoundLease, void, undefined> {
  const keys = await listKeys(`sys/leases/lookup/${path}`, session, signal);
  const lookUp = async (key: string): Promise<FoundLease | undefined> => {
    const look = { method: 'POST', path: 'sys/leases/lookup', body: { lease_id: `${path}/${key}` }, answer: answers.leaseState, signal } as const;
    const found = await unlessMissing('invalid_lease', session.call(look));
    if (found === undefined) return undefined;
    const { id, ttl, issue_time: issued } = found.data;
    const issuedAtMs = fromRfc3339(issued);
    if (issuedAtMs === undefined) throw new VaultFailure('the target gave an answer of an unknown form', { status: 200, mayHaveActed: false });
    return { id, ttlSeconds: ttl, issuedAtMs };
  };
  const leases = keys.filter((key) => !key.endsWith('/'));
  for await (const lease of inParallel(leases, concurrency, lookUp)) if (lease !== undefined) yield lease;
  for (const folder of keys.filter((key) => key.endsWith('/'))) {
    yield* findLeases(`${path}/${folder.slice(0, -1)}`, session, concurrency, signal);
  }
}

async function listKeys(path: string, session: VaultSession, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return (await session.call({ method: 'LIST', path, answer: answers.keyList, signal })).data.keys;
  } catch (error) {
    // Vault's answer for an empty list.
    if (error instanceof VaultFailure && error.status === 404) return [];
    throw error;
  }
}

/** The answer, or undefined where the thing ended since it was listed. */
async function unlessMissing<T>(fault: 'invalid_accessor' | 'invalid_lease', call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof VaultFailure && error.fault === fault) return undefined;
    throw error;
  }
}
