import { fileURLToPath } from 'node:url';
import { loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { z } from 'zod';

const PROTO = fileURLToPath(new URL('workload-api.proto', import.meta.url));

/** The service as gRPC knows it: bytes are buffers, names are those of the specification. */
export function workloadApiService(): ServiceClientConstructor {
  const { SpiffeWorkloadAPI: service } = loadPackageDefinition(loadSync(PROTO, { keepCase: true, defaults: true }));
  if (typeof service !== 'function') throw new TypeError('the Workload API is not in its definition');
  return service;
}

const bytes = z.instanceof(Uint8Array);
export const x509SvidResponse = z.object({ svids: z.array(z.object({ spiffe_id: z.string(), x509_svid: bytes, x509_svid_key: bytes })).min(1) });
export const jwtSvidResponse = z.object({ svids: z.array(z.object({ spiffe_id: z.string(), svid: z.string().min(1) })).min(1) });
/** By the SPIFFE ID of the trust domain, such as `spiffe://example.org`. */
export const bundlesResponse = z.object({ bundles: z.record(z.string(), bytes) });
