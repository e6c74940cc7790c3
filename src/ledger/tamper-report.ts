import { LRUCache } from 'lru-cache';
import { SHARDS, type Shard } from '../core/ids.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Ledger } from './ledger.ts';
import type { TamperedRecord } from './record-seal.ts';

/** Ids remembered as told: whoever writes to Redis must not be able to fill our memory. */
const REMEMBERED = 10_000;
/** The locks of a shard have one name for ever: what is tampered with again, after it was put right, must be told again. */
const AGAIN_AFTER_MS = 3_600_000;

/** A tampered record is told once an hour, in the log, the metrics and the audit, however often it is met. */
export function createTamperReport(metrics: Pick<Metrics, 'countTampered'>, log: Pick<Logger, 'error'>) {
  const told = new LRUCache<string, true>({ max: REMEMBERED, ttl: AGAIN_AFTER_MS });
  return {
    report(error: TamperedRecord, shard: Shard, ledger: Ledger): void {
      if (told.has(error.id)) return;
      told.set(error.id, true);
      metrics.countTampered();
      log.error({ kind: error.kind, id: error.id }, 'a stored record fails its seal: somebody wrote to Redis behind the broker');
      ledger
        .recordEvent({ shard, type: 'record.tampered', by: { issuer: 'mayfly', subject: 'ledger' }, facts: { kind: error.kind, id: error.id } })
        .catch(() => told.delete(error.id));
    },
  };
}

/** Records are named by ids whose first digit is their shard. */
export const shardOfRecord = (error: TamperedRecord): Shard => SHARDS.find((shard) => shard === error.id.charAt(4)) ?? (SHARDS[0] as Shard);
