import { createHash, randomInt } from 'node:crypto';
import { shardOfName, type LeaseId, type Shard, type TaskId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Expectation, Write } from './commit-step.ts';
import { absent, type LedgerSteps } from './ledger-steps.ts';
import { idempotencyKey } from './redis-keys.ts';

/** Where the outcome of a request that may be repeated is kept. */
export interface IdempotencySlot {
  readonly shard: Shard;
  /** SHA-256 of caller, call and key. */
  readonly id: string;
  /** `sha256:` digest of the request's canonical JSON. */
  readonly request: string;
}

/** A slot that this request holds while it runs. */
export interface HeldSlot extends IdempotencySlot {
  readonly generation: number;
}

export type IdempotencyState =
  | { readonly state: 'first'; readonly slot: HeldSlot }
  | { readonly state: 'running' }
  /** The key was used for another request. */
  | { readonly state: 'mismatch' }
  | { readonly state: 'granted'; readonly task: TaskId; readonly leases: readonly LeaseId[] };

interface IdempotencyRecord {
  readonly generation: number;
  readonly request: string;
  readonly outcome: { readonly task: TaskId; readonly leases: readonly LeaseId[] } | null;
}

/** How long a key is remembered. */
const REMEMBERED_SECONDS = 86_400;

/**
 * The slot of a key, scoped to its caller and call. A declaration's slot decides the shard of its task, so that the slot
 * is filled in the very step that writes the task; every other call's slot is in the shard of its task.
 */
export function idempotencySlot(caller: WorkloadId, call: string, key: string, requestDigest: string, shard?: Shard): IdempotencySlot {
  const id = createHash('sha256').update(JSON.stringify([caller.issuer, caller.subject, call, key])).digest('hex');
  return { shard: shard ?? shardOfName(id), id, request: requestDigest };
}

/** What a granting step must find, and writes, so that its outcome is remembered under the held slot. */
export function fillSlot(slot: HeldSlot | undefined, outcome: { readonly task: TaskId; readonly leases: readonly LeaseId[] }, steps: LedgerSteps): { readonly expect: readonly Expectation[]; readonly writes: readonly Write[] } {
  if (slot === undefined) return { expect: [], writes: [] };
  const seconds = Math.min(REMEMBERED_SECONDS, steps.settings.retentionSeconds);
  return {
    expect: [{ key: idempotencyKey(slot.shard, slot.id), generation: slot.generation }],
    writes: recordWrites(slot, { generation: slot.generation + 1, request: slot.request, outcome }, seconds * 1000, steps),
  };
}

function recordWrites(slot: IdempotencySlot, record: IdempotencyRecord, forMs: number, { seal }: LedgerSteps): Write[] {
  const key = idempotencyKey(slot.shard, slot.id);
  const { json, mac } = seal.seal('idempotency', slot.id, record);
  return [
    ['HSET', key, 'generation', record.generation, 'record', json, 'mac', mac],
    ['PEXPIRE', key, forMs],
  ];
}

/** Slots in the ledger: taken by the first request, filled by its granting step, given back when nothing was granted. */
export function createIdempotency(steps: LedgerSteps) {
  const { redis, seal, clock, commit, untilSettled } = steps;

  async function take(slot: IdempotencySlot): Promise<IdempotencyState | 'conflict'> {
    const key = idempotencyKey(slot.shard, slot.id);
    // A number nobody else holds: a request that outlived its slot must not fill the one of its successor.
    const generation = randomInt(1, 2 ** 47);
    const record: IdempotencyRecord = { generation, request: slot.request, outcome: null };
    // A holder that was killed is forgotten when its mint would have been.
    const writes = recordWrites(slot, record, steps.settings.mintDeadlineMs, steps);
    const taken = await commit({ shard: slot.shard, nowMs: clock.now(), expect: [absent(key)], writes, events: [] });
    if (taken.outcome === 'ok') return { state: 'first', slot: { ...slot, generation } };

    const [json, mac] = await redis.hmget(key, 'record', 'mac');
    if (json === null || json === undefined) return 'conflict';
    const found = seal.open('idempotency', slot.id, json, mac ?? undefined) as IdempotencyRecord;
    if (found.request !== slot.request) return { state: 'mismatch' };
    return found.outcome === null ? { state: 'running' } : { state: 'granted', ...found.outcome };
  }

  return {
    takeSlot: (slot: IdempotencySlot): Promise<IdempotencyState> => untilSettled(() => take(slot)),

    async giveBackSlot(slot: HeldSlot): Promise<void> {
      const key = idempotencyKey(slot.shard, slot.id);
      // Held, or filled by a grant that failed after it.
      for (const generation of [slot.generation, slot.generation + 1]) {
        await commit({ shard: slot.shard, nowMs: clock.now(), expect: [{ key, generation }], writes: [['DEL', key]], events: [] });
      }
    },
  };
}
