import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import type { LeaseId } from '../../core/ids.ts';
import type { EpochMs } from '../../core/time.ts';
import type { EndEvidence } from '../../ledger/lease-transitions.ts';
import { ProviderError, type RevocationResult } from '../credential-provider.ts';
import type { VaultCredentialConfig } from '../../config/config-schema.ts';
import * as answers from './vault-answers.ts';
import { VaultFailure, type VaultClient } from './vault-client.ts';
import { toProviderError } from './vault-failure.ts';
import type { VaultSession } from './vault-login.ts';

export interface RevokeContext {
  readonly provider: string;
  readonly client: VaultClient;
  /** The worker's login. */
  readonly session: VaultSession;
  /** The reconciler's login, where this process has it: finds what has no handle. */
  readonly listSession: VaultSession | undefined;
  readonly namespace: string;
  readonly deploymentId: string;
  readonly clock: Clock;
  /** How long after a due time the target's own clock ends a credential. */
  readonly targetMarginSeconds: number;
  readonly credentials: ReadonlyMap<string, VaultCredentialConfig>;
  readonly concurrency: number;
}

/** Ends a token and hands what hangs on it to Vault's own clean-up. One that is gone already is a success. */
export async function revokeToken(accessor: string, session: VaultSession, signal: AbortSignal): Promise<void> {
  await unlessGone('invalid_accessor', session.call({ method: 'POST', path: 'auth/token/revoke-accessor', body: { accessor }, answer: answers.nothing, signal }));
}

/** Ends a lease, and answers when the target has done it. One that is gone already is a success. */
export async function revokeLease(leaseId: string, session: VaultSession, signal: AbortSignal): Promise<void> {
  const body = { lease_id: leaseId, sync: true };
  await unlessGone('invalid_lease', session.call({ method: 'POST', path: 'sys/leases/revoke', body, answer: answers.nothing, signal }));
}

/** Whether the call found the thing; false where the target says that it does not exist. */
async function unlessGone(fault: 'invalid_accessor' | 'invalid_lease', call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof VaultFailure && error.fault === fault) return false;
    throw error;
  }
}

/** An answered revocation can still be under way for a moment; longer, and it is reported as not done, and tried again. */
const LOOKS = 5;
const FIRST_LOOK_AGAIN_MS = 20;

async function mustBeGone(exists: () => Promise<boolean>, provider: string, signal: AbortSignal): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    if (!(await exists())) return;
    await delay(FIRST_LOOK_AGAIN_MS * 2 ** look, undefined, { signal });
  }
  throw new ProviderError(provider, 'unavailable', 'the target took the revocation but still knows the credential');
}

export function tokenMustBeGone(accessor: string, { session, provider }: RevokeContext, signal: AbortSignal): Promise<void> {
  const look = { method: 'POST', path: 'auth/token/lookup-accessor', body: { accessor }, answer: answers.nothing, signal } as const;
  return mustBeGone(() => unlessGone('invalid_accessor', session.call(look)), provider, signal);
}

export function leaseMustBeGone(leaseId: string, { session, provider }: RevokeContext, signal: AbortSignal): Promise<void> {
  const look = { method: 'POST', path: 'sys/leases/lookup', body: { lease_id: leaseId }, answer: answers.nothing, signal } as const;
  return mustBeGone(() => unlessGone('invalid_lease', session.call(look)), provider, signal);
}
export const failed = (leaseId: LeaseId, error: ProviderError): RevocationResult => ({ leaseId, outcome: 'failed', error });

/** What came of one lease at the target, where nothing failed. */
export type Ending =
  | { readonly outcome: 'revoked'; readonly evidence?: EndEvidence }
  | { readonly outcome: 'disclosed' }
  | { readonly outcome: 'lapses'; readonly atMs: EpochMs };

/** `revoked` when `revoke` returns, `failed` when it throws. */
export const settle = (leaseId: LeaseId, provider: string, revoke: () => Promise<void>): Promise<RevocationResult> =>
  settleAs(leaseId, provider, async () => {
    await revoke();
    return { outcome: 'revoked' };
  });

/** What `end` answers, or `failed` when it throws. */
export async function settleAs(leaseId: LeaseId, provider: string, end: () => Promise<Ending>): Promise<RevocationResult> {
  try {
    return { leaseId, ...(await end()) };
  } catch (cause) {
    return failed(leaseId, revocationFailure(provider, cause));
  }
}

/**
 * Only a 403 is for a human. Vault answers 400 where a database is down, so all else is tried again; a wrong request would
 * show as stuck soon enough.
 */
function revocationFailure(provider: string, cause: unknown): ProviderError {
  if (cause instanceof ProviderError) return cause;
  if (cause instanceof VaultFailure && cause.status !== 403) {
    return new ProviderError(provider, 'unavailable', `revoking: ${cause.message}`, { cause });
  }
  return toProviderError(provider, 'revoking', cause);
}

