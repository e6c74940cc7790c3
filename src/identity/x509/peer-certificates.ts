import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';

/** The certificates that the other end of a connection sent, in DER, its own first; null without any. */
export function peerCertificates(socket: TLSSocket): readonly Uint8Array[] | null {
  const chain: Uint8Array[] = [];
  // Without a certificate Node answers an empty object, which its types do not know.
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  const seen = new Set<unknown>();
  // A certificate that issued itself is its own issuer, without end.
  while (next?.raw !== undefined && !seen.has(next)) {
    seen.add(next);
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain.length === 0 ? null : chain;
}
