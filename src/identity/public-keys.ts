import { importJWK, type CryptoKey } from 'jose';
import { z } from 'zod';

/** Takes an authority's notice of trouble with its keys. */
export interface KeyLog {
  warn(fields: object, message: string): void;
}

/**
 * A published key (RFC 7517) that can verify signatures. Symmetric keys are none, nor is one published with its private
 * part: everybody has that.
 */
const publicJwk = z.object({
  kty: z.enum(['EC', 'RSA', 'OKP']),
  kid: z.string().min(1).optional(),
  use: z.string().optional(),
  alg: z.string().optional(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  n: z.string().optional(),
  e: z.string().optional(),
  d: z.never().optional(),
});
export type PublicJwk = z.infer<typeof publicJwk>;

/** The usable keys of a JWK Set. One that is not understood is passed over alone (RFC 7517 section 5). */
export const usableJwks = (keys: readonly unknown[]): PublicJwk[] => keys.flatMap((key) => publicJwk.safeParse(key).data ?? []);

/** The public keys of one authority, as published at one moment. */
export class PublicKeys {
  readonly #jwks: readonly PublicJwk[];
  readonly #imported = new Map<string, Promise<CryptoKey | undefined>>();

  constructor(jwks: readonly PublicJwk[]) {
    this.#jwks = jwks;
  }

  /** How many there are. */
  get size(): number {
    return this.#jwks.length;
  }

  /**
   * The key of that name which fits the algorithm; without a name the only one that fits; else `undefined`. The same
   * question gives the same object, so that a caller can see whether the key it used is still in force.
   */
  async find(kid: string | undefined, algorithm: string): Promise<CryptoKey | undefined> {
    const fitting = this.#jwks.filter((jwk) => (kid === undefined || jwk.kid === kid) && fits(jwk, algorithm));
    const [jwk] = fitting;
    // Two keys under one name, or no name and several keys: which was meant cannot be known, so none.
    if (jwk === undefined || fitting.length > 1) return undefined;
    const name = JSON.stringify([kid, algorithm]);
    const imported = this.#imported.get(name) ?? importPublic(jwk, algorithm);
    this.#imported.set(name, imported);
    return imported;
  }
}

/** A key whose values make no key verifies nothing; the others stay usable. */
async function importPublic({ kty, crv, x, y, n, e }: PublicJwk, algorithm: string): Promise<CryptoKey | undefined> {
  try {
    // Only what makes the key: WebCrypto refuses each `use` but `sig`, and SPIFFE's is `jwt-svid`.
    const material = Object.fromEntries(Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined));
    const key = await importJWK({ ...material, kty }, algorithm);
    return key instanceof Uint8Array ? undefined : key;
  } catch {
    return undefined;
  }
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521', EdDSA: 'Ed25519', Ed25519: 'Ed25519' };

/** Whether a key is of the type and curve of an algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2). */
function fits({ kty, crv, alg }: PublicJwk, algorithm: string): boolean {
  if (alg !== undefined && alg !== algorithm) return false;
  if (/^[RP]S\d+$/.test(algorithm)) return kty === 'RSA';
  return kty === (/^Ed/.test(algorithm) ? 'OKP' : 'EC') && crv === CURVES[algorithm];
}
