import type { LastEntries } from './chain-state.ts';
import type { ChainHead } from './hash-chain.ts';

/** What a sink already holds: where it stands, and the last entry of each shard in it. */
export interface Recovered {
  readonly head: ChainHead;
  readonly last: LastEntries;
  /** Ids of the newest events, to tell an entry that comes again. */
  readonly recentIds: readonly string[];
  /** Bytes of a last line that was torn by a crash, now cut off. */
  readonly cutBytes: number;
}

/** Records to write at once. */
export interface SealedBatch {
  readonly lines: string;
  /** Of each record, hexadecimal. */
  readonly hashes: readonly string[];
  /** What they lead to. */
  readonly head: ChainHead;
  readonly last: LastEntries;
}

/** Where the sealer writes, and what was written there before. */
export interface ChainSink {
  readonly recovered: Recovered;
  /** The tree over all records that are safe; null where none is kept. */
  readonly tree: { readonly size: number; readonly root: Buffer } | null;
  /** Writes records, and does not answer before they are safe. */
  append(batch: SealedBatch): Promise<void>;
  close(): Promise<void>;
}

/** Events whose ids are remembered. */
export const RECENT_IDS = 100_000;
