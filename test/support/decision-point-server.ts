import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface DecisionPointServer {
  readonly url: string;
  /** Every question, in order. */
  readonly asked: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: unknown }[];
  /** What it answers from now on. */
  answer(next: (response: ServerResponse, body: unknown) => void): void;
  stop(): Promise<void>;
}

export const says =
  (body: unknown, { status = 200, type = 'application/json' }: { status?: number; type?: string | null } = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, type === null ? {} : { 'Content-Type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
  };

/** A server that answers as OPA's data API or an AuthZEN decision point is documented to, or as neither should. */
export async function startDecisionPoint(): Promise<DecisionPointServer> {
  const asked: { path: string; headers: IncomingHttpHeaders; body: unknown }[] = [];
  let answer: (response: ServerResponse, body: unknown) => void = says({});
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const parsed: unknown = body === '' ? null : JSON.parse(body);
      asked.push({ path: `${request.method ?? ''} ${request.url ?? ''}`, headers: request.headers, body: parsed });
      answer(response, parsed);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: (next) => {
      answer = next;
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
