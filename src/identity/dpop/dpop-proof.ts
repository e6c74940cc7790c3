import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, compactVerify, decodeProtectedHeader, type CryptoKey } from 'jose';
import { z } from 'zod';
import { Problem } from '../../core/problem.ts';
import { toEpochSeconds, type EpochMs } from '../../core/time.ts';
import { PublicKeys, usableJwks, type PublicJwk } from '../public-keys.ts';
import { SKEW_SECONDS } from '../verify-token.ts';
import { comparableUri } from './comparable-uri.ts';
import type { DpopNonces } from './dpop-nonces.ts';

/** What a proof must fit. Nothing of it comes from the proof, nor from what a request says of its host. */
export interface ProofExpectation {
  readonly method: string;
  /** Where clients reach what was called, by the configured public URL. */
  readonly uri: string;
  /** The token that came with it and the thumbprint of the key it is bound to; null where there is none yet, as at a token endpoint. */
  readonly token: { readonly text: string; readonly jkt: string } | null;
  /** Recognises our nonces where they are demanded; null where a nonce is not looked at. */
  readonly nonces: Pick<DpopNonces, 'accepts' | 'current'> | null;
}

export interface CheckedProof {
  /** Thumbprint (RFC 7638) of the key whose possession it proves. */
  readonly jkt: string;
  readonly jti: string;
  /** In comparable form. */
  readonly htu: string;
  /** Seconds. */
  readonly iat: number;
}

/** What is accepted, and offered in `WWW-Authenticate`: asymmetric only. */
export const DPOP_ALGORITHMS: readonly string[] = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256'];
/** A proof is made for one request: this is time enough for it to arrive. */
export const PROOF_SECONDS = 60;
/** No honest proof is longer; parsing stops here. */
const MAX_PROOF_CHARS = 8_192;
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
/** RSA beyond 4,096 bits, or with another exponent than everyone's, is there to cost time. */
const MAX_MODULUS_CHARS = 683;

const jwkMembers = z.record(z.string(), z.unknown());
const claimsOf = z.object({
  jti: z.string().min(1).max(256),
  htm: z.string(),
  htu: z.string(),
  iat: z.int(),
  ath: z.string().optional(),
  nonce: z.string().optional(),
  exp: z.int().optional(),
  nbf: z.int().optional(),
});

/**
 * Makes the twelve checks of RFC 9449 section 4.3, in their order where one does not need another. That the proof was not
 * seen before is the caller's to find out. Throws `invalid_dpop_proof` with a reason that repeats nothing of the proof, or
 * `use_dpop_nonce`.
 */
export async function checkProof(proofs: readonly string[], expected: ProofExpectation, nowMs: EpochMs): Promise<CheckedProof> {
  const [proof, ...more] = proofs;
  if (proof === undefined) throw refused('there is none; send one in a DPoP header');
  if (more.length > 0) throw refused('there is more than one DPoP header');
  if (proof.length > MAX_PROOF_CHARS || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(proof)) throw refused('it is not one JWT in compact form');
  const { alg, jwk } = headerOf(proof);
  const key = await keyOf(jwk, alg);
  const claims = await signedClaims(proof, key, alg);
  if (claims.htm !== expected.method) throw refused('its htm is not the method of the request');
  const htu = comparableUri(claims.htu);
  if (htu === undefined || htu !== comparableUri(expected.uri)) throw refused('its htu is not the URL of the request, as the broker is reached by http.public_url');
  if (expected.nonces !== null && (claims.nonce === undefined || !expected.nonces.accepts(claims.nonce))) {
    throw new Problem('use_dpop_nonce', 'make the proof again with the nonce of the DPoP-Nonce header', { headers: { 'DPoP-Nonce': expected.nonces.current() } });
  }
  checkTimes(claims, toEpochSeconds(nowMs));
  const jkt = await calculateJwkThumbprint(key);
  if (expected.token !== null) {
    if (claims.ath !== createHash('sha256').update(expected.token.text).digest('base64url')) throw refused('its ath is not the hash of the token');
    if (jkt !== expected.token.jkt) throw refused('its key is not the one that the token is bound to');
  }
  return { jkt, jti: claims.jti, htu, iat: claims.iat };
}

function headerOf(proof: string): { readonly alg: string; readonly jwk: PublicJwk } {
  let header: Record<string, unknown>;
  try {
    header = { ...decodeProtectedHeader(proof) };
  } catch (cause) {
    throw refused('its header cannot be read', cause);
  }
  const { typ, alg, jwk } = header;
  if (typ !== 'dpop+jwt') throw refused('its typ is not dpop+jwt');
  if (typeof alg !== 'string' || !DPOP_ALGORITHMS.includes(alg)) throw refused(`its algorithm is none of ${DPOP_ALGORITHMS.join(', ')}`);
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) throw refused('its header demands extensions');
  const members = jwkMembers.safeParse(jwk).data;
  if (members === undefined) throw refused('its header brings no jwk');
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(members, name))) throw refused('its jwk holds a private key, which is public now');
  const [usable] = usableJwks([members]);
  if (usable === undefined) throw refused('its jwk is no public key');
  if (usable.kty === 'RSA' && (usable.e !== 'AQAB' || (usable.n ?? '').length > MAX_MODULUS_CHARS)) throw refused('its jwk is no RSA key of at most 4,096 bits');
  return { alg, jwk: usable };
}

async function keyOf(jwk: PublicJwk, alg: string): Promise<CryptoKey> {
  const key = await new PublicKeys([jwk]).find(undefined, alg);
  if (key === undefined) throw refused('its jwk does not fit its algorithm');
  return key;
}

async function signedClaims(proof: string, key: CryptoKey, alg: string): Promise<z.infer<typeof claimsOf>> {
  let payload: Uint8Array;
  try {
    ({ payload } = await compactVerify(proof, key, { algorithms: [alg] }));
  } catch (cause) {
    throw refused('its signature does not fit its jwk', cause);
  }
  try {
    return claimsOf.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
  } catch (cause) {
    throw refused('its claims jti, htm, htu and iat must be there and of their types', cause);
  }
}

function checkTimes({ iat, exp, nbf }: z.infer<typeof claimsOf>, now: number): void {
  if (iat < now - PROOF_SECONDS || (exp !== undefined && exp <= now - SKEW_SECONDS)) throw refused(`it is older than ${PROOF_SECONDS} seconds; make one for each request`);
  if (iat > now + SKEW_SECONDS || (nbf !== undefined && nbf > now + SKEW_SECONDS)) throw refused('it was made in the future');
}

/** `why` completes "the DPoP proof was not accepted: …". */
export const refused = (why: string, cause?: unknown): Problem =>
  new Problem('invalid_dpop_proof', `the DPoP proof was not accepted: ${why}`, cause === undefined ? {} : { cause });
