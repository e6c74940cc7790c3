// Server-sent events over fetch: EventSource cannot send an Authorization header, and a token must never be in a URL.

/** The broker says something every 15 s; silence for this long is a connection that is gone. */
const SILENCE_MS = 40_000;
const MAX_WAIT_MS = 30_000;

/**
 * Follows `/v1/events` and comes back after every break, from where it was, until `signal` ends it or it is refused for good.
 * @param {{
 *   token: string,
 *   lastEventId: string | null,
 *   signal: AbortSignal,
 *   onState: (state: 'connecting' | 'open' | 'waiting', waitMs?: number) => void,
 *   onEvent: (event: { id: string | null, type: string, data: unknown }) => void,
 *   onRefused: (status: number, problem: { detail?: string }) => void,
 * }} options
 */
export async function followEvents({ token, lastEventId, signal, onState, onEvent, onRefused }) {
  let retryMs = 3_000;
  let failures = 0;
  while (!signal.aborted) {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    try {
      onState('connecting');
      const headers = { Authorization: `Bearer ${token}`, ...(lastEventId === null ? {} : { 'Last-Event-ID': lastEventId }) };
      const response = await fetch('/v1/events', { headers, cache: 'no-store', signal: AbortSignal.any([signal, silence.signal]) });
      if (response.status === 401 || response.status === 403) {
        onRefused(response.status, await response.json().catch(() => ({})));
        return;
      }
      if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
      onState('open');
      for await (const block of blocksOf(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        failures = 0;
        if (block.retry !== undefined) retryMs = block.retry;
        if (block.id !== undefined) lastEventId = block.id;
        if (block.data !== undefined) onEvent({ id: lastEventId, type: block.event ?? 'message', data: JSON.parse(block.data) });
        else if (block.id !== undefined) onEvent({ id: lastEventId, type: 'position', data: null });
      }
    } catch {
      // Cut off, silent, or not there: all the same to who comes back.
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
    if (signal.aborted) return;
    const waitMs = Math.min(retryMs * 2 ** failures, MAX_WAIT_MS) * (0.75 + Math.random() / 2);
    failures += 1;
    onState('waiting', waitMs);
    await pause(waitMs, signal);
  }
}

/** A wait that ends early when the browser is back online, or nobody waits any more. */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const end = () => {
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

/** The blocks of a stream (WHATWG HTML section 9.2.6); the broker ends lines with a line feed. */
async function* blocksOf(body) {
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

function fieldsOf(block) {
  const fields = {};
  for (const line of block.split('\n')) {
    const [, name, value] = /^([a-z]+): ?(.*)$/.exec(line) ?? [];
    if (name === 'retry') fields.retry = Number(value);
    else if (name === 'data') fields.data = fields.data === undefined ? value : `${fields.data}\n${value}`;
    else if (name !== undefined) fields[name] = value;
  }
  return fields;
}
