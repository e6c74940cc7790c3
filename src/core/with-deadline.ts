/**
 * Runs work that ends after `ms`, or with `parent`: its signal then aborts, with a `TimeoutError` or the parent's reason.
 * Nothing is left behind when the work is done. (A signal of `AbortSignal.any` that is itself a source of another one is
 * never collected in Node 24, so each nested use of it loses some memory for good.)
 */
export async function withDeadline<T>(ms: number, parent: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent?.reason);
  const timer = setTimeout(() => controller.abort(new DOMException(`took longer than ${ms} ms`, 'TimeoutError')), ms);
  timer.unref();
  if (parent?.aborted === true) follow();
  parent?.addEventListener('abort', follow, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    parent?.removeEventListener('abort', follow);
  }
}
