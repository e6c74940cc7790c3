import type { Config } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import { bundleFile } from './bundle-file.ts';
import type { KeyLog } from './public-keys.ts';
import type { TrustBundle } from './trust-bundle.ts';

/** The bundle of every configured trust domain, by its name. Each has one source, and none is asked for another's. */
export function createTrustBundles(domains: Config['identity']['trust_domains'], { clock, log }: { readonly clock: Clock; readonly log: KeyLog }): ReadonlyMap<string, TrustBundle> {
  return new Map(domains.map(({ name, bundle_file: file }) => [name, bundleFile(file, clock, log)]));
}
