import type { Redis } from 'ioredis';
import { TamperedRecord, type RecordKind, type RecordSeal } from './record-seal.ts';

/** Reads one sealed record; null where there is none. Throws `TamperedRecord` where it is not as it was sealed. */
export type ReadRecord = (kind: RecordKind, id: string, key: string) => Promise<unknown>;

export const createRecordReader =
  (redis: Redis, seal: RecordSeal): ReadRecord =>
  async (kind, id, key) => {
    const [generation, record, mac] = await redis.hmget(key, 'generation', 'record', 'mac');
    if (isAbsent(generation) && isAbsent(record) && isAbsent(mac)) return null;
    const opened = seal.open(kind, id, record ?? undefined, mac ?? undefined);
    // The bare generation is what scripts compare; it is outside the seal, so it must agree with what is inside.
    if (String((opened as { generation: number }).generation) !== generation) throw new TamperedRecord(kind, id);
    return opened;
  };

const isAbsent = (field: string | null | undefined): field is null | undefined => field === null || field === undefined;
