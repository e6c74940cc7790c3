import { lookup as dnsLookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, request } from 'undici';

export interface OutboundFetchOptions {
  readonly environment: 'production' | 'development';
  /** Hosts that may be asked, as `host` or `host:port`. Only configuration adds to it, never a request. */
  readonly allowHosts: readonly string[];
  readonly allowPrivateAddresses: boolean;
  /** PEM file to trust for a host instead of the system's store. */
  readonly caFor?: (host: string) => string | undefined;
  /** Resolves a name to addresses; the system's resolver unless given. */
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
}

export interface FetchedText {
  readonly status: number;
  readonly body: string;
}

/** Fetches a configured URL. Throws `OutboundRefused` for what is not allowed, other errors when it is not reached. */
export type OutboundFetch = (url: string) => Promise<FetchedText>;

/** A URL or an address that must not be asked. */
export class OutboundRefused extends Error {
  override readonly name = 'OutboundRefused';
}

const TIMEOUT_MS = 5_000;
const MAX_BODY_BYTES = 1024 * 1024;
/** Where clouds hand out the machine's own credentials, beyond the link-local ranges. */
const METADATA = new Set(['100.100.100.200', 'fd00:ec2::254', 'fd00:ec2::23']);

/**
 * The one way out to configured URLs: allow-listed hosts, the address resolved once and pinned, no redirects, 1 MiB
 * and 5 s at most, metadata addresses refused always.
 */
export function createOutboundFetch(options: OutboundFetchOptions): OutboundFetch {
  const resolve = options.resolve ?? (async (hostname) => (await dnsLookup(hostname, { all: true })).map(({ address }) => address));

  return async (text) => {
    const url = new URL(text);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && options.environment === 'development')) throw new OutboundRefused('only https is allowed');
    if (url.username !== '' || url.password !== '') throw new OutboundRefused('a URL with credentials is not allowed');
    if (!options.allowHosts.includes(url.host) && !options.allowHosts.includes(url.hostname)) throw new OutboundRefused(`the host ${url.host} is not allowed`);

    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = ipaddr.isValid(hostname) ? [hostname] : await resolve(hostname);
    // Every address must be allowed: a name that answers with a good and a bad one is not to be trusted.
    for (const address of addresses) checkAddress(address, options);
    const [pinned] = addresses;
    if (pinned === undefined) throw new OutboundRefused(`the host ${url.host} has no address`);
    return fetchPinned(url, pinned, options.caFor?.(url.host));
  };
}

/** Throws `OutboundRefused` for addresses that are never, or not here, to be asked. */
function checkAddress(text: string, options: Pick<OutboundFetchOptions, 'allowPrivateAddresses'>): void {
  // `process` turns an IPv4-mapped IPv6 address into the IPv4 one it really is.
  const address = ipaddr.process(text);
  const range = address.range();
  if (range === 'linkLocal' || METADATA.has(address.toString())) throw new OutboundRefused('metadata and link-local addresses are never asked');
  if (range === 'unspecified' || range === 'broadcast' || range === 'multicast' || range === 'reserved') throw new OutboundRefused(`addresses of the range ${range} are never asked`);
  if (range !== 'unicast' && !options.allowPrivateAddresses) throw new OutboundRefused(`private addresses (${range}) are not allowed by the configuration`);
}

async function fetchPinned(url: URL, address: string, caFile: string | undefined): Promise<FetchedText> {
  const family = ipaddr.parse(address).kind() === 'ipv6' ? 6 : 4;
  const lookup: LookupFunction = (_hostname, lookupOptions, callback) => {
    if (lookupOptions.all === true) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') };
  const agent = new Agent({ connect: { lookup, ...ca }, maxResponseSize: MAX_BODY_BYTES });
  try {
    const response = await request(url, { dispatcher: agent, signal: AbortSignal.timeout(TIMEOUT_MS), headers: { accept: 'application/json' } });
    if (response.statusCode >= 300 && response.statusCode < 400) {
      await response.body.dump();
      throw new OutboundRefused('redirects are not followed');
    }
    return { status: response.statusCode, body: await response.body.text() };
  } finally {
    await agent.destroy();
  }
}
