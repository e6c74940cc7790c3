import type { Redis } from 'ioredis';
import type { LeaseId, TaskId } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { Page } from './ledger.ts';

/** A page over indexes that are each in the order of their scores, as if they were one. */
export interface PageRequest<Id extends TaskId | LeaseId, T> {
  readonly keys: readonly string[];
  readonly newestFirst: boolean;
  /** What comes after is left out. */
  readonly upToMs?: EpochMs | undefined;
  readonly cursor?: string | undefined;
  readonly limit: number;
  readonly isId: (text: string) => text is Id;
  /** Null for what is not there. */
  readonly getAll: (ids: readonly Id[]) => Promise<readonly (T | null)[]>;
  readonly matches: (record: T) => boolean;
}

/** A filter that matches almost nothing must not read the whole ledger for one page: beyond this, the page ends early, with a cursor. */
const READ_BEYOND_LIMIT = 2_000;
/** Records read together. Small, so that others have their turn in between: some milliseconds. */
const BATCH = 100;
/** Rows of one index read together, at least and at most. */
const MIN_ROWS = 16;
const MAX_ROWS = 500;

/** A place in an index. */
export interface Row {
  readonly score: number;
  readonly member: string;
}

/** Whether `a` stands before (negative) or behind `b`. */
export const rowOrder = (newestFirst: boolean) => (a: Row, b: Row): number => {
  const order = a.score - b.score || (a.member < b.member ? -1 : a.member > b.member ? 1 : 0);
  return newestFirst ? -order : order;
};

/** Reads pages. What is added meanwhile neither repeats nor hides what was there; what moves to another place may be missed or seen twice. */
export function createIndexPages(redis: Redis) {
  const runPage = defineScript(redis, 'mayflyPage', new URL('./scripts/page.lua', import.meta.url));

  /** One index, read from a place on as far as it is asked for. */
  class Source {
    readonly #key: string;
    readonly #newestFirst: boolean;
    readonly #upToMs: number;
    #after: Row | undefined;
    #rows: Row[] = [];
    #ended = false;

    constructor(key: string, { newestFirst, upToMs }: { readonly newestFirst: boolean; readonly upToMs?: EpochMs | undefined }, after: Row | undefined) {
      this.#key = key;
      this.#newestFirst = newestFirst;
      this.#upToMs = upToMs ?? Infinity;
      this.#after = after;
    }

    get next(): Row | undefined {
      return this.#rows[0];
    }

    take(): void {
      this.#rows.shift();
    }

    async fill(count: number): Promise<void> {
      if (this.#ended || this.#rows.length > 0) return;
      const flat = (await runPage(1, this.#key, this.#newestFirst ? -1 : 1, this.#after?.score ?? '', this.#after?.member ?? '', count)) as string[];
      const rows = toRows(flat);
      this.#rows = rows.filter(({ score }) => score <= this.#upToMs);
      this.#ended = rows.length < count || this.#rows.length < rows.length;
      this.#after = rows.at(-1) ?? this.#after;
    }
  }

  return async <Id extends TaskId | LeaseId, T>(request: PageRequest<Id, T>): Promise<Page<T>> => {
    const order = rowOrder(request.newestFirst);
    const start = parseCursor(request.cursor);
    const sources = request.keys.map((key) => new Source(key, request, start));
    const items: T[] = [];
    let last = start;

    /** The first of what the sources have next; undefined at the end of all. */
    const nextRow = async (): Promise<Row | undefined> => {
      if (sources.some(({ next }) => next === undefined)) {
        const rows = Math.ceil(((request.limit - items.length) * 1.2) / sources.length) + 1;
        await Promise.all(sources.map((source) => source.fill(Math.min(MAX_ROWS, Math.max(MIN_ROWS, rows)))));
      }
      let first: Source | undefined;
      for (const source of sources) if (source.next !== undefined && (first?.next === undefined || order(source.next, first.next) < 0)) first = source;
      return first?.next;
    };
    const dropUpTo = (row: Row): void => {
      for (const source of sources) if (source.next !== undefined && order(source.next, row) <= 0) source.take();
    };

    let passedOver = 0;
    for (let read = 0; read < request.limit + READ_BEYOND_LIMIT; ) {
      // Where the filter passes over records, reading just as many as are missing would ask for one at a time in the end.
      const wanted = Math.min(BATCH, request.limit - items.length + passedOver);
      const rows: Row[] = [];
      for (let row = await nextRow(); row !== undefined && rows.length < wanted; row = await nextRow()) {
        rows.push(row);
        dropUpTo(row);
      }
      const ids = rows.map(({ member }) => member).filter(request.isId);
      const records = new Map((await request.getAll(ids)).map((record, index) => [ids[index] as string, record]));
      for (const [index, row] of rows.entries()) {
        const record = records.get(row.member) ?? null;
        last = row;
        if (record === null || !request.matches(record)) passedOver += 1;
        else if (items.push(record) === request.limit) {
          const more = index < rows.length - 1 || (await nextRow()) !== undefined;
          return { items, nextCursor: more ? formatCursor(row) : null };
        }
      }
      read += rows.length;
      if ((await nextRow()) === undefined) return { items, nextCursor: null };
    }
    return { items, nextCursor: last === undefined ? null : formatCursor(last) };
  };
}

function toRows(flat: readonly string[]): Row[] {
  return Array.from({ length: Math.floor(flat.length / 2) }, (_, index) => ({ member: flat[2 * index] ?? '', score: Number(flat[2 * index + 1]) }));
}

export const formatCursor = (row: Row): string => Buffer.from(`${row.score}:${row.member}`).toString('base64url');

export function parseCursor(cursor: string | undefined): Row | undefined {
  const match = /^(\d{1,15}):([a-z]{3}_[0-9a-f]{32})$/.exec(Buffer.from(cursor ?? '', 'base64url').toString());
  return match?.[1] === undefined || match[2] === undefined ? undefined : { score: Number(match[1]), member: match[2] };
}

/** Whether a cursor is one of ours. */
export const isCursor = (cursor: string): boolean => parseCursor(cursor) !== undefined;
