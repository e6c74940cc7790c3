import { readFileSync, statSync } from 'node:fs';
import { z } from 'zod';
import type { OAuthClientConfig } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { Problem } from '../core/problem.ts';
import { PublicKeys, usableJwks, type KeyLog } from './public-keys.ts';
import type { KeyResolver } from './verify-token.ts';

const keySet = z.object({ keys: z.array(z.unknown()).max(16) });
/** The file is looked at again this often. */
const LOOK_EVERY_MS = 1_000;

const keysFrom = (published: unknown): PublicKeys => new PublicKeys(usableJwks(keySet.parse(published).keys).filter(({ use }) => use === undefined || use === 'sig'));

/**
 * The keys of one client: written in the configuration, or in a file that is read again when it changes. While the file
 * cannot be used, nobody is this client: a key that was withdrawn must not stay good because of a typing error.
 */
export function clientKeys({ client_id: clientId, jwks, jwks_file: file }: OAuthClientConfig, clock: Clock, log: KeyLog): KeyResolver {
  if (file === undefined) {
    const keys = keysFrom(jwks);
    return (kid, algorithm) => keys.find(kid, algorithm);
  }
  let keys: PublicKeys | undefined;
  let stamp = '';
  let lookedMs = -Infinity;
  const look = (): void => {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file);
    const found = [mtimeMs, ctimeMs, size, ino].join(' ');
    if (found === stamp) return;
    keys = undefined;
    stamp = found;
    keys = keysFrom(JSON.parse(readFileSync(file, 'utf8')));
  };
  return async (kid, algorithm) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lookedMs >= LOOK_EVERY_MS) {
      lookedMs = nowMs;
      try {
        look();
      } catch (error) {
        keys = undefined;
        log.warn({ client: clientId, file, err: error }, 'the keys of an OAuth client cannot be read; it is refused');
      }
    }
    if (keys === undefined) throw new Problem('identity_unavailable', 'the keys of the client cannot be read', { retryAfterSeconds: 5 });
    return keys.find(kid, algorithm);
  };
}
