import { z } from 'zod';
import { filePath } from './config-words.ts';

/** SP-40: URL, profile and trust domain are each said, and none is inferred from another (Federation section 5.1). */
const endpointUrl = z.url({ protocol: /^https$/, error: 'an https URL' }).meta({ pattern: '^https://' }).describe('where the bundle is; its host is added to those that may be asked');

const bundleEndpoint = z.discriminatedUnion('profile', [
  z.strictObject({
    profile: z.literal('https_web').describe('the server shows a certificate of a public authority for its name'),
    url: endpointUrl,
    ca_file: filePath.optional().describe('PEM certificates to trust for it instead of the system store'),
  }),
  z.strictObject({
    profile: z.literal('https_spiffe').describe('the server shows an X.509-SVID'),
    url: endpointUrl,
    endpoint_spiffe_id: z.string().min(1).describe('the SPIFFE ID that the server must have'),
    bootstrap_file: filePath.optional().describe("a bundle of this trust domain, to know its server by until the first one was fetched; needed where the server's id is of this trust domain"),
  }),
]);

/** Where the bundle of a trust domain comes from; exactly one of them is given. */
export const bundleSources = {
  bundle_file: filePath.optional().describe('SPIFFE trust bundle (JWK Set with `use` of `jwt-svid` and `x509-svid`); re-read when it changes'),
  bundle_endpoint: bundleEndpoint.optional().describe('a SPIFFE bundle endpoint, asked as often as its bundle says (`spiffe_refresh_hint`, else 300 s)'),
  workload_api: z.literal(true).optional().describe('the agent at `workload_api.socket` gives it'),
};

/** A SPIFFE agent on this machine. */
export const workloadApi = z
  .strictObject({
    socket: z
      .string()
      .regex(/^unix:\/\/\/[^?#]+$/, 'the URL of a Unix socket, such as unix:///run/spire/agent.sock')
      .optional()
      .describe('of the SPIFFE Workload API; SPIFFE_ENDPOINT_SOCKET where the file does not say'),
  })
  .prefault({})
  .describe('where a SPIFFE agent gives bundles, and the identity of the broker itself');
