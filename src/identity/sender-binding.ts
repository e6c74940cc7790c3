import type { JWTPayload } from 'jose';
import type { DpopVerifier } from './dpop/dpop-verifier.ts';
import type { Presented } from './presented.ts';
import { refused } from './verify-token.ts';

/** What an issuer's tokens must prove besides themselves. */
export interface SenderRules {
  /** Whether a token without a bound key is refused. */
  readonly required: boolean;
  /** Whether DPoP proofs must carry a nonce of ours. */
  readonly demandsNonce: boolean;
}

const THUMBPRINT = /^[\w-]{43}$/;

/**
 * The thumbprint (RFC 7638) of the key that this call proved to hold, where its token is bound to one by `cnf.jkt`; null
 * for a token that is bound to none. A bound token is never accepted as a mere bearer token (RFC 9449 section 7.2), nor an
 * unbound one as a bound one. Throws `invalid_token`, or what checking the proof throws.
 *
 * @param dpop undefined where the broker does not know by which URL clients reach it
 */
export async function provenThumbprint(presented: Presented, claims: JWTPayload, rules: SenderRules, dpop: DpopVerifier | undefined): Promise<string | null> {
  const { authorization } = presented;
  const bound = boundThumbprint(claims);
  if (bound === null) {
    if (authorization?.scheme === 'dpop') throw refused('it is bound to no key; send it as `Authorization: Bearer <token>`');
    return null;
  }
  if (dpop === undefined) throw refused('it is bound to a key, and proofs cannot be checked here without http.public_url');
  if (authorization?.scheme !== 'dpop') throw refused('it is bound to a key; send it as `Authorization: DPoP <token>`, with a proof in a DPoP header');
  const { jkt } = await dpop.verify(presented, { token: { text: authorization.token, jkt: bound }, demandsNonce: rules.demandsNonce });
  return jkt;
}

/** A confirmation that is not understood must not turn a bound token into a bearer token. */
function boundThumbprint({ cnf }: JWTPayload): string | null {
  if (cnf === undefined) return null;
  if (typeof cnf !== 'object' || cnf === null) throw refused('its cnf is none');
  const { jkt } = cnf as Record<string, unknown>;
  if (jkt === undefined) return null;
  if (typeof jkt !== 'string' || !THUMBPRINT.test(jkt)) throw refused('its cnf.jkt is no thumbprint');
  return jkt;
}
