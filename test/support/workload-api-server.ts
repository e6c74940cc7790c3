import { Server, ServerCredentials, status, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData } from '@grpc/grpc-js';
import { workloadApiService } from '../../src/identity/workload-api/workload-api-service.ts';

type Stream = ServerWritableStream<unknown, unknown>;

/** What an agent gives; what is changed is pushed to every open stream. */
export interface AgentGives {
  readonly svid?: { readonly spiffe_id: string; readonly x509_svid: Buffer; readonly x509_svid_key: Buffer };
  readonly x509Bundles?: Readonly<Record<string, Buffer>>;
  readonly jwtBundles?: Readonly<Record<string, Buffer>>;
  readonly jwtSvid?: (audience: readonly string[]) => Promise<string>;
}

/** A SPIFFE agent on a Unix socket: the Workload API over real gRPC, for whoever sends the header it demands. */
export interface WorkloadApiServer {
  readonly socket: string;
  /** Calls that had no security header. */
  readonly refused: () => number;
  give(more: AgentGives): void;
  /** Ends every open stream, as an agent does that restarts; none is taken until it is back. */
  breakStreams(): void;
  comeBack(): void;
  stop(): Promise<void>;
}

export async function startWorkloadApi(path: string, gives: AgentGives = {}): Promise<WorkloadApiServer> {
  const socket = `unix://${path}`;
  const open = new Map<Stream, (now: AgentGives) => object | undefined>();
  let now = gives;
  let refused = 0;
  let away = false;

  const admitted = (call: Stream | ServerUnaryCall<unknown, unknown>): boolean => {
    const ok = call.metadata.get('workload.spiffe.io')[0] === 'true';
    if (!ok) refused += 1;
    return ok && !away;
  };
  const streaming = (answer: (now: AgentGives) => object | undefined) => (stream: Stream) => {
    if (!admitted(stream)) {
      stream.emit('error', { code: status.UNAVAILABLE });
      return;
    }
    open.set(stream, answer);
    stream.on('cancelled', () => open.delete(stream));
    const first = answer(now);
    if (first !== undefined) stream.write(first);
  };
  const server = new Server();
  server.addService(workloadApiService().service, {
    FetchX509SVID: streaming(({ svid }) => (svid === undefined ? undefined : { svids: [svid] })),
    FetchX509Bundles: streaming(({ x509Bundles: bundles }) => (bundles === undefined ? undefined : { bundles })),
    FetchJWTBundles: streaming(({ jwtBundles: bundles }) => (bundles === undefined ? undefined : { bundles })),
    FetchJWTSVID(call: ServerUnaryCall<{ readonly audience: readonly string[] }, unknown>, callback: sendUnaryData<unknown>) {
      if (!admitted(call) || now.jwtSvid === undefined) callback({ code: status.PERMISSION_DENIED });
      else void now.jwtSvid(call.request.audience).then((svid) => callback(null, { svids: [{ spiffe_id: '', svid }] }));
    },
  });
  const bound = Promise.withResolvers<unknown>();
  server.bindAsync(socket, ServerCredentials.createInsecure(), (error) => (error === null ? bound.resolve(undefined) : bound.reject(error)));
  await bound.promise;
  return {
    socket,
    refused: () => refused,
    give(more) {
      now = { ...now, ...more };
      for (const [stream, answer] of open) {
        const next = answer(now);
        if (next !== undefined) stream.write(next);
      }
    },
    breakStreams() {
      away = true;
      for (const stream of open.keys()) stream.emit('error', { code: status.UNAVAILABLE });
      open.clear();
    },
    comeBack() {
      away = false;
    },
    stop() {
      server.forceShutdown();
      return Promise.resolve();
    },
  };
}
