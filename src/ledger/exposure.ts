import type { Lease } from './lease.ts';
import { deadlineOf } from './lease-transitions.ts';

/**
 * How long an ended lease stayed usable after it should have been dead, at most, ms. A lapsed one died by its target's own
 * clock, whenever that was noticed; a revoked one when its end held everywhere. Null while it is not known: before the end,
 * and for ever for what was disclosed.
 */
export function exposureMs(lease: Lease): number | null {
  const deadAtMs = deadAt(lease);
  return deadAtMs === null ? null : Math.max(0, deadAtMs - deadlineOf(lease));
}

function deadAt({ state, finalAtMs, effectiveByMs, lapsesAtMs }: Lease): number | null {
  switch (state) {
    case 'revoked':
      // What its own clock ends sooner is dead then.
      return effectiveByMs === null ? finalAtMs : Math.min(effectiveByMs, lapsesAtMs ?? effectiveByMs);
    case 'lapsed':
      return lapsesAtMs ?? finalAtMs;
    case 'abandoned':
      return finalAtMs;
    default:
      return null;
  }
}
