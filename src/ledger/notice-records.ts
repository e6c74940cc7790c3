import { isTaskId, type Shard, type TaskId } from '../core/ids.ts';
import type { RunScript } from '../core/redis-script.ts';
import type { EpochMs } from '../core/time.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { noticesKey } from './redis-keys.ts';

/** Somebody who is still to be told that a task waits for a human. */
export interface DueNotice {
  readonly task: TaskId;
  /** The recipient, by its name in the configuration. */
  readonly recipient: string;
}

/** Who is still to be told of tasks that wait: written in the step that makes a task wait, so that a crash loses none. */
export interface NoticeRecords {
  /** Takes what is due in a shard until `untilMs`; each goes to one worker, and is due again then unless it is told to be done. */
  claimNotices(shard: Shard, nowMs: EpochMs, untilMs: EpochMs, limit: number): Promise<readonly DueNotice[]>;
  finishNotice(shard: Shard, notice: DueNotice): Promise<void>;
  retryNotice(shard: Shard, notice: DueNotice, atMs: EpochMs): Promise<void>;
}

export const noticeMember = ({ task, recipient }: DueNotice): string => `${task}.${recipient}`;

export function createNoticeRecords({ redis }: LedgerSteps, runClaim: RunScript): NoticeRecords {
  return {
    async claimNotices(shard, nowMs, untilMs, limit) {
      const key = noticesKey(shard);
      const due = await unavailableOnFailure(() => redis.zrangebyscore(key, '-inf', nowMs, 'LIMIT', 0, limit));
      if (due.length === 0) return [];
      const taken = (await unavailableOnFailure(() => runClaim(1, key, nowMs, untilMs, ...due))) as string[];
      const notices = taken.map((member) => ({ member, task: member.split('.')[0] ?? '', recipient: member.split('.')[1] ?? '' }));
      // Somebody else wrote it: out of the way.
      const strays = notices.filter(({ task }) => !isTaskId(task)).map(({ member }) => member);
      if (strays.length > 0) await unavailableOnFailure(() => redis.zrem(key, ...strays));
      return notices.flatMap(({ task, recipient }) => (isTaskId(task) ? [{ task, recipient }] : []));
    },
    async finishNotice(shard, notice) {
      await unavailableOnFailure(() => redis.zrem(noticesKey(shard), noticeMember(notice)));
    },
    async retryNotice(shard, notice, atMs) {
      await unavailableOnFailure(() => redis.zadd(noticesKey(shard), 'XX', atMs, noticeMember(notice)));
    },
  };
}
