import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import { PublicKeys, usableJwks, type KeyLog } from './public-keys.ts';
import type { KeyResolver } from './verify-token.ts';

/** SPIFFE bundle (Trust Domain and Bundle section 4); a sequence beyond what a number holds exactly is refused. */
const bundle = z.object({ keys: z.array(z.unknown()), spiffe_sequence: z.int().nonnegative().optional() });

/** The file is looked at again this often. */
const LOOK_EVERY_MS = 1_000;
/** So long a file that cannot be used leaves the last good bundle in force: time to mend it, as with an issuer that is down. */
const MAX_FAULT_MS = 3_600_000;

/**
 * The JWT authorities of one trust domain, from a file that is read again when it changes. Never merged with another's.
 * An empty bundle refuses everyone at once: that is the way to stop a trust domain.
 */
export class TrustBundle {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: KeyLog;
  #keys: PublicKeys | undefined;
  #sequence = 0;
  #stamp = '';
  #lookedMs = -Infinity;
  #fault: { readonly error: unknown; readonly sinceMs: number } | undefined;

  constructor(file: string, clock: Clock, log: KeyLog) {
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  /** The key for a `kid` and algorithm; a key without a name is none. Throws `identity_unavailable` without a bundle. */
  readonly keyFor: KeyResolver = async (kid, algorithm) => {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) this.#look(nowMs);
    if (this.#keys === undefined || (this.#fault !== undefined && nowMs - this.#fault.sinceMs >= MAX_FAULT_MS)) {
      throw new Problem('identity_unavailable', "the trust bundle of the token's trust domain cannot be used", { cause: this.#fault?.error, retryAfterSeconds: 5 });
    }
    return kid === undefined ? undefined : this.#keys.find(kid, algorithm);
  };

  /** Reads the file again if it changed. Each faulty state of it is told once. */
  #look(nowMs: number): void {
    this.#lookedMs = nowMs;
    const stamp = stampOf(this.#file);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#apply(bundle.parse(JSON.parse(readFileSync(this.#file, 'utf8'))));
      this.#fault = undefined;
    } catch (error) {
      this.#fault = { error, sinceMs: this.#fault?.sinceMs ?? nowMs };
      this.#log.warn({ file: this.#file, err: error }, 'the trust bundle cannot be used; the last good one stays in force for an hour');
    }
  }

  #apply({ keys, spiffe_sequence: sequence = this.#sequence }: z.infer<typeof bundle>): void {
    // Federation section 4.2: an older bundle would bring back keys that were withdrawn.
    if (sequence < this.#sequence) throw new TypeError('its sequence is lower than that of the bundle in force');
    this.#keys = new PublicKeys(usableJwks(keys).filter(({ use }) => use === 'jwt-svid'));
    this.#sequence = sequence;
  }
}

/** What changes whenever the file does: also when it is replaced by one of the same size and time. */
function stampOf(file: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file);
    return [mtimeMs, ctimeMs, size, ino].join(' ');
  } catch {
    return 'out of reach';
  }
}
