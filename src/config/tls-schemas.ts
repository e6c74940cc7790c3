import { z } from 'zod';
import { filePath, httpUrl } from './config-words.ts';

/** A second way in, over TLS, for callers that show a certificate of their own. */
export const tlsListener = z
  .strictObject({
    host: z.string().default('127.0.0.1').describe('the address to bind to'),
    port: z.int().min(0).max(65_535).default(8_443).describe('0 takes any free port'),
    public_url: httpUrl.optional().describe('where clients reach this listener, such as `https://mtls.mayfly.example.org`: OAuth clients are told, to authenticate by certificate there'),
    certificate: z
      .discriminatedUnion('source', [
        z.strictObject({
          source: z.literal('files').describe('a certificate from files'),
          certificate_file: filePath.describe('PEM, the own certificate first; re-read when it changes'),
          key_file: filePath.describe('PEM private key; re-read when it changes'),
        }),
        z.strictObject({ source: z.literal('workload_api').describe("the broker's own X.509-SVID, from the agent at `workload_api.socket`") }),
      ])
      .describe('what the broker shows'),
    client_certificates: z
      .enum(['none', 'optional', 'required'])
      .default('optional')
      .describe('`optional`: an X.509-SVID says who calls, where there is no token. `required`: a connection without any certificate is ended. `none`: never asked for'),
  })
  .describe('a second listener, over TLS, where X.509-SVIDs and certificate-bound tokens count');
