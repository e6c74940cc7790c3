import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import { addSeconds, type EpochMs } from '../../core/time.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import type { CredentialConfig } from '../../config/config-schema.ts';
import { fillPath } from './leased-path.ts';
import * as answers from './vault-answers.ts';
import type { VaultClient } from './vault-client.ts';

export type KvCredential = Extract<CredentialConfig, { kind: 'vault.kv' }>;

/** A secret as the target wrapped it: whoever has the wrapping token opens it, once. We never see what is inside. */
export interface WrappedSecret {
  readonly wrappingToken: Secret;
  /** Of the wrapping token: by it the wrap can be looked at and revoked, not opened. */
  readonly accessor: string;
  /** As the target granted it. */
  readonly endsAtMs: EpochMs;
}

/** The path of a static secret with its parameters filled. Throws `RangeError` where a parameter does not make one segment. */
export function kvPath({ mount, path, engine_version: engineVersion, version }: KvCredential, params: LeaseIntent['params']): string {
  const below = fillPath(path, params);
  if (engineVersion === 1) return `${mount}/${below}`;
  return `${mount}/data/${below}${version === undefined ? '' : `?version=${version}`}`;
}

/** Reads a path so that the answer comes wrapped for `ttlSeconds`. Throws `VaultFailure`. */
export async function readWrapped(
  path: string,
  { token, ttlSeconds, client, clock }: { readonly token: Secret; readonly ttlSeconds: number; readonly client: VaultClient; readonly clock: Clock },
  signal: AbortSignal,
): Promise<WrappedSecret> {
  const { wrap_info: wrap } = await client.request({ method: 'GET', path, token, wrapTtlSeconds: ttlSeconds, answer: answers.wrapped, signal });
  return { wrappingToken: new Secret(wrap.token), accessor: wrap.accessor, endsAtMs: addSeconds(clock.now(), wrap.ttl) };
}
