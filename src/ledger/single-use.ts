import { createHash } from 'node:crypto';
import { shardOfName } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { usedKey } from './redis-keys.ts';

/** Things that may be used once: the `jti` of a signed declaration, a DPoP proof, a client assertion, a single-use token. */
export interface SingleUse {
  /**
   * True for the first who asks, over all replicas; false ever after. What is over already (`untilMs` not in the future) is
   * false too. Throws `ledger_unavailable` where Redis is away or has too few replicas: nothing then counts as unused. What
   * was marked before such a failure stays used.
   *
   * @param what names the thing and its kind unmistakably, such as `JSON.stringify(['declaration', issuer, jti])`. May be
   *   secret: only its digest is kept.
   * @param untilMs when the thing is good for nothing any more, the clock skew that its verifier grants included.
   */
  useOnce(what: string, untilMs: EpochMs): Promise<boolean>;
  /** Whether it was used: for what is done first and marked after, so that a failure in between is made good by doing it again. */
  wasUsed(what: string): Promise<boolean>;
}

/** Another replica's clock may still find the thing good: it stays marked for longer than clocks of one deployment differ. */
const MARGIN_MS = 60_000;

export function createSingleUse({ redis, clock, awaitReplicas }: LedgerSteps): SingleUse {
  return {
    async useOnce(what, untilMs) {
      const forMs = untilMs - clock.now();
      if (forMs <= 0) return false;
      // A length, not an instant: how far Redis' clock is from ours must not shorten it.
      const marked = await unavailableOnFailure(() => redis.set(keyOf(what), 1, 'PX', forMs + MARGIN_MS, 'NX'));
      if (marked !== 'OK') return false;
      await awaitReplicas();
      return true;
    },

    async wasUsed(what) {
      return (await unavailableOnFailure(() => redis.exists(keyOf(what)))) > 0;
    },
  };
}

function keyOf(what: string): string {
  const digest = createHash('sha256').update(what).digest('hex');
  return usedKey(shardOfName(digest), digest);
}
