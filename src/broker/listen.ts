import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsConfig } from '../config/config-schema.ts';
import { gracefulClose } from '../http/graceful-close.ts';
import { createTlsServer } from '../http/tls-server.ts';
import type { WorkloadApi } from '../identity/workload-api/workload-api.ts';
import { certificateFiles, type CertificateSource } from '../identity/x509/certificate-files.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A server that takes requests. */
export interface Listener {
  /** With the port it really has. */
  readonly url: string;
  /** Takes no more, and waits for those in flight as long as was given, ms. */
  close(): Promise<void>;
}

/** Longer than what proxies in front usually keep idle, so that they close first and no request meets a closing socket. */
const KEEP_ALIVE_MS = 75_000;

export const listen = (app: RequestListener, { host, port }: { readonly host: string; readonly port: number }, graceMs: number): Promise<Listener> => begin(createServer(app), host, port, graceMs);

export const listenTls = (app: RequestListener, tls: TlsConfig, { graceMs, workloadApi, log }: { readonly graceMs: number; readonly workloadApi: WorkloadApi | undefined; readonly log: Logger }): Promise<Listener> =>
  begin(createTlsServer(app, certificateSource(tls, workloadApi, log), tls.client_certificates), tls.host, tls.port, graceMs);

async function begin(server: Server | TlsServer, host: string, port: number, graceMs: number): Promise<Listener> {
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  const close = gracefulClose(server, graceMs);
  server.listen(port, host);
  await once(server, 'listening');
  return { url: addressUrl(server, host), close };
}

function certificateSource({ certificate }: TlsConfig, workloadApi: WorkloadApi | undefined, log: Logger): CertificateSource {
  if (certificate.source === 'files') return certificateFiles({ certificateFile: certificate.certificate_file, keyFile: certificate.key_file }, log);
  // The configuration is refused without one.
  if (workloadApi === undefined) throw new TypeError('there is no Workload API');
  return workloadApi.certificate();
}

const addressUrl = (server: Server | TlsServer, host: string): string =>
  `${server instanceof TlsServer ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`;
