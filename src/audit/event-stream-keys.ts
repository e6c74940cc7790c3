import type { Shard } from '../core/ids.ts';

/** Stream of audit events of a shard, appended by the ledger's script and trimmed only after sealing. */
export const eventsKey = (shard: Shard): string => `mayfly:{${shard}}:events`;
/** Counter of the events of a shard: a deleted entry leaves a gap in it. */
export const eventSeqKey = (shard: Shard): string => `mayfly:{${shard}}:event-seq`;
