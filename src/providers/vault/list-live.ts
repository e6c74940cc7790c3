import type { z } from 'zod';
import { isLeaseId, type LeaseId } from '../../core/ids.ts';
import { addSeconds, fromEpochSeconds, fromRfc3339, type EpochMs } from '../../core/time.ts';
import { inParallel } from './in-parallel.ts';
import * as answers from './vault-answers.ts';
import { VaultFailure } from './vault-client.ts';
import type { VaultSession } from './vault-login.ts';

export interface LiveToken {
  readonly leaseId: LeaseId;
  readonly accessor: string;
  readonly credential: string;
  /** Of the wrap that a token marks, where it marks one. */
  readonly wrapAccessor: string | null;
  readonly createdAtMs: EpochMs;
  /** When it is to be dead; null where its metadata and its expiry say nothing. */
  readonly dueAtMs: EpochMs | null;
}

/**
 * The tokens alive at the target that carry our deployment id, and no others. What cannot be looked at does not keep the
 * rest from being found: it is thrown at the end. Throws `VaultFailure` or `ProviderError`.
 */
export async function* liveTokens(
  session: VaultSession,
  { deploymentId, targetMarginSeconds, concurrency }: { readonly deploymentId: string; readonly targetMarginSeconds: number; readonly concurrency: number },
  signal: AbortSignal,
): AsyncGenerator<LiveToken, void, undefined> {
  const accessors = await listKeys('auth/token/accessors', session, signal);
  const lookUp = async (accessor: string): Promise<Looked> => {
    const look = { method: 'POST', path: 'auth/token/lookup-accessor', body: { accessor }, answer: answers.tokenByAccessor, signal } as const;
    try {
      const found = await unlessMissing('invalid_accessor', session.call(look));
      return { kind: 'seen', token: found === undefined ? undefined : ours(found, accessor, deploymentId, targetMarginSeconds) };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { kind: isForbidden(error) ? 'forbidden' : 'failed', error };
    }
  };
  let seen = 0;
  let forbidden: Error | undefined;
  let failure: Error | undefined;
  for await (const looked of inParallel(accessors, concurrency, lookUp)) {
    if (looked.kind === 'seen') seen += 1;
    else if (looked.kind === 'forbidden') forbidden = looked.error;
    else failure = looked.error;
    if (looked.kind === 'seen' && looked.token !== undefined) yield looked.token;
  }
  // Our own login is among them and can always be seen: seeing nothing at all is a lack of rights.
  const cause = failure ?? (seen === 0 ? forbidden : undefined);
  if (cause !== undefined) throw cause;
}

/**
 * OpenBao forbids to look at an accessor whose token was never stored: what is left of a creation that was broken off.
 * There is no token behind it, and nobody was given one.
 */
type Looked =
  | { readonly kind: 'seen'; readonly token: LiveToken | undefined }
  | { readonly kind: 'forbidden' | 'failed'; readonly error: Error };

const isForbidden = (error: Error): boolean => error instanceof VaultFailure && error.status === 403;

function ours({ data }: z.infer<typeof answers.tokenByAccessor>, accessor: string, deploymentId: string, targetMarginSeconds: number): LiveToken | undefined {
  const meta = data.meta ?? {};
  const leaseId = meta['mayfly_lease'] ?? '';
  if (meta['mayfly_deployment'] !== deploymentId || !isLeaseId(leaseId)) return undefined;
  return {
    leaseId,
    accessor,
    credential: meta['credential'] ?? '',
    wrapAccessor: meta['mayfly_wrap'] ?? null,
    createdAtMs: fromEpochSeconds(data.creation_time),
    dueAtMs: dueAt(meta['due_at'], data.expire_time ?? undefined, targetMarginSeconds),
  };
}

/** The later of what the mint wrote down and of what its expiry says: a renewal moves only the expiry. */
function dueAt(written: string | undefined, expires: string | undefined, targetMarginSeconds: number): EpochMs | null {
  const writtenMs = fromRfc3339(written ?? '');
  const expiresMs = fromRfc3339(expires ?? '');
  const byExpiryMs = expiresMs === undefined ? undefined : addSeconds(expiresMs, -targetMarginSeconds);
  if (writtenMs === undefined || byExpiryMs === undefined) return writtenMs ?? byExpiryMs ?? null;
  return writtenMs > byExpiryMs ? writtenMs : byExpiryMs;
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
