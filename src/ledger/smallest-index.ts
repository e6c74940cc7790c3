import type { Redis } from 'ioredis';

/** An index that has all that is wanted, and perhaps others. */
export interface Index<Word extends string> {
  readonly keys: readonly string[];
  /** Words of the filter that all in it match: where there are no others, its size is the total. */
  readonly says: readonly Word[];
}

export interface SizedIndex<Word extends string> extends Index<Word> {
  readonly size: number;
}

/** The smallest of several indexes, without the keys in which there is nothing. */
export async function smallestIndex<Word extends string>(redis: Redis, indexes: readonly Index<Word>[]): Promise<SizedIndex<Word>> {
  const sized = await Promise.all(
    indexes.map(async ({ keys, says }) => {
      const sizes = await Promise.all(keys.map((key) => redis.zcard(key)));
      return { keys: keys.filter((_, index) => (sizes[index] ?? 0) > 0), says, size: sizes.reduce((sum, one) => sum + one, 0) };
    }),
  );
  // Of two that are as small, the one that says more can tell the total.
  return sized.reduce((least, one) => (one.size < least.size || (one.size === least.size && one.says.length > least.says.length) ? one : least));
}

/** Whether an index tells how many match a filter: it is empty, or it says all of its words. `beside`: words that say how to list, not what. */
export const tellsTotal = <Word extends string>({ size, says }: SizedIndex<Word>, filter: Readonly<Partial<Record<Word, unknown>>>, beside: readonly Word[]): boolean =>
  size === 0 || (Object.keys(filter) as Word[]).every((word) => says.includes(word) || beside.includes(word));
