import { setTimeout as sleep } from 'node:timers/promises';
import type { Request, Response } from 'express';
import type { Ledger } from '../ledger/ledger.ts';
import type { Task } from '../task/task.ts';

export interface TaskWaitsDeps {
  readonly ledger: Pick<Ledger, 'getTask'>;
  /** Whether this process is about to end: nobody is kept waiting then. */
  readonly stopping: () => boolean;
}

/** Longer than this, proxies in between hang up first. */
const MOST_SECONDS = 60;
/** Callers that wait in this process; the next is answered at once, as RFC 7240 lets a server do. */
const MOST_WAITS = 500;
/** One small read for each who waits: nobody notices a quarter of a second where a human is waited for. */
const LOOK_EVERY_MS = 250;

/** Callers that wait for a task to leave its state: `Prefer: wait=30` (RFC 7240, section 4.3). */
export class TaskWaits {
  readonly #deps: TaskWaitsDeps;
  #waiting = 0;

  constructor(deps: TaskWaitsDeps) {
    this.#deps = deps;
  }

  /**
   * The task as it is once it has left the state it is in, or once the caller has waited as long as it would, 60 s at most. Says in
   * `Preference-Applied` that it waited. Answers at once where no wait was asked for or too many wait here, and soon after the
   * caller hung up.
   */
  async untilMoved(task: Task, request: Request, response: Response): Promise<Task> {
    const seconds = wantedSeconds(request.get('prefer'));
    if (seconds === undefined || this.#waiting >= MOST_WAITS) return task;
    response.set('Preference-Applied', `wait=${seconds}`);
    this.#waiting += 1;
    const gone = new AbortController();
    const hangUp = (): void => gone.abort();
    response.once('close', hangUp);
    try {
      return await this.#look(task, performance.now() + seconds * 1000, gone.signal);
    } finally {
      response.off('close', hangUp);
      this.#waiting -= 1;
    }
  }

  async #look(task: Task, untilMs: number, gone: AbortSignal): Promise<Task> {
    let now = task;
    while (now.state === task.state && !gone.aborted && !this.#deps.stopping()) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) break;
      await sleep(Math.min(LOOK_EVERY_MS, leftMs), undefined, { signal: gone }).catch(() => undefined);
      // A record that is gone has been kept as long as records are: what was seen last is the answer.
      now = (await this.#deps.ledger.getTask(task.id)) ?? now;
    }
    return now;
  }
}

/** Of `Prefer: respond-async, wait=30`: the whole seconds, at most 60. What is none is no preference, as RFC 7240 has it. */
export function wantedSeconds(prefer: string | undefined): number | undefined {
  for (const preference of (prefer ?? '').split(',')) {
    const match = /^\s*wait\s*=\s*("?)(\d{1,9})\1\s*(?:;.*)?$/i.exec(preference);
    if (match !== null) return Math.min(Number(match[2]), MOST_SECONDS);
  }
  return undefined;
}
