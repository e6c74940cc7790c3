import { setTimeout as delay } from 'node:timers/promises';
import type { EpochMs } from '../../core/time.ts';
import { revokeToken, tokenMustBeGone, type Ending, type RevokeContext } from './end-at-target.ts';
import * as answers from './vault-answers.ts';
import { VaultFailure } from './vault-client.ts';
import type { VaultSession } from './vault-login.ts';

/**
 * Ends a wrapped secret, and says whether somebody had opened it. Only a wrap that was seen unopened and then revoked by
 * this very call counts as revoked. One that is gone, however it went, counts as disclosed: an opened wrap, an expired one
 * and one that a call of ours ended without hearing the answer all look the same at the target.
 *
 * @param wrapAccessor of the wrapping token
 * @param markerAccessor of the token that stands for the lease in listings; ended last
 */
export async function endWrapped(wrapAccessor: string, markerAccessor: string, context: RevokeContext, signal: AbortSignal): Promise<Ending> {
  const ending = await endWrap(wrapAccessor, context, signal);
  await revokeToken(markerAccessor, context.session, signal);
  await tokenMustBeGone(markerAccessor, context, signal);
  return ending;
}

async function endWrap(accessor: string, context: RevokeContext, signal: AbortSignal): Promise<Ending> {
  const seenUnopenedAtMs: EpochMs = context.clock.now();
  if (!(await isUnopened(accessor, context.session, signal))) return { outcome: 'disclosed' };
  if (!(await wasRevoked(accessor, context.session, signal))) return { outcome: 'disclosed' };
  await tokenMustBeGone(accessor, context, signal);
  return { outcome: 'revoked', evidence: { seenUnopenedAtMs, verifiedAtMs: context.clock.now() } };
}

/** For the length of an unwrap, milliseconds, OpenBao forbids to look at its token at all. */
const LOOKS = 4;
const LOOK_AGAIN_MS = 25;

/** A wrapping token has one use. While it is used up, and until it is cleaned away, it is shown with less. */
async function isUnopened(accessor: string, session: VaultSession, signal: AbortSignal): Promise<boolean> {
  for (let look = 1; ; look += 1) {
    try {
      const { data } = await session.call({ method: 'POST', path: 'auth/token/lookup-accessor', body: { accessor }, answer: answers.usesLeft, signal });
      return data.num_uses === 1;
    } catch (error) {
      if (isMissing(error)) return false;
      if (!(error instanceof VaultFailure && error.status === 403) || look === LOOKS) throw error;
    }
    await delay(LOOK_AGAIN_MS * 2 ** look, undefined, { signal });
  }
}

/**
 * Whether this call ended the token. OpenBao answers 204 when it did, 200 with a warning when there was none any more, and
 * 400 when its one use is being spent.
 */
async function wasRevoked(accessor: string, session: VaultSession, signal: AbortSignal): Promise<boolean> {
  try {
    const said = await session.call({ method: 'POST', path: 'auth/token/revoke-accessor', body: { accessor }, answer: answers.nothing, signal });
    return isEmpty(said);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => error instanceof VaultFailure && (error.fault === 'invalid_accessor' || error.fault === 'token_not_found');

const isEmpty = (answer: unknown): boolean => answer === undefined || answer === null || answer === '';
