import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The one part of a Kubernetes API server that OpenBao asks: whether a service account's token is genuine. */
export interface TokenReviewServer {
  readonly url: string;
  /** Tokens that are genuine, and whose they are, as `namespace:name`. */
  readonly genuine: Map<string, string>;
  /** How many reviews were asked for. */
  readonly reviews: () => number;
  stop(): Promise<void>;
}

const PATH = '/apis/authentication.k8s.io/v1/tokenreviews';

/** Starts it on loopback. It answers only to whoever shows `reviewerToken`, as the real one does. */
export async function startTokenReviewServer(reviewerToken: string): Promise<TokenReviewServer> {
  const genuine = new Map<string, string>();
  let reviews = 0;
  const server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const allowed = request.method === 'POST' && request.url === PATH && request.headers.authorization === `Bearer ${reviewerToken}`;
      if (!allowed) {
        response.writeHead(403, { 'Content-Type': 'application/json' }).end('{"kind":"Status","status":"Failure","code":403}');
        return;
      }
      reviews += 1;
      const { spec } = JSON.parse(Buffer.concat(chunks).toString()) as { spec: { token: string; audiences?: string[] } };
      const account = genuine.get(spec.token);
      const status =
        account === undefined
          ? { authenticated: false, error: 'invalid bearer token' }
          : { authenticated: true, audiences: spec.audiences ?? [], user: { username: `system:serviceaccount:${account}`, uid: uidOf(account), groups: ['system:serviceaccounts', 'system:authenticated'] } };
      response.writeHead(201, { 'Content-Type': 'application/json' }).end(JSON.stringify({ kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', spec, status }));
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    genuine,
    reviews: () => reviews,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The claims of a token that the kubelet would mount for a service account. */
export function serviceAccountClaims(account: string): Record<string, unknown> {
  const [namespace, name] = account.split(':');
  return {
    sub: `system:serviceaccount:${account}`,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: uidOf(account) }, pod: { name: 'mayfly-0', uid: `pod-${uidOf(account)}` } },
  };
}

const uidOf = (account: string): string => `uid-of-${account.replace(':', '-')}`;
