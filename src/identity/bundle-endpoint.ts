import { readFileSync } from 'node:fs';
import type { TrustDomainConfig } from '../config/config-schema.ts';
import type { Clock } from '../core/clock.ts';
import type { OutboundFetch } from './outbound-fetch.ts';
import { parseBundle } from './parse-bundle.ts';
import type { KeyLog } from './public-keys.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import { HeldBundle, trustBundle, type TrustBundle } from './trust-bundle.ts';
import type { Certificate } from './x509/certificate.ts';
import { refusedCertificate, verifyX509Svid } from './x509/verify-x509-svid.ts';

export interface BundleEndpointDeps {
  readonly fetch: OutboundFetch;
  readonly clock: Clock;
  readonly log: KeyLog;
  /** The authorities of another trust domain, whose member the server may be. */
  readonly authoritiesOf: (trustDomain: string) => Promise<readonly Certificate[] | undefined>;
}

type Endpoint = NonNullable<TrustDomainConfig['bundle_endpoint']>;

/** Federation section 4.1: where the bundle does not say how often to look. */
const DEFAULT_REFRESH_SECONDS = 300;
/** Whatever a bundle says: not so often as to be a burden, nor so seldom that a removed key is never heard of. */
const MIN_REFRESH_SECONDS = 5;
const MAX_REFRESH_SECONDS = 3_600;
/** Without any bundle we ask more often, so that a domain whose endpoint comes back is usable soon. */
const FIRST_RETRY_MS = 5_000;

/**
 * The bundle of a bundle endpoint (Federation section 5.2), asked again when its refresh hint has passed and somebody calls. Who
 * comes first waits for the answer; a failure is tried again at the next interval, not sooner (section 6.2).
 */
export function bundleEndpoint(trustDomain: string, endpoint: Endpoint, deps: BundleEndpointDeps): TrustBundle {
  const { clock, log } = deps;
  const held = new HeldBundle(endpoint.url, clock, log);
  const options = endpoint.profile === 'https_web' ? { caFile: endpoint.ca_file } : { verifyServer: serverVerifier(trustDomain, endpoint, held, deps) };
  let triedMs = -Infinity;
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    try {
      const { status, body } = await deps.fetch(endpoint.url, options);
      if (status !== 200) throw new TypeError(`the bundle endpoint answered ${status}`);
      held.take(() => parseBundle(body));
    } catch (error) {
      held.fail(error);
    }
  }

  return trustBundle(held, async () => {
    const hint = held.latest?.refreshHintSeconds ?? DEFAULT_REFRESH_SECONDS;
    const everyMs = held.latest === undefined ? FIRST_RETRY_MS : Math.min(Math.max(hint, MIN_REFRESH_SECONDS), MAX_REFRESH_SECONDS) * 1_000;
    const due = clock.monotonicMs() - triedMs >= everyMs;
    if (due) {
      triedMs = clock.monotonicMs();
      asking = ask().finally(() => (asking = undefined));
      await asking;
      // Others go on with the bundle at hand, if there is one.
    } else if (held.latest === undefined) await asking;
  });
}

/**
 * Whether the server is who it must be: the configured SPIFFE ID, by the latest bundle that was fetched here, or the one to begin
 * with, where it serves its own trust domain (section 5.2.2); else by the bundle of the other domain. Never by the system's store.
 */
function serverVerifier(trustDomain: string, endpoint: Extract<Endpoint, { profile: 'https_spiffe' }>, held: HeldBundle, { clock, authoritiesOf }: BundleEndpointDeps) {
  const own = parseSpiffeId(endpoint.endpoint_spiffe_id)?.trustDomain === trustDomain;
  const bootstrap = endpoint.bootstrap_file;
  const authorities = (domain: string): Promise<readonly Certificate[] | undefined> => {
    if (!own) return authoritiesOf(domain);
    if (domain !== trustDomain) return Promise.resolve(undefined);
    return Promise.resolve((held.latest ?? (bootstrap === undefined ? undefined : parseBundle(readFileSync(bootstrap, 'utf8'))))?.x509Authorities);
  };
  return async (certificates: readonly Uint8Array[]): Promise<void> => {
    const { subject } = await verifyX509Svid(certificates, authorities, clock.now(), 'server');
    if (subject !== endpoint.endpoint_spiffe_id) throw refusedCertificate('the server has another SPIFFE ID than the configured one');
  };
}
