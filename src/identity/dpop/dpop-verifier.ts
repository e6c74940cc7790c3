import type { Clock } from '../../core/clock.ts';
import { fromEpochSeconds, type EpochMs } from '../../core/time.ts';
import { checkProof, PROOF_SECONDS, refused } from './dpop-proof.ts';
import type { DpopNonces } from './dpop-nonces.ts';

/** A request with DPoP proofs, as it came. */
export interface DpopCall {
  /** Each `DPoP` header. */
  readonly dpopProofs: readonly string[];
  readonly method: string;
  /** Path and query as received; never a whole URL. */
  readonly path: string;
}

export interface DpopRules {
  /** The token of the call and the `cnf.jkt` in it; null at a token endpoint, where the key is yet to be bound to one. */
  readonly token: { readonly text: string; readonly jkt: string } | null;
  /** Whether the proof must carry a nonce of ours. */
  readonly demandsNonce: boolean;
}

export interface DpopVerifier {
  /**
   * Proves that the caller holds a key: the twelve checks of RFC 9449 section 4.3, and that no replica saw this proof before
   * (section 11.1). Answers the key's thumbprint, for `cnf.jkt`.
   *
   * Throws `invalid_dpop_proof`, `use_dpop_nonce` (with a fresh nonce in `headers` of the problem), or `ledger_unavailable`.
   * The first two are 401 at a resource; a token endpoint answers them as 400 with the code as `error` (sections 5 and 8).
   */
  verify(call: DpopCall, rules: DpopRules): Promise<{ readonly jkt: string }>;
}

export interface DpopVerifierDeps {
  /** `http.public_url`: where clients reach the broker. */
  readonly publicUrl: string;
  readonly nonces: DpopNonces;
  /** True for the first who uses a thing, over all replicas. */
  readonly useOnce: (what: string, untilMs: EpochMs) => Promise<boolean>;
  readonly clock: Clock;
}

export function createDpopVerifier({ publicUrl, nonces, useOnce, clock }: DpopVerifierDeps): DpopVerifier {
  const base = publicUrl.replace(/\/$/, '');
  return {
    async verify({ dpopProofs, method, path }, { token, demandsNonce }) {
      // Put together as text: as a relative URL, `//elsewhere` would be another host.
      const expected = { method, uri: base + path, token, nonces: demandsNonce ? nonces : null };
      const { jkt, jti, htu, iat } = await checkProof(dpopProofs, expected, clock.now());
      // The last step: what is no proof of anybody leaves no mark. With the key, so that nobody can use up another's names.
      const first = await useOnce(JSON.stringify(['dpop', jkt, htu, jti]), fromEpochSeconds(iat + PROOF_SECONDS + 1));
      if (!first) throw refused('it was used before; make one for each request');
      return { jkt };
    },
  };
}
