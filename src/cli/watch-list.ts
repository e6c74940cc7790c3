import type { BrokerClient } from './broker-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { listOf } from './list-pages.ts';
import { LiveReader } from './live-reader.ts';
import { say } from './output.ts';

/** Items that are followed: more than that is for `/v1/events`. */
const AT_MOST = '5000';

export interface Watched<Item> {
  /** The list, and where one of it is found by its id. */
  readonly path: string;
  readonly filters: Readonly<Record<string, string | undefined>>;
  /** The member of an answer about one that holds it. */
  readonly member: string;
  readonly tell: (item: Item) => void;
}

/**
 * Tells of each item of a list: first as it stands, then whenever it changed, and once more when it is no longer among them. Goes on where the
 * broker was away; rejects with `CliError` where it refuses, and resolves when `signal` says so.
 */
export async function watchList<Item extends { readonly id: string }>(client: Pick<BrokerClient, 'call' | 'stream'>, { path, filters, member, tell }: Watched<Item>, signal: AbortSignal): Promise<void> {
  let known = new Map<string, Item>();
  let away = false;
  const look = async (): Promise<void> => {
    const { items } = await listOf<Item>(client, path, filters, AT_MOST);
    away = false;
    const now = new Map(items.map((item) => [item.id, item]));
    for (const item of items) if (JSON.stringify(known.get(item.id)) !== JSON.stringify(item)) tell(item);
    for (const id of known.keys()) if (!now.has(id)) tell((await client.call('GET', `${path}/${encodeURIComponent(id)}`)).body[member] as Item);
    known = now;
  };
  const failed = (error: unknown): void => {
    if (!(error instanceof CliError) || (error.exitCode !== EXIT.upstream && error.exitCode !== EXIT.pending)) throw error;
    if (!away) say(`${error.lines[0] ?? ''}; asking again`);
    away = true;
  };
  await new LiveReader(client, { look, failed, signal }).run();
}
