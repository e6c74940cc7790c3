import { readFileSync, statSync } from 'node:fs';
import type { CryptoKey, JWK, KeyObject } from 'jose';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { fits, importPublic } from './jwks-source.ts';

/** SPIFFE bundle (Trust Domain and Bundle section 4): other members, and keys of kinds we do not use, are passed over. */
const bundle = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional() })),
  spiffe_sequence: z.int().nonnegative().optional(),
});

/** The file is looked at again this often. */
const LOOK_EVERY_MS = 1_000;

export interface BundleLog {
  warn(fields: object, message: string): void;
}

/**
 * The JWT authorities of one trust domain, from a file that is read again when it changes. Never merged with another's.
 * An empty bundle refuses everyone. A file that cannot be read or has a lower sequence leaves the last good bundle.
 */
export class TrustBundle {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #log: BundleLog;
  #keys = new Map<string, JWK>();
  #sequence = -1;
  #stamp = '';
  #lookedMonotonicMs = -Infinity;

  /** Goes up whenever the keys change. */
  revision = 0;

  constructor(file: string, clock: Clock, log: BundleLog) {
    this.#file = file;
    this.#clock = clock;
    this.#log = log;
  }

  readonly keyFor = async (kid: string | undefined, algorithm: string): Promise<CryptoKey | KeyObject | undefined> => {
    this.refresh();
    const jwk = kid === undefined ? undefined : this.#keys.get(kid);
    if (jwk === undefined || !fits(jwk, algorithm)) return undefined;
    return importPublic(jwk, algorithm);
  };

  /** Reads the file again if it changed since the last look, at most once a second. */
  refresh(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedMonotonicMs < LOOK_EVERY_MS) return;
    this.#lookedMonotonicMs = nowMs;
    try {
      const { mtimeMs, size, ino } = statSync(this.#file);
      const stamp = `${mtimeMs} ${size} ${ino}`;
      if (stamp === this.#stamp) return;
      this.#apply(bundle.parse(JSON.parse(readFileSync(this.#file, 'utf8'))));
      this.#stamp = stamp;
    } catch (error) {
      this.#log.warn({ file: this.#file, err: error }, 'the trust bundle cannot be read; the last good one stays in force');
    }
  }

  #apply({ keys, spiffe_sequence: sequence }: z.infer<typeof bundle>): void {
    if (sequence !== undefined && sequence < this.#sequence) {
      this.#log.warn({ file: this.#file, sequence }, 'the trust bundle has a lower sequence than the one in force; it is not used');
      return;
    }
    this.#sequence = sequence ?? this.#sequence;
    const usable = keys.filter((key) => key.use === 'jwt-svid' && key.kid !== undefined && key.kid !== '');
    // jose refuses every `use` but `sig`; which keys these are has been settled above.
    this.#keys = new Map(usable.map((key) => [key.kid ?? '', { ...key, use: 'sig' } as JWK]));
    this.revision += 1;
  }
}
