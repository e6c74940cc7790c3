// The stream of events while the page is looked at: gathered, and handed on once for each picture the browser draws.
import { batch, signal, type ReadonlySignal } from '@preact/signals';
import { followEvents, type StreamEvent } from './event-source.ts';
import { completeEvent, type FeedEvent } from './feed-event.ts';
import { tabStorage } from './tab-storage.ts';

const LAST_EVENT = 'mayfly.last-event';

export type Connection = { readonly is: 'connecting' | 'live' | 'paused' } | { readonly is: 'waiting'; readonly untilMs: number };

export interface LiveFeedOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Events since the last picture, oldest first. */
  readonly onEvents: (events: readonly FeedEvent[]) => void;
  /** Events are missing, or a new stream begins: all that is shown must be looked at again. */
  readonly onGap: () => void;
  readonly onPaused: (paused: boolean) => void;
  readonly onRefused: (why: string) => void;
}

/** Follows the events until `stop()`; while the tab is hidden nothing is asked and nothing is drawn, and it goes on where it was. */
export function startLiveFeed({ headers, onEvents, onGap, onPaused, onRefused }: LiveFeedOptions): { readonly connection: ReadonlySignal<Connection>; stop(): void } {
  const connection = signal<Connection>({ is: 'connecting' });
  let gathered: FeedEvent[] = [];
  let frame: number | undefined;
  let stream: AbortController | undefined;

  function flush(): void {
    frame = undefined;
    const events = gathered;
    gathered = [];
    if (events.length > 0) batch(() => onEvents(events));
  }

  function take({ id, type, data }: StreamEvent): void {
    if (id !== null) tabStorage.set(LAST_EVENT, id);
    if (type === 'position' || type === 'resync') onGap();
    if (type === 'position') return;
    gathered.push(completeEvent(id ?? '', type === 'resync' ? { type } : (data as FeedEvent)));
    frame ??= requestAnimationFrame(flush);
  }

  function follow(): void {
    if (document.visibilityState === 'hidden') {
      stream?.abort();
      stream = undefined;
      connection.value = { is: 'paused' };
      onPaused(true);
      return;
    }
    if (stream !== undefined) return;
    stream = new AbortController();
    onPaused(false);
    void followEvents({
      headers,
      lastEventId: tabStorage.get(LAST_EVENT),
      signal: stream.signal,
      onState: (state) => {
        connection.value = state.is === 'open' ? { is: 'live' } : state.is === 'waiting' ? { is: 'waiting', untilMs: performance.now() + state.waitMs } : { is: 'connecting' };
      },
      onEvent: take,
      onRefused,
    });
  }

  document.addEventListener('visibilitychange', follow);
  follow();
  return {
    connection,
    stop() {
      document.removeEventListener('visibilitychange', follow);
      stream?.abort();
      if (frame !== undefined) cancelAnimationFrame(frame);
    },
  };
}

/** Where the next stream goes on from is forgotten with the sign-in. */
export const forgetPlace = (): void => tabStorage.set(LAST_EVENT, null);
