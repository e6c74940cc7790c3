import type { LeaseId, TaskId } from '../core/ids.ts';
import { defineScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { WaitingState } from '../task/task.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { agentDenialsKey, agentGrantsKey, agentLiveKey, agentWaitingKey } from './redis-keys.ts';

/** Room reserved under an agent's limit, and the counters policy decides on (this request not included). */
export interface Reservation {
  readonly granted: boolean;
  readonly liveLeases: number;
  readonly grantsLastHour: number;
  readonly purposeGrantsLastHour: number;
  readonly denialsInARow: number;
}

/** How long denials are remembered after the last one. */
const DENIALS_SECONDS = 3_600;

/** Room that many leases or waiting tasks of one agent may take; all of it frees itself in the end. */
export function createRoom({ redis, clock }: LedgerSteps) {
  const runReserve = defineScript(redis, 'mayflyReserve', new URL('./scripts/reserve.lua', import.meta.url));
  const reserve = async (keys: readonly string[], limit: number, items: readonly (readonly [id: string, untilMs: number])[]): Promise<number[]> =>
    (await unavailableOnFailure(() => runReserve(keys.length, ...keys, clock.now(), limit, ...items.flat()))) as number[];

  return {
    async reserve(agent: WorkloadId, purpose: string, leases: readonly { readonly id: LeaseId; readonly dueAtMs: EpochMs }[], limit: number): Promise<Reservation> {
      const keys = [agentLiveKey(agent), agentGrantsKey(agent), agentGrantsKey(agent, purpose), agentDenialsKey(agent)];
      const [granted, live, grants, ofPurpose, denials] = await reserve(keys, limit, leases.map(({ id, dueAtMs }) => [id, dueAtMs]));
      return { granted: granted === 1, liveLeases: Number(live), grantsLastHour: Number(grants), purposeGrantsLastHour: Number(ofPurpose), denialsInARow: Number(denials) };
    },

    /** One more denial of a workload in a row. */
    async countDenial(workload: WorkloadId): Promise<void> {
      const key = agentDenialsKey(workload);
      await unavailableOnFailure(() => redis.multi().incr(key).expire(key, DENIALS_SECONDS).exec());
    },

    /** It was permitted something: the row of denials is over. */
    async forgetDenials(workload: WorkloadId): Promise<void> {
      await unavailableOnFailure(() => redis.del(agentDenialsKey(workload)));
    },

    async release(agent: WorkloadId, leases: readonly LeaseId[]): Promise<void> {
      if (leases.length > 0) await unavailableOnFailure(() => redis.zrem(agentLiveKey(agent), ...leases));
    },

    /** It was no grant after all. */
    async uncount(agent: WorkloadId, purpose: string, leases: readonly LeaseId[]): Promise<void> {
      if (leases.length === 0) return;
      await unavailableOnFailure(() => redis.multi().zrem(agentGrantsKey(agent), ...leases).zrem(agentGrantsKey(agent, purpose), ...leases).exec());
    },

    /** Leases that live longer keep their room as long. */
    async prolong(agent: WorkloadId, leases: readonly { readonly id: LeaseId; readonly dueAtMs: EpochMs }[]): Promise<void> {
      await reserve([agentLiveKey(agent)], Number.MAX_SAFE_INTEGER, leases.map(({ id, dueAtMs }) => [id, dueAtMs]));
    },

    /** Room for a task that waits, with its declarer; false when there is none. */
    async reserveWaiting(declarer: WorkloadId, state: WaitingState, task: TaskId, untilMs: EpochMs, limit: number): Promise<boolean> {
      const [granted] = await reserve([agentWaitingKey(declarer, state)], limit, [[task, untilMs]]);
      return granted === 1;
    },

    async releaseWaiting(declarer: WorkloadId, state: WaitingState, task: TaskId): Promise<void> {
      await unavailableOnFailure(() => redis.zrem(agentWaitingKey(declarer, state), task));
    },
  };
}
