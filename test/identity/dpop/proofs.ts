import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { jwkOf, pairFor, signed, type Pair } from '../published-issuer.ts';

export const URL_OF_CALL = 'https://mayfly.example.org/v1/tasks';
export const TOKEN = 'a-token';
export const athOf = (token: string): string => createHash('sha256').update(token).digest('base64url');
export const thumbprintOf = async (pair: Pair): Promise<string> => calculateJwkThumbprint(await jwkOf(pair));

export interface ProofChange {
  readonly claims?: object;
  readonly header?: object;
  readonly pair?: Pair;
}

/** A good proof for a POST of `URL_OF_CALL` with `TOKEN`, made at `iat` (seconds), but for the change. */
export async function proofOf(iat: number, { claims, header = {}, pair = pairFor('ES256') }: ProofChange = {}): Promise<string> {
  const good = { typ: 'dpop+jwt', alg: 'ES256', jwk: await jwkOf(pair) };
  return signed({ jti: randomUUID(), htm: 'POST', htu: URL_OF_CALL, iat, ath: athOf(TOKEN), ...claims }, { ...good, ...header }, pair);
}
