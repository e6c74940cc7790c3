// The broker's clock on the page: countdowns go by it, whatever this machine's clock says. One timer for all of them.
import { signal, type ReadonlySignal } from '@preact/signals';

const TICK_MS = 500;

export interface ServerClock {
  /** ms since 1970, as the broker counts. */
  readonly now: () => number;
  /** The same, as of the last tick: who reads it is drawn again at each. */
  readonly tick: ReadonlySignal<number>;
  set(offsetMs: number): void;
  pause(paused: boolean): void;
}

export function createServerClock(): ServerClock {
  // Until the broker has said what time it is there, this machine's has to do.
  let offsetMs = performance.timeOrigin;
  const now = (): number => offsetMs + performance.now();
  const tick = signal(now());
  const beat = (): void => void (tick.value = now());
  let timer: ReturnType<typeof setInterval> | undefined = setInterval(beat, TICK_MS);
  return {
    now,
    tick,
    set(offset) {
      offsetMs = offset;
      beat();
    },
    pause(paused) {
      clearInterval(timer);
      timer = undefined;
      if (paused) return;
      timer = setInterval(beat, TICK_MS);
      beat();
    },
  };
}
