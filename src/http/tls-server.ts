import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { RequestListener } from 'node:http';
import type { TlsConfig } from '../config/config-schema.ts';
import type { CertificateSource } from '../identity/x509/certificate-files.ts';
import { peerCertificates } from '../identity/x509/peer-certificates.ts';

/**
 * A server over TLS 1.2 or newer that takes any client certificate: TLS proves that the client holds its key, and the
 * authenticator decides what it is worth, at every request. A new certificate of its own is taken up without a restart.
 */
export function createTlsServer(app: RequestListener, certificate: CertificateSource, clientCertificates: TlsConfig['client_certificates']): Server {
  // A resumed session has not shown its intermediates again.
  const options = { minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET } as const;
  const server = createServer({ ...options, requestCert: clientCertificates !== 'none', rejectUnauthorized: false }, app);
  certificate.onCertificate((pair) => server.setSecureContext({ ...options, ...pair }));
  server.on('close', () => certificate.close());
  if (clientCertificates === 'required') {
    server.on('secureConnection', (socket) => {
      if (peerCertificates(socket) === null) socket.destroy();
    });
  }
  return server;
}
