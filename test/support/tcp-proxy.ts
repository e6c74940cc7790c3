import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the network does: nothing wrong; connections cut and refused; nothing passes, until it does again; each piece comes late. */
export type Weather = 'fair' | 'cut' | 'hung' | { readonly lateMs: number };

export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** From now on, for open connections as well. What was held up while it hung arrives when it does no more. */
  set(weather: Weather): void;
  stop(): Promise<void>;
}

/** A network before a server, that fails as it is told to. */
export async function startTcpProxy(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
  let weather: Weather = 'fair';
  let changed = Promise.withResolvers<undefined>();
  const sockets = new Set<Socket>();

  const set = (next: Weather): void => {
    weather = next;
    changed.resolve(undefined);
    changed = Promise.withResolvers();
    if (next === 'cut') for (const socket of sockets) socket.destroy();
  };

  async function letPass(): Promise<void> {
    while (weather === 'hung') await changed.promise;
    if (typeof weather === 'object') await sleep(weather.lateMs);
  }

  /** Passes pieces on in their order, and the end after them. */
  function forward(from: Socket, to: Socket): void {
    let tail = Promise.resolve();
    const next = (deliver: () => void): void => {
      tail = tail.then(letPass).then(() => {
        if (!to.destroyed) deliver();
      });
    };
    from.on('data', (piece) => next(() => to.write(piece)));
    from.on('end', () => next(() => to.end()));
    from.on('close', () => next(() => to.destroy()));
    from.on('error', () => undefined);
  }

  const server = createServer((client) => {
    if (weather === 'cut') {
      client.destroy();
      return;
    }
    const upstream = connect(target);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    forward(client, upstream);
    forward(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    set,
    async stop() {
      set('cut');
      server.close();
      await once(server, 'close');
    },
  };
}
