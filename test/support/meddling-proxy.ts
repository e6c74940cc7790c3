import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Passing {
  readonly method: string;
  readonly path: string;
  /** How many requests of this method and path came before. */
  readonly before: number;
}

/** What becomes of a request: passed on, answered instead with a status, or passed on with its answer kept from the caller. */
export type Fate = 'pass' | 'swallow_answer' | { readonly status: number };

export interface MeddlingProxy {
  readonly address: string;
  /** Bodies of the target's answers, in order, by method and path. */
  answersTo(method: string, path: string): readonly string[];
  stop(): Promise<void>;
}

/** A proxy before an HTTP server (for the methods Node's parser knows, so not Vault's LIST) that fails as it is told to: what a network can do to a client, at the chosen call. */
export async function startMeddlingProxy(target: string, meddle: (request: Passing) => Fate): Promise<MeddlingProxy> {
  const seen = new Map<string, string[]>();
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = 'GET', url: path = '/' } = request;
      const key = `${method} ${path}`;
      const before = counts.get(key) ?? 0;
      counts.set(key, before + 1);
      const fate = meddle({ method, path, before });
      if (typeof fate === 'object') {
        response.writeHead(fate.status).end('{"errors":["meddled"]}');
        return;
      }
      const headers = Object.entries(request.headers).filter(([name]) => /^(x-vault|content-type)/.test(name)).map(([name, value]): [string, string] => [name, String(value)]);
      const answer = await fetch(`${target}${path}`, { method, headers, ...(chunks.length === 0 ? {} : { body: Buffer.concat(chunks) }) });
      const body = await answer.text();
      seen.set(key, [...(seen.get(key) ?? []), body]);
      if (fate === 'swallow_answer') request.socket.destroy();
      else response.writeHead(answer.status).end(body);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answersTo: (method, path) => seen.get(`${method} ${path}`) ?? [],
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
