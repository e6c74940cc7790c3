import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import type { Bundle } from './parse-bundle.ts';
import type { KeyLog } from './public-keys.ts';
import type { KeyResolver } from './verify-token.ts';
import type { Certificate } from './x509/certificate.ts';

/** The authorities of one trust domain, as they are now. Throws `identity_unavailable` where that cannot be known. */
export interface TrustBundle {
  /** The JWT authority for a `kid` and algorithm; a key without a name is none. */
  readonly keyFor: KeyResolver;
  /** The X.509 authorities: the same list for as long as the same bundle is in force. */
  readonly authorities: () => Promise<readonly Certificate[]>;
}

/** So long a source that fails leaves the last good bundle in force: time to mend it, as with an issuer that is down. */
const MAX_FAULT_MS = 3_600_000;

/**
 * The bundle of one trust domain that is in force. A new one replaces it whole: bundles are never merged (Federation section
 * 4.2). An empty one refuses everyone at once: that is the way to stop a trust domain.
 */
export class HeldBundle {
  readonly #source: string;
  readonly #clock: Clock;
  readonly #log: KeyLog;
  #bundle: Bundle | undefined;
  #sequence = 0;
  #fault: { readonly error: unknown; readonly sinceMs: number } | undefined;

  /** `source` names it in the log: a file, a URL, a socket. */
  constructor(source: string, clock: Clock, log: KeyLog) {
    this.#source = source;
    this.#clock = clock;
    this.#log = log;
  }

  /** The last good one, however old. */
  get latest(): Bundle | undefined {
    return this.#bundle;
  }

  /** The bundle to judge by. Throws `identity_unavailable` without one, and an hour after the source began to fail. */
  current(): Bundle {
    const expired = this.#fault !== undefined && this.#clock.monotonicMs() - this.#fault.sinceMs >= MAX_FAULT_MS;
    if (this.#bundle === undefined || expired) {
      throw new Problem('identity_unavailable', 'the trust bundle of its trust domain cannot be used', { cause: this.#fault?.error, retryAfterSeconds: 5 });
    }
    return this.#bundle;
  }

  /** Puts a bundle in force, unless it cannot be had or is older than the one that is. Never throws: a failure is told and kept. */
  take(read: () => Bundle): void {
    try {
      const bundle = read();
      const { sequence = this.#sequence } = bundle;
      // Federation section 4.2: an older bundle would bring back keys that were withdrawn.
      if (sequence < this.#sequence) throw new TypeError('its sequence is lower than that of the bundle in force');
      if (bundle.passedOver.length > 0) this.#log.warn({ source: this.#source, passed_over: bundle.passedOver }, 'some keys of the trust bundle cannot be used');
      this.#bundle = bundle;
      this.#sequence = sequence;
      this.#fault = undefined;
    } catch (error) {
      this.fail(error);
    }
  }

  /** Notes that the source failed; what is in force stays so for an hour from the first failure. */
  fail(error: unknown): void {
    this.#fault = { error, sinceMs: this.#fault?.sinceMs ?? this.#clock.monotonicMs() };
    this.#log.warn({ source: this.#source, err: error }, 'the trust bundle cannot be used; the last good one stays in force for an hour');
  }
}

/** A bundle that `look` brings up to date, where that is due, before each question. */
export function trustBundle(held: HeldBundle, look: () => void | Promise<void>): TrustBundle {
  const current = async (): Promise<Bundle> => {
    await look();
    return held.current();
  };
  return {
    async keyFor(kid, algorithm) {
      const { jwtAuthorities } = await current();
      return kid === undefined ? undefined : jwtAuthorities.find(kid, algorithm);
    },
    authorities: async () => (await current()).x509Authorities,
  };
}
