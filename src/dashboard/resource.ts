// One answer of the broker that is kept fresh while somebody looks at it.
import { signal, type ReadonlySignal } from '@preact/signals';
import { saidOf } from './broker.ts';

export interface Resource<T> {
  readonly value: ReadonlySignal<T | null>;
  /** Why the last look failed; empty when it did not. */
  readonly problem: ReadonlySignal<string>;
  /** Something has changed: looks again, but not sooner than allowed. */
  expire(): void;
  /** Looks at once. */
  look(): Promise<void>;
  /** Keeps it fresh until the answer is called. */
  use(): () => void;
  pause(paused: boolean): void;
  stop(): void;
}

export interface ResourceOptions<T> {
  readonly load: () => Promise<T>;
  /** Between two looks, however much happens, ms. */
  readonly soonestMs: number;
  /** Should events ever stop coming: how old it can get, ms. */
  readonly latestMs: number;
  readonly onError: (error: unknown) => void;
}

export function createResource<T>({ load, soonestMs, latestMs, onError }: ResourceOptions<T>): Resource<T> {
  const value = signal<T | null>(null);
  const problem = signal('');
  let timer: ReturnType<typeof setTimeout> | undefined;
  let users = 0;
  let isPaused = false;
  let isStopped = false;
  let isStale = true;
  let looking: Promise<void> | undefined;
  let lookedMs = -Infinity;

  function plan(): void {
    clearTimeout(timer);
    if (users === 0 || isPaused || isStopped || looking !== undefined) return;
    timer = setTimeout(() => void look(), Math.max(0, lookedMs + (isStale ? soonestMs : latestMs) - performance.now()));
  }

  async function lookOnce(): Promise<void> {
    isStale = false;
    try {
      const answer = await load();
      if (isStopped) return;
      value.value = answer;
      problem.value = '';
    } catch (error) {
      if (isStopped) return;
      isStale = true;
      problem.value = saidOf(error);
      onError(error);
    } finally {
      looking = undefined;
      lookedMs = performance.now() + (problem.peek() === '' ? 0 : RETRY_MS);
      plan();
    }
  }

  const look = (): Promise<void> => (looking ??= lookOnce());

  return {
    value,
    problem,
    look,
    expire() {
      isStale = true;
      plan();
    },
    use() {
      users += 1;
      plan();
      return () => {
        users -= 1;
        plan();
      };
    },
    pause(paused) {
      isPaused = paused;
      plan();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** A broker that just failed is not asked again at once. */
const RETRY_MS = 2_000;
