import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface TakenWebhook {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Somebody who takes webhooks: a real server on loopback. */
export interface WebhookServer {
  readonly url: string;
  readonly taken: TakenWebhook[];
  /** What it answers from now on; `hang`: nothing. */
  answer: number | 'hang';
  /** Sent with what it answers. */
  location: string | undefined;
  stop(): void;
}

export async function startWebhookServer(): Promise<WebhookServer> {
  const taken: TakenWebhook[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      taken.push({ headers: oneEach(request.headers), body });
      if (answering.answer !== 'hang') response.writeHead(answering.answer, answering.location === undefined ? {} : { location: answering.location }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answering: WebhookServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    taken,
    answer: 204,
    location: undefined,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
  return answering;
}

const oneEach = (headers: IncomingHttpHeaders): Record<string, string> => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
