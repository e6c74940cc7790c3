/**
 * Runs `work` over all items, at most `width` at once, and yields results as they come. When one throws, or the consumer
 * stops, nothing new is started.
 */
export async function* inParallel<T, R>(items: Iterable<T>, width: number, work: (item: T) => Promise<R>): AsyncGenerator<R, void, undefined> {
  const running = new Map<symbol, Promise<{ key: symbol; result: R }>>();
  const next = async (): Promise<R> => {
    const { key, result } = await Promise.race(running.values());
    running.delete(key);
    return result;
  };
  for (const item of items) {
    const key = Symbol();
    const started = work(item).then((result) => ({ key, result }));
    // Should the consumer have left, nobody else would hear of its failure, and the process would end.
    started.catch(() => undefined);
    running.set(key, started);
    if (running.size >= width) yield await next();
  }
  while (running.size > 0) yield await next();
}
