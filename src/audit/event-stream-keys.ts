import type { Shard } from '../core/ids.ts';

/** Stream of audit events of a shard, appended by the ledger's script and trimmed only after sealing. */
export const eventsKey = (shard: Shard): string => `mayfly:{${shard}}:events`;
/** Counter of the events of a shard: a deleted entry leaves a gap in it. */
export const eventSeqKey = (shard: Shard): string => `mayfly:{${shard}}:event-seq`;
/** String: the fencing token of the newest sealer that took this shard. Only it may trim. */
export const sealerFenceKey = (shard: Shard): string => `mayfly:{${shard}}:sealer-fence`;
/** String with an expiry: who seals now. */
export const SEALER_LEASE_KEY = 'mayfly:{sealer}:lease';
/** Counter of fencing tokens. */
export const SEALER_TOKEN_KEY = 'mayfly:{sealer}:token';
/** Stream of the newest sealed events of all shards in the order of the audit file, written by the sealer: for those who watch. */
export const FEED_KEY = 'mayfly:{feed}:events';
