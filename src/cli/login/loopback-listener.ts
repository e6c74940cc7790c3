import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliError, EXIT } from '../exit-codes.ts';

/** Where the issuer sends the browser back to: this machine alone (RFC 8252 section 7.3). */
export interface LoopbackListener {
  readonly redirectUri: string;
  /**
   * Resolves when a browser came back with `state`, and `redeem` took what it brought; rejects as `redeem` does. What comes with another state is
   * refused, and waited on: any page that is open in the browser could send such a request.
   */
  comeBack(state: string, redeem: (url: URL) => Promise<void>): Promise<void>;
  close(): void;
}

/** Waits on loopback for a browser. Port 0 takes any free one. Throws a usage error where the port is taken. */
export async function listenOnLoopback(port: number): Promise<LoopbackListener> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening').catch((error: unknown) => {
    throw new CliError(EXIT.usage, `--port ${port} cannot be listened on: ${(error as NodeJS.ErrnoException).code ?? ''}`);
  });
  const redirectUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`;
  return {
    redirectUri,
    comeBack: (state, redeem) =>
      new Promise((resolve, reject) => {
        let isTaken = false;
        server.on('request', (request, response) => {
          const url = URL.parse(request.url ?? '/', redirectUri);
          if (request.method !== 'GET' || url?.pathname !== '/callback') {
            show(response, 404, 'Nothing is here.');
          } else if (isTaken || url.searchParams.get('state') !== state) {
            show(response, 400, 'This is no answer to the sign-in that waits in your terminal.');
          } else {
            isTaken = true;
            redeem(url).then(
              () => show(response, 200, 'You are signed in. Go back to your terminal; this page can be closed.', resolve),
              (error: unknown) => show(response, 400, 'You are not signed in: your terminal says why.', () => reject(error instanceof Error ? error : new Error(String(error)))),
            );
          }
        });
      }),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Plain text: nothing that came with the request is in it, and there is nothing to run. */
function show(response: ServerResponse, status: number, words: string, then?: () => void): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer', Connection: 'close' });
  response.end(`${words}\n`);
  // Also where the browser went away meanwhile.
  if (then !== undefined) response.once('close', then);
}
