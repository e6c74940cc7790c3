import { createPrivateKey } from 'node:crypto';
import { credentials, Metadata, type Client } from '@grpc/grpc-js';
import type { Clock } from '../../core/clock.ts';
import { Secret } from '../../core/secret.ts';
import { parseJwtBundle, x509Bundle, type Bundle } from '../parse-bundle.ts';
import type { KeyLog } from '../public-keys.ts';
import { HeldBundle, trustBundle, type TrustBundle } from '../trust-bundle.ts';
import type { CertificateSource } from '../x509/certificate-files.ts';
import { parseCertificates } from '../x509/certificate.ts';
import { keepStreaming } from './keep-streaming.ts';
import { bundlesResponse, jwtSvidResponse, workloadApiService, x509SvidResponse } from './workload-api-service.ts';

export interface WorkloadApiDeps {
  /** `unix:///run/spire/agent.sock`. */
  readonly socket: string;
  readonly clock: Clock;
  readonly log: KeyLog;
}

/** What a SPIFFE agent on this machine says: who we are, and whom to believe. */
export interface WorkloadApi {
  /** The bundle of a trust domain, as the agent pushes it. */
  bundleOf(trustDomain: string): TrustBundle;
  /** Our own X.509-SVID, renewed by the agent in time. */
  readonly certificate: () => CertificateSource;
  /** A JWT-SVID of our own. Throws when the agent gives none. */
  readonly jwtSvid: (audience: string, signal: AbortSignal) => Promise<Secret>;
  close(): void;
}

/** For one answer; streams last. */
const ANSWER_MS = 5_000;

/**
 * A client of the Workload API (gRPC over a Unix socket). Streams are opened when something first asks for what they bring, and
 * again whenever they break; what they brought stays in force for an hour meanwhile, as with every other source.
 */
export function createWorkloadApi({ socket, clock, log }: WorkloadApiDeps): WorkloadApi {
  const service = workloadApiService();
  // Without it the authority is the path of the socket, which agents refuse.
  const client: Client = new service(socket, credentials.createInsecure(), { 'grpc.default_authority': 'localhost' });
  // Workload API section 4.1: so that no browser or proxy is tricked into asking.
  const metadata = new Metadata();
  metadata.set('workload.spiffe.io', 'true');
  const stops: (() => void)[] = [];

  const serialize = (method: string) => service.service[method]?.requestSerialize ?? ((): Buffer => Buffer.alloc(0));
  const deserialize = (method: string) => service.service[method]?.responseDeserialize ?? ((): unknown => undefined);
  const open = (method: string) => () => client.makeServerStreamRequest<unknown, unknown>(`/SpiffeWorkloadAPI/${method}`, serialize(method), deserialize(method), {}, metadata);

  /** The bundles of one kind, each trust domain by itself; one that the agent no longer names has none. */
  function bundles(method: string, read: (bytes: Uint8Array) => Bundle): (trustDomain: string) => HeldBundle {
    const held = new Map<string, HeldBundle>();
    let latest: Readonly<Record<string, Uint8Array>> | undefined;
    const take = (trustDomain: string, bundle: HeldBundle, from: Readonly<Record<string, Uint8Array>>): void => {
      const bytes = Object.hasOwn(from, `spiffe://${trustDomain}`) ? from[`spiffe://${trustDomain}`] : undefined;
      bundle.take(() => (bytes === undefined ? x509Bundle([]) : read(bytes)));
    };
    let isOpen = false;
    return (trustDomain) => {
      const known = held.get(trustDomain) ?? new HeldBundle(`${socket} ${method} ${trustDomain}`, clock, log);
      held.set(trustDomain, known);
      if (latest !== undefined) take(trustDomain, known, latest);
      if (!isOpen) {
        isOpen = true;
        const onMessage = (message: unknown): void => {
          latest = bundlesResponse.parse(message).bundles;
          for (const [name, bundle] of held) take(name, bundle, latest);
        };
        stops.push(keepStreaming({ open: open(method), onMessage, onFailure: (error) => held.forEach((bundle) => bundle.fail(error)) }));
      }
      return known;
    };
  }
  const jwtBundles = bundles('FetchJWTBundles', (bytes) => parseJwtBundle(Buffer.from(bytes).toString('utf8')));
  const x509Bundles = bundles('FetchX509Bundles', (bytes) => x509Bundle(parseCertificates(bytes)));

  return {
    bundleOf(trustDomain) {
      const nothing = (): void => undefined;
      return {
        keyFor: trustBundle(jwtBundles(trustDomain), nothing).keyFor,
        authorities: trustBundle(x509Bundles(trustDomain), nothing).authorities,
      };
    },
    certificate: () => {
      let stop: (() => void) | undefined;
      return {
        onCertificate(use) {
          const onMessage = (message: unknown): void => {
            // The first is ours by default (section 5.2.1).
            const [svid] = x509SvidResponse.parse(message).svids;
            if (svid === undefined) return;
            const key = createPrivateKey({ key: Buffer.from(svid.x509_svid_key), format: 'der', type: 'pkcs8' });
            use({ cert: parseCertificates(svid.x509_svid).map(({ x509 }) => x509.toString()).join(''), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() });
          };
          stop = keepStreaming({ open: open('FetchX509SVID'), onMessage, onFailure: (error) => log.warn({ source: socket, err: error }, 'the Workload API gives no X.509-SVID; the one before stays') });
          stops.push(stop);
        },
        close: () => stop?.(),
      };
    },
    jwtSvid: (audience, signal) =>
      new Promise((resolve, reject) => {
        const method = 'FetchJWTSVID';
        const call = client.makeUnaryRequest<unknown, unknown>(`/SpiffeWorkloadAPI/${method}`, serialize(method), deserialize(method), { audience: [audience] }, metadata, { deadline: new Date(clock.now() + ANSWER_MS) }, (error, answer) => {
          signal.removeEventListener('abort', cancel);
          const svid = error === null ? jwtSvidResponse.safeParse(answer).data?.svids[0]?.svid : undefined;
          // The error itself goes no further: the answer can be in it.
          if (svid === undefined) reject(new Error(`the Workload API gives no JWT-SVID${error === null ? '' : ` (${error.code})`}`));
          else resolve(new Secret(svid));
        });
        const cancel = (): void => call.cancel();
        signal.addEventListener('abort', cancel, { once: true });
      }),
    close() {
      for (const stop of stops) stop();
      client.close();
    },
  };
}
