import type { BrokerClient } from './broker-client.ts';
import { say } from './output.ts';
import { countFlag } from './whole-number.ts';

/** What the broker gives of a list at once, at most. */
const PAGE = 500;

/** A list as the broker answers it; `next_cursor` is null at its end. */
export interface ListDocument<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
  readonly total?: number | null;
}

/**
 * A list of the broker, page after page, up to `limit` items; says so where there are more. A filter that is undefined is
 * none. Throws `CliError`.
 */
export async function listOf<Item>(client: Pick<BrokerClient, 'call'>, path: string, filters: Readonly<Record<string, string | undefined>>, limit: string, tell: (words: string) => void = say): Promise<ListDocument<Item>> {
  const wanted = countFlag('--limit', limit);
  const given = Object.entries(filters).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const items: Item[] = [];
  let page: ListDocument<Item>;
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams([...given, ['limit', String(Math.min(PAGE, wanted - items.length))], ...(cursor === null ? [] : [['cursor', cursor] satisfies [string, string]])]);
    page = (await client.call('GET', `${path}?${query.toString()}`)).body as unknown as ListDocument<Item>;
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && items.length < wanted);
  if (cursor !== null) tell(`there are more${typeof page.total === 'number' ? `, ${page.total} in all` : ''}: raise --limit, or narrow it`);
  return { ...page, items };
}
