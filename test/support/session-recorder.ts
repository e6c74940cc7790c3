import { createServer, request as send } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** A session that AWS gave out, whoever got to know of it. */
export interface RecordedSession {
  /** The lease it was taken for. */
  readonly name: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

export interface SessionRecorder {
  readonly endpoint: string;
  readonly sessions: readonly RecordedSession[];
  stop(): Promise<void>;
}

/** Stands before an AWS endpoint and remembers every session that it gives out: STS itself lists none. */
export async function startSessionRecorder(target: string): Promise<SessionRecorder> {
  const sessions: RecordedSession[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const forwarded = send(`${target}${request.url ?? '/'}`, { method: request.method, headers: request.headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () => {
          const text = Buffer.concat(parts);
          const name = new URLSearchParams(body.toString()).get('RoleSessionName');
          if (name !== null && answer.statusCode === 200) sessions.push({ name, ...keysIn(text.toString()) });
          response.writeHead(answer.statusCode ?? 502, answer.headers).end(text);
        });
      });
      forwarded.on('error', () => response.destroy());
      forwarded.end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sessions,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function keysIn(xml: string): Omit<RecordedSession, 'name'> {
  const field = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1] ?? '';
  return { accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey'), sessionToken: field('SessionToken') };
}
