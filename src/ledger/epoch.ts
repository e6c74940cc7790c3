import { randomBytes, randomInt } from 'node:crypto';
import { SHARDS, type Shard } from '../core/ids.ts';
import { addMs, type EpochMs } from '../core/time.ts';

/** How a ledger lost records: they are gone, they are older than they were, or they are those of another ledger. */
export type Loss = 'wiped' | 'rolled_back' | 'replaced';

/** Nothing is granted: the ledger does not know all that is live. Ended by an admin, or when nothing from before can live any more. */
export interface Hold {
  readonly why: Loss;
  readonly sinceMs: EpochMs;
  readonly untilMs: EpochMs;
}

/** One life of the ledger: from its beginning, or from a loss, to the next loss. Every shard has a copy. */
export interface Epoch {
  /** Goes up by one with each loss. */
  readonly number: number;
  /** Random: two ledgers that never met have different ones. */
  readonly id: string;
  /** What granting steps compare. Begins at random, so that what a process knows of one epoch never fits another, and goes up with each change. */
  readonly generation: number;
  readonly startedAtMs: EpochMs;
  readonly hold: Hold | null;
}

/** What is known of the ledger outside of it: which epoch it was in, and how many events each shard had written at least. */
export interface KnownEpoch {
  readonly number: number;
  readonly id: string;
  /** By shard. These only go up while nothing is lost. */
  readonly events: Readonly<Record<string, number>>;
}

/** What one shard says. */
export interface ShardEpoch {
  /** Null where there is none, or none of our making. */
  readonly epoch: Epoch | null;
  /** Events ever written to the shard. */
  readonly events: number;
}

/** `standing`: the ledger is whole, and in this epoch. */
export type EpochVerdict = { readonly kind: 'first_start' } | { readonly kind: 'standing'; readonly epoch: Epoch } | { readonly kind: 'lost'; readonly why: Loss };

/** The name under which a shard's copy is sealed. */
export const epochId = (shard: Shard): string => `epo_${shard}`;

/** A beginning; after a loss with its hold. */
export const beginEpoch = (number: number, nowMs: EpochMs, hold: Hold | null = null): Epoch => ({
  number,
  id: randomBytes(16).toString('hex'),
  generation: randomInt(1, 2 ** 47),
  startedAtMs: nowMs,
  hold,
});

/** A hold from now until nothing that was minted before can live: `longestLifeMs` is the longest any credential may. */
export const holdFor = (why: Loss, nowMs: EpochMs, longestLifeMs: number): Hold => ({ why, sinceMs: nowMs, untilMs: addMs(nowMs, longestLifeMs) });

/** The same epoch with its hold over. */
export const withoutHold = (epoch: Epoch): Epoch => ({ ...epoch, generation: epoch.generation + 1, hold: null });

/** What the ledger should be taken for, by what its shards say and what is known outside (null: nothing). Pure. */
export function judgeEpoch(known: KnownEpoch | null, found: ReadonlyMap<Shard, ShardEpoch>): EpochVerdict {
  const newest = newestEpoch(found);
  if (known === null) return newest === null ? { kind: 'first_start' } : { kind: 'standing', epoch: newest };
  if (newest === null) return { kind: 'lost', why: 'wiped' };
  // A loss that somebody else has seen to.
  if (newest.number > known.number) return { kind: 'standing', epoch: newest };
  if (newest.number < known.number) return { kind: 'lost', why: 'rolled_back' };
  if (newest.id !== known.id) return { kind: 'lost', why: 'replaced' };
  const shards = SHARDS.map((shard) => ({ ...found.get(shard), known: known.events[shard] ?? 0 }));
  if (shards.some(({ epoch }) => (epoch ?? null) === null)) return { kind: 'lost', why: 'wiped' };
  if (shards.some(({ epoch, events = 0, known: atLeast }) => epoch?.id !== newest.id || events < atLeast)) return { kind: 'lost', why: 'rolled_back' };
  return { kind: 'standing', epoch: newest };
}

/** What is then known of a ledger in `epoch`, as it was found. */
export const knownOf = ({ number, id }: Epoch, found: ReadonlyMap<Shard, ShardEpoch>): KnownEpoch => ({
  number,
  id,
  events: Object.fromEntries([...found].map(([shard, { events }]) => [shard, events])),
});

/** The newest that any shard has: a change is written to one shard first, and whoever finds it there completes it. */
function newestEpoch(found: ReadonlyMap<Shard, ShardEpoch>): Epoch | null {
  const epochs = [...found.values()].flatMap(({ epoch }) => epoch ?? []);
  return epochs.toSorted((a, b) => b.number - a.number || b.generation - a.generation)[0] ?? null;
}
