import { readFileSync } from 'node:fs';
import { CliError, EXIT } from './exit-codes.ts';

export interface TlsFiles {
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Who may vouch for the broker, in place of whom this machine trusts. */
  readonly caFile?: string | undefined;
}

/** `fetch` over connections that show a certificate. The files are read for each connection: an SVID lives for minutes and is written anew. */
export async function tlsFetch({ certFile, keyFile, caFile }: TlsFiles): Promise<typeof fetch> {
  const { Agent, buildConnector, fetch: fetchWith } = await import('undici');
  const files = () => ({
    ...(caFile === undefined ? {} : { ca: pem(caFile) }),
    ...(certFile === undefined || keyFile === undefined ? {} : { cert: pem(certFile), key: pem(keyFile) }),
  });
  files();
  const dispatcher = new Agent({ connect: (options, callback) => buildConnector({ ...files() })(options, callback) });
  return ((url: URL, init: object) => fetchWith(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read`);
  }
}
