import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';

/** Answers how to close a server: requests in flight may end, for `graceMs`; connections that ask for nothing do not count. */
export function gracefulClose(server: Server | TlsServer, graceMs: number): () => Promise<void> {
  let inFlight = 0;
  let idle = (): void => undefined;
  server.on('request', (_request, response) => {
    inFlight += 1;
    response.once('close', () => {
      inFlight -= 1;
      if (inFlight === 0) idle();
    });
  });
  return async () => {
    const closed = once(server, 'close');
    server.close();
    if (inFlight > 0) {
      const timer = setTimeout(() => idle(), graceMs);
      await new Promise<void>((resolve) => {
        idle = resolve;
      });
      clearTimeout(timer);
    }
    server.closeAllConnections();
    await closed;
  };
}
