import type { Redis } from 'ioredis';
import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { Write } from './commit-step.ts';
import { tallyKey } from './redis-keys.ts';

const HOUR_MS = 3_600_000;
const SECONDS_OF_A_DAY = 86_400;
/** What is told of the last hour covers an hour and at most this more. */
const PART_MS = 600_000;
const PARTS_OF_AN_HOUR = HOUR_MS / PART_MS;
/** As long as the longest look back, and a day. */
const KEPT_SECONDS = 29 * SECONDS_OF_A_DAY;

/** What is counted: how often each of these happened, and the highest of what is measured. */
export interface Tally {
  readonly counts: ReadonlyMap<string, number>;
  readonly max: number;
}

interface Part extends Tally {
  readonly startMs: number;
}

const MAX = 'max';

/** Counts one more of `name` at an instant, and where a value is given, whether it is the highest yet. Part of the step in which it happens. */
export function tallyWrites(shard: Shard, atMs: EpochMs, name: string, value?: number): Write[] {
  const part = Math.floor((atMs % HOUR_MS) / PART_MS);
  const key = tallyKey(shard, Math.floor(atMs / HOUR_MS));
  return [
    ['ZINCRBY', key, 1, `${part}:${name}`],
    ...(value === undefined ? [] : [['ZADD', key, 'GT', value, `${part}:${MAX}`] as const]),
    ['EXPIRE', key, KEPT_SECONDS],
  ];
}

/** After its end, an hour may still be written to for this long, by a process whose clock is behind. */
const SETTLES_MS = 60_000;
/** How long hours that are over are remembered: a wiped Redis is forgotten within it. */
const REMEMBERED_MS = 600_000;
/** Hours read at once. */
const SLICE = 24;
/** More members than an hour has; whoever plants others in Redis makes no process read them all. */
const MEMBERS = 500;

/** Reads what was counted, by any process. Hours that are over are read once in ten minutes. It is no authority: what cannot be read counts for nothing. */
export function createTallyReader(redis: Redis, clock: Clock) {
  let remembered: { readonly sinceMs: number; readonly hours: Map<number, readonly Part[]> } = { sinceMs: clock.monotonicMs(), hours: new Map() };

  const readHour = async (hour: number): Promise<readonly Part[]> => {
    const rows = await Promise.all(SHARDS.map((shard) => redis.zrange(tallyKey(shard, hour), '0', String(MEMBERS - 1), 'WITHSCORES').catch(emptyIfForeign)));
    return partsOf(hour, rows.flatMap(pairs));
  };

  /** What was counted in spans of time up to now, none longer than the longest. */
  return async (nowMs: EpochMs, longestMs: number): Promise<(spanMs: number) => Tally> => {
    if (clock.monotonicMs() - remembered.sinceMs > REMEMBERED_MS) remembered = { sinceMs: clock.monotonicMs(), hours: new Map() };
    const { hours } = remembered;
    const last = Math.floor(nowMs / HOUR_MS);
    const first = Math.floor((nowMs - longestMs) / HOUR_MS);
    const wanted = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    for (const hour of hours.keys()) if (hour < first) hours.delete(hour);
    const parts: Part[] = wanted.flatMap((hour) => hours.get(hour) ?? []);
    const unread = wanted.filter((hour) => !hours.has(hour));
    for (let from = 0; from < unread.length; from += SLICE) {
      for (const [hour, read] of await Promise.all(unread.slice(from, from + SLICE).map(async (one) => [one, await readHour(one)] as const))) {
        if ((hour + 1) * HOUR_MS + SETTLES_MS < nowMs) hours.set(hour, read);
        parts.push(...read);
      }
    }
    return (spanMs) => joined(parts.filter(({ startMs }) => startMs + PART_MS > nowMs - spanMs));
  };
}

/** A key that somebody made something else of holds nothing. */
function emptyIfForeign(error: unknown): string[] {
  if (error instanceof Error && error.message.startsWith('WRONGTYPE')) return [];
  throw error;
}

const pairs = (flat: readonly string[]): [member: string, score: number][] =>
  Array.from({ length: Math.floor(flat.length / 2) }, (_, index) => [flat[2 * index] ?? '', Number(flat[2 * index + 1])]);

function partsOf(hour: number, rows: readonly (readonly [member: string, score: number])[]): Part[] {
  return Array.from({ length: PARTS_OF_AN_HOUR }, (_, part) => {
    const own = rows.flatMap(([member, score]) => (member.startsWith(`${part}:`) && score > 0 && Number.isFinite(score) ? [[member.slice(2), score] as const] : []));
    return { startMs: hour * HOUR_MS + part * PART_MS, ...joined(own.map(([name, score]) => (name === MAX ? { counts: new Map(), max: score } : { counts: new Map([[name, Math.round(score)]]), max: 0 }))) };
  }).filter(({ counts }) => counts.size > 0);
}

function joined(tallies: readonly Tally[]): Tally {
  const counts = new Map<string, number>();
  for (const tally of tallies) for (const [name, count] of tally.counts) counts.set(name, (counts.get(name) ?? 0) + count);
  return { counts, max: Math.max(0, ...tallies.map(({ max }) => max)) };
}
