import { lookup as dnsLookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP, isIPv6, type LookupFunction } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Agent, buildConnector, request } from 'undici';
import { addressFault } from './outbound-address.ts';
import { Secret } from '../core/secret.ts';
import { withDeadline } from '../core/with-deadline.ts';
import { peerCertificates } from './x509/peer-certificates.ts';

export interface OutboundFetchOptions {
  readonly environment: 'production' | 'development';
  /** Hosts that may be asked: `host` (on any port) or `host:port`. Only configuration adds to it, never a request. */
  readonly allowHosts: readonly string[];
  readonly allowPrivateAddresses: boolean;
  /** PEM file to trust for a host instead of the system's store; read at each request, so that it can be replaced. */
  readonly caFor?: (host: string) => string | undefined;
  /** Resolves a name to addresses; the system's resolver unless given. */
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
}

export interface FetchOptions {
  /** The `Accept` header; `application/json` unless given. */
  readonly accept?: string;
  /** Posted as JSON; a request without it is a GET. A body with a secret in it is a `Secret` of its text. */
  readonly json?: Secret | object;
  /** Posted as `application/x-www-form-urlencoded`, in place of `json`. */
  readonly form?: Secret;
  /** What `json` is posted as; `application/json` unless given. */
  readonly mediaType?: string;
  /** Further headers, such as a signature of the body. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The token to send, where the other side wants to know who asks. */
  readonly bearer?: Secret;
  /** PEM file to trust for this request instead of the system's store; before what `caFor` says. */
  readonly caFile?: string | undefined;
  /** Says who the server is in place of names and stores, from its certificates in DER, its own first; it rejects for another. https only. */
  readonly verifyServer?: ((certificates: readonly Uint8Array[]) => Promise<void>) | undefined;
  /** Ends the request sooner than the five seconds that each has. */
  readonly signal?: AbortSignal;
}

export interface FetchedText {
  readonly status: number;
  readonly body: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Fetches a configured URL, or posts to it: once, never again by itself. Throws `OutboundRefused` for what is not allowed, other errors when it is not reached. */
export type OutboundFetch = (url: string, options?: FetchOptions) => Promise<FetchedText>;

/** A URL or an address that must not be asked. */
export class OutboundRefused extends Error {
  override readonly name = 'OutboundRefused';
}

/** The answer leads elsewhere, and is not followed. */
export class RedirectRefused extends OutboundRefused {}

/** For all of it: the name, the connection, the answer. */
const TIMEOUT_MS = 5_000;
const MAX_BODY_BYTES = 1024 * 1024;

/**
 * The one way out to configured URLs: allow-listed hosts, the name resolved once and its addresses checked and pinned,
 * no redirects, 1 MiB and 5 s at most, metadata addresses refused always, plain http in development only.
 */
export function createOutboundFetch(options: OutboundFetchOptions): OutboundFetch {
  const resolve = options.resolve ?? resolveBySystem;

  return (text, options = {}) => withDeadline(TIMEOUT_MS, options.signal, (deadline) => fetchWithin(text, options, deadline));

  async function fetchWithin(text: string, asked: FetchOptions, deadline: AbortSignal): ReturnType<OutboundFetch> {
    const url = allowedUrl(text, options);
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    const addresses = isIP(hostname) === 0 ? await before(deadline, resolve(hostname)) : [hostname];
    if (addresses.length === 0) throw new OutboundRefused(`the host ${url.host} has no address`);
    // Every address must be allowed: a name that answers with a good and a bad one is not to be trusted.
    for (const address of addresses) {
      const fault = addressFault(address, options.allowPrivateAddresses);
      if (fault !== undefined) throw new OutboundRefused(fault);
    }
    if (asked.verifyServer !== undefined && url.protocol !== 'https:') throw new OutboundRefused('only https is allowed');
    const caFile = asked.caFile ?? options.caFor?.(url.host);
    const connector = buildConnector({
      lookup: pinnedTo(addresses),
      ...(caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }),
      // The handshake still proves that the server holds the key of what it shows.
      ...(asked.verifyServer === undefined ? {} : { rejectUnauthorized: false }),
    });
    // An agent for one request: no connection outlives the check of its address.
    const agent = new Agent({
      connect: asked.verifyServer === undefined ? connector : verifying(connector, asked.verifyServer),
      maxResponseSize: MAX_BODY_BYTES,
    });
    try {
      const { statusCode: status, headers, body } = await request(url, { dispatcher: agent, signal: deadline, ...sent(asked) });
      if (status >= 300 && status < 400) throw new RedirectRefused('redirects are not followed');
      return { status, body: await body.text(), headers };
    } finally {
      await agent.destroy();
    }
  }
}

/** Connects, and hands the connection on only once its server is known. */
function verifying(connector: buildConnector.connector, verify: NonNullable<FetchOptions['verifyServer']>): buildConnector.connector {
  return (to, callback) => {
    connector(to, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      const certificates = socket instanceof TLSSocket ? (peerCertificates(socket) ?? []) : [];
      verify(certificates).then(
        () => callback(null, socket),
        (refused: unknown) => {
          socket.destroy();
          callback(refused instanceof Error ? refused : new Error('the server was refused'), null);
        },
      );
    });
  };
}

/** What goes out, besides the address. A secret is exposed here and nowhere else. */
function sent({ accept = 'application/json', mediaType = 'application/json', headers: more = {}, json, form, bearer }: FetchOptions) {
  const headers = { ...more, accept, ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer.expose()}` }) };
  if (form !== undefined) return { method: 'POST', headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body: form.expose() } as const;
  if (json === undefined) return { method: 'GET', headers } as const;
  return { method: 'POST', headers: { ...headers, 'content-type': mediaType }, body: json instanceof Secret ? json.expose() : JSON.stringify(json) } as const;
}

function allowedUrl(text: string, { environment, allowHosts }: OutboundFetchOptions): URL {
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && environment === 'development')) throw new OutboundRefused('only https is allowed');
  if (url.username !== '' || url.password !== '') throw new OutboundRefused('a URL with credentials is not allowed');
  if (!allowHosts.includes(url.host) && !allowHosts.includes(url.hostname)) throw new OutboundRefused(`the host ${url.host} is not allowed`);
  return url;
}

async function resolveBySystem(hostname: string): Promise<readonly string[]> {
  return (await dnsLookup(hostname, { all: true })).map(({ address }) => address);
}

/** Answers every look-up with the addresses that were checked, so that a second answer of the name server changes nothing. */
function pinnedTo(addresses: readonly string[]): LookupFunction {
  const pinned = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  return (_hostname, { all }, callback) => {
    const [first] = pinned;
    if (all === true) callback(null, pinned);
    else callback(null, first?.address ?? '', first?.family);
  };
}

/** What the work gives, or the signal's reason if that comes first: a resolver cannot be interrupted, only left behind. */
async function before<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
