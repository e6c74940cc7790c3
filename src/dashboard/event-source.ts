// Server-sent events over fetch: EventSource cannot send an Authorization header, and a token must never be in a URL.

/** The broker says something every 15 s; silence for this long is a connection that is gone. */
const SILENCE_MS = 40_000;
const MAX_WAIT_MS = 30_000;

export type StreamState = { readonly is: 'connecting' } | { readonly is: 'open' } | { readonly is: 'waiting'; readonly waitMs: number };

export interface StreamEvent {
  readonly id: string | null;
  /** `position`: where a fresh stream begins, before anything has happened. */
  readonly type: string;
  readonly data: unknown;
}

export interface StreamOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly lastEventId: string | null;
  readonly signal: AbortSignal;
  readonly onState: (state: StreamState) => void;
  readonly onEvent: (event: StreamEvent) => void;
  readonly onRefused: (why: string) => void;
}

/** Follows `/v1/events` and comes back after every break, from where it was, until `signal` ends it or it is refused for good. */
export async function followEvents({ headers, lastEventId, signal, onState, onEvent, onRefused }: StreamOptions): Promise<void> {
  let retryMs = 3_000;
  let failures = 0;
  while (!signal.aborted) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    // A stream that was open when the network went says nothing of it.
    const offline = (): void => silence.abort();
    window.addEventListener('offline', offline);
    try {
      onState({ is: 'connecting' });
      const place = lastEventId === null ? {} : { 'Last-Event-ID': lastEventId };
      const response = await fetch('/v1/events', { headers: { ...headers, ...place }, cache: 'no-store', signal: AbortSignal.any([signal, silence.signal]) });
      if (response.status === 401 || response.status === 403) {
        const problem = (await response.json().catch(() => ({}))) as { detail?: string };
        onRefused(problem.detail ?? 'The sign-in is no longer accepted.');
        return;
      }
      if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
      onState({ is: 'open' });
      for await (const block of blocksOf(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        failures = 0;
        if (block.retry !== undefined) retryMs = Number(block.retry);
        if (block.id !== undefined) lastEventId = block.id;
        if (block.data !== undefined) onEvent({ id: lastEventId, type: block.event ?? 'message', data: JSON.parse(block.data) });
        else if (block.id !== undefined) onEvent({ id: lastEventId, type: 'position', data: null });
      }
    } catch {
      // Cut off, silent, or not there: all the same to who comes back.
    } finally {
      clearTimeout(timer);
      window.removeEventListener('offline', offline);
      silence.abort();
    }
    if (isOver(signal)) return;
    const waitMs = Math.min(retryMs * 2 ** failures, MAX_WAIT_MS) * (0.75 + Math.random() / 2);
    failures += 1;
    onState({ is: 'waiting', waitMs });
    await pause(waitMs, signal);
  }
}

const isOver = (signal: AbortSignal): boolean => signal.aborted;

/** A wait that ends early when the browser is back online, or nobody waits any more. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      window.removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    window.addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}

type Block = Partial<Record<'id' | 'event' | 'data' | 'retry', string>>;

/** The blocks of a stream (WHATWG HTML section 9.2.6); the broker ends lines with a line feed. */
async function* blocksOf(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Block> {
  let rest = '';
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) yield fieldsOf(block);
  }
}

function fieldsOf(text: string): Block {
  const block: Block = {};
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^(id|event|data|retry): ?(.*)$/.exec(line) ?? [];
    if (name === 'data') block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (name !== undefined) block[name as keyof Block] = value;
  }
  return block;
}
