import { createMac } from '../../core/mac.ts';
import type { Clock } from '../../core/clock.ts';

/** Nonces for DPoP proofs (RFC 9449 sections 8 and 9), made and recognised by every replica that has the key; none is stored. */
export interface DpopNonces {
  /** For the `DPoP-Nonce` header. A new one each minute. */
  current(): string;
  /** Whether a replica of this deployment gave it out within the last one to two minutes. */
  accepts(nonce: string): boolean;
}

/** A client that got one has at least this long to use it. */
const TURN_MS = 60_000;

/** @param key 32 bytes, derived for this purpose alone */
export function createDpopNonces(key: Buffer, clock: Clock): DpopNonces {
  const mac = createMac(key);
  const nonceOf = (turn: number): string => `${turn}.${mac.of(String(turn))}`;
  const turnNow = (): number => Math.floor(clock.now() / TURN_MS);
  return {
    current: () => nonceOf(turnNow()),
    accepts(nonce) {
      const [, turn = '', tag] = /^(\d{1,12})\.([\w-]+)$/.exec(nonce) ?? [];
      // The next one too: another replica's clock may be ahead of ours.
      return Math.abs(Number(turn) - turnNow()) <= 1 && mac.fits(turn, tag);
    },
  };
}
