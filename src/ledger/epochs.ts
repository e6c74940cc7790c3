import pLimit from 'p-limit';
import { eventSeqKey } from '../audit/event-stream-keys.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { toRfc3339, type EpochMs } from '../core/time.ts';
import type { SealedEvent } from '../audit/audit-event.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { EpochFile } from './epoch-file.ts';
import { beginEpoch, epochId, holdFor, judgeEpoch, knownOf, withoutHold, type Epoch, type Hold, type KnownEpoch, type ShardEpoch } from './epoch.ts';
import type { LedgerSteps } from './ledger-steps.ts';
import { unavailableOnFailure } from './lost-redis.ts';
import { TamperedRecord } from './record-seal.ts';
import { epochKey } from './redis-keys.ts';

export interface EpochSettings {
  /** Null in a process that only serves: it keeps in mind what it has seen, and no longer. */
  readonly file: EpochFile | null;
  /** Whether this process may begin a ledger, and open the hold of one that lost records. Those that only serve wait for one that does. */
  readonly begins: boolean;
  /** How long a credential may live at most at its target, from now on, ms. */
  readonly longestLifeMs: number;
}

/** Every shard as it was found; `generation` also where the record is none of ours, 0 where there is none. */
type Found = ReadonlyMap<Shard, ShardEpoch & { readonly generation: number }>;

const LEDGER: WorkloadId = { issuer: 'mayfly', subject: 'ledger' };
/** How soon whoever is held may ask again. */
const RETRY_HELD_SECONDS = 30;

export type Epochs = ReturnType<typeof createEpochs>;

/**
 * Whether the ledger still has all that was written to it, by what is known of it outside: on disk, and in mind. A step that
 * grants names the epoch it was begun in, so that a wiped Redis grants nothing from the first step on; one that was
 * restored or rolled back is found at the next look, which every new connection begins with.
 */
export function createEpochs(steps: Pick<LedgerSteps, 'redis' | 'clock' | 'seal' | 'event' | 'commit' | 'untilSettled' | 'onTampered'>, settings: EpochSettings) {
  const { redis, clock, seal, event, commit, untilSettled, onTampered } = steps;
  let known: KnownEpoch | null = settings.file?.atStart ?? null;
  /** Generations at which a shard grants. */
  const standing = new Map<Shard, number>();
  /** A loss that this process has seen and may not write down, until somebody has. */
  let unwritten: Hold | null = null;
  let connection = 0;
  // Behind a connection that was lost there may be another Redis, or the same with less in it.
  redis.on('close', () => {
    connection += 1;
    standing.clear();
  });

  async function readShard(shard: Shard): Promise<ShardEpoch & { readonly generation: number }> {
    const [[generation, json, mac], events] = await unavailableOnFailure(() => Promise.all([redis.hmget(epochKey(shard), 'generation', 'record', 'mac'), redis.get(eventSeqKey(shard))]));
    const seen = { generation: Number(generation), events: Number(events) };
    if ((generation ?? json ?? mac ?? null) === null) return { ...seen, epoch: null };
    try {
      const epoch = seal.open('epoch', epochId(shard), json ?? undefined, mac ?? undefined) as Epoch;
      if (epoch.generation !== seen.generation) throw new TamperedRecord('epoch', epochId(shard));
      return { ...seen, epoch };
    } catch (error) {
      if (!(error instanceof TamperedRecord)) throw error;
      onTampered(error, shard);
      return { ...seen, epoch: null };
    }
  }

  const readShards = async (): Promise<Found> => new Map(await Promise.all(SHARDS.map(async (shard) => [shard, await readShard(shard)] as const)));

  /** Writes an epoch to a shard as it was found; false where somebody else was quicker. */
  async function writeTo(shard: Shard, epoch: Epoch, found: Found, events: readonly SealedEvent[] = []): Promise<boolean> {
    const { epoch: before = null, generation = 0 } = found.get(shard) ?? {};
    if (before?.generation === epoch.generation) return true;
    const key = epochKey(shard);
    const { json, mac } = seal.seal('epoch', epochId(shard), epoch);
    const result = await commit({
      shard,
      nowMs: clock.now(),
      expect: [{ key, generation }],
      writes: [['HSET', key, 'generation', epoch.generation, 'record', json, 'mac', mac]],
      events,
    });
    return result.outcome === 'ok';
  }

  /** Writes an epoch to every shard, to one of them first, which decides between two who try at once. */
  async function writeEverywhere(epoch: Epoch, found: Found, events: readonly SealedEvent[] = []): Promise<'conflict' | Epoch> {
    const [first, ...others] = SHARDS;
    if (first === undefined || !(await writeTo(first, epoch, found, events))) return 'conflict';
    const written = await Promise.all(others.map((shard) => writeTo(shard, epoch, found)));
    return written.every(Boolean) ? epoch : 'conflict';
  }

  const holdEvent = (nowMs: EpochMs, type: 'hold.opened' | 'hold.released' | 'hold.expired', { why, sinceMs, untilMs }: Hold, by: WorkloadId, facts: Readonly<Record<string, unknown>> = {}): SealedEvent =>
    event(nowMs, { type, by, facts: { why, since: toRfc3339(sinceMs), until: toRfc3339(untilMs), ...facts } });

  /** What this process knows then, kept outside before anything is granted on it; and only on the connection it was found over. */
  async function remember(epoch: Epoch, found: Found, lookedOver: number): Promise<void> {
    const next = knownOf(epoch, found);
    if (JSON.stringify(next) !== JSON.stringify(known)) {
      await settings.file?.write(next).catch((cause: unknown) => {
        throw new Problem('ledger_unavailable', 'what is known of the ledger cannot be written outside of it; nothing is granted', { cause, retryAfterSeconds: 5 });
      });
    }
    known = next;
    unwritten = null;
    standing.clear();
    if (epoch.hold !== null || lookedOver !== connection) return;
    for (const [shard, { epoch: own }] of found) if (own?.generation === epoch.generation) standing.set(shard, epoch.generation);
  }

  /** The epoch the ledger is to be in, by how it was found; null where only a worker may say. */
  function nextEpoch(found: Found, nowMs: EpochMs): { readonly epoch: Epoch; readonly events: readonly SealedEvent[] } | { readonly loss: Hold } | null {
    const verdict = judgeEpoch(known, found);
    if (verdict.kind === 'first_start') return settings.begins ? { epoch: beginEpoch(1, nowMs), events: [] } : null;
    if (verdict.kind === 'lost') {
      const hold = holdFor(verdict.why, nowMs, settings.longestLifeMs);
      return settings.begins ? { epoch: beginEpoch((known?.number ?? 0) + 1, nowMs, hold), events: [holdEvent(nowMs, 'hold.opened', hold, LEDGER)] } : { loss: hold };
    }
    const { epoch } = verdict;
    if (epoch.hold === null || nowMs < epoch.hold.untilMs) return { epoch, events: [] };
    return { epoch: withoutHold(epoch), events: [holdEvent(nowMs, 'hold.expired', epoch.hold, LEDGER)] };
  }

  const lookNow = (): Promise<Hold | null> =>
    untilSettled<Hold | null>(async () => {
      const lookedOver = connection;
      const found = await readShards();
      const next = nextEpoch(found, clock.now());
      if (next === null) throw new Problem('ledger_unavailable', 'no worker has begun the ledger yet; nothing is granted', { retryAfterSeconds: 2 });
      if ('loss' in next) {
        standing.clear();
        unwritten ??= next.loss;
        return unwritten;
      }
      const written = await writeEverywhere(next.epoch, found, next.events);
      if (written === 'conflict') return 'conflict';
      await remember(written, withEpoch(found, written), lookedOver);
      return written.hold;
    });

  // One at a time: what was read before another look has ended would seem older than what is known since.
  const turn = pLimit(1);
  let waiting: Promise<Hold | null> | undefined;
  /** A look that begins after it was asked for, shared by all who ask before it does. */
  const look = (): Promise<Hold | null> =>
    (waiting ??= turn(() => {
      waiting = undefined;
      return lookNow();
    }));

  const releaseNow = (by: WorkloadId, reason: string): Promise<Hold | null> =>
    untilSettled(async () => {
      if ((await lookNow()) === null) return null;
      const found = await readShards();
      const verdict = judgeEpoch(known, found);
      if (verdict.kind !== 'standing' || verdict.epoch.hold === null) return 'conflict';
      const { hold } = verdict.epoch;
      const written = await writeEverywhere(withoutHold(verdict.epoch), found, [holdEvent(clock.now(), 'hold.released', hold, by, { reason })]);
      return written === 'conflict' ? written : hold;
    });

  return {
    /** Looks whether the ledger is whole; where it is not, opens the hold. Answers the hold in force. Throws `ledger_unavailable`. */
    currentHold: look,

    /** Ends the hold, with who did; null where there is none. */
    releaseHold: (by: WorkloadId, reason: string): Promise<Hold | null> => turn(() => releaseNow(by, reason)),

    /** The generation that a granting step in this shard has to name. Throws `held`, or `ledger_unavailable`. */
    async grantingAt(shard: Shard): Promise<number> {
      const generation = standing.get(shard);
      if (generation !== undefined) return generation;
      const hold = await look();
      if (hold !== null) throw heldProblem(hold);
      const looked = standing.get(shard);
      if (looked === undefined) throw new Problem('ledger_unavailable', 'the ledger changed its epoch; try again', { retryAfterSeconds: 1 });
      return looked;
    },

    /** Of the epoch that this process has seen last; it goes up when a ledger that lost records begins again. */
    number: (): number => known?.number ?? 0,

    /** The epoch is not as a step expected it: it has to be looked at before the next. */
    forget(shard: Shard): void {
      standing.delete(shard);
    },
  };
}

/** All shards as they are once an epoch was written to each. */
const withEpoch = (found: Found, epoch: Epoch): Found => new Map([...found].map(([shard, { events }]) => [shard, { epoch, events, generation: epoch.generation }]));

function heldProblem({ why, sinceMs, untilMs }: Hold): Problem {
  const hold = { why, since: toRfc3339(sinceMs), until: toRfc3339(untilMs) };
  return new Problem('held', `the ledger lost records (${why}); nothing is granted until an admin releases the hold, or ${hold.until}`, { members: { hold }, retryAfterSeconds: RETRY_HELD_SECONDS });
}
