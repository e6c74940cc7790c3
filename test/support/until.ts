import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a condition holds; throws when it does not within the time. */
export async function until(condition: () => Promise<boolean> | boolean, options: { readonly timeoutMs?: number; readonly everyMs?: number; readonly what?: string } = {}): Promise<void> {
  const deadline = performance.now() + (options.timeoutMs ?? 15_000);
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${options.what ?? 'the condition'} did not come true in time`);
    await sleep(options.everyMs ?? 20);
  }
}
