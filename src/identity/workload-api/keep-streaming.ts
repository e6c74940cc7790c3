import type { ClientReadableStream } from '@grpc/grpc-js';

export interface Streaming {
  readonly open: () => ClientReadableStream<unknown>;
  /** May throw for a message that makes no sense: the stream is then opened anew. */
  readonly onMessage: (message: unknown) => void;
  readonly onFailure: (error: unknown) => void;
}

const RETRY_FIRST_MS = 500;
/** An agent that is back shall be heard of soon; one that is away is left alone. */
const RETRY_MAX_MS = 30_000;

/** Reads a stream that never ends by itself, and opens it anew with backoff and jitter when it does. Answers how to stop. */
export function keepStreaming({ open, onMessage, onFailure }: Streaming): () => void {
  let stream: ClientReadableStream<unknown> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let stopped = false;

  function start(): void {
    const current = open();
    stream = current;
    let over = false;
    const fail = (error: unknown): void => {
      if (over || stopped) return;
      over = true;
      current.cancel();
      failures += 1;
      onFailure(error);
      const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
      timer = setTimeout(start, delayMs).unref();
    };
    current.on('data', (message: unknown) => {
      if (over || stopped) return;
      try {
        onMessage(message);
        failures = 0;
      } catch (error) {
        fail(error);
      }
    });
    current.on('error', fail);
    current.on('end', () => fail(new Error('the stream ended')));
  }

  start();
  return () => {
    stopped = true;
    clearTimeout(timer);
    stream?.cancel();
  };
}
