import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Clock } from '../core/clock.ts';
import { SHARDS, type Shard } from '../core/ids.ts';
import { createRedisHold, type RedisHold } from '../core/redis-hold.ts';
import { defineScript, type RunScript } from '../core/redis-script.ts';
import { toRfc3339 } from '../core/time.ts';
import type { Checkpoint } from './checkpoint.ts';
import { appendCheckpoint, newestCheckpoint } from './checkpoint-file.ts';
import { ChainFile, ChainFileBusy } from './chain-file.ts';
import { RECENT_IDS, type ChainSink } from './chain-sink.ts';
import { ChainStream } from './chain-stream.ts';
import { eventsKey, SEALER_LEASE_KEY, SEALER_TOKEN_KEY, sealerFenceKey } from './event-stream-keys.ts';
import { appendRecord, type ChainHead, type ChainRecord, type SealerNotice } from './hash-chain.ts';
import type { EventSealer } from './seal-event.ts';
import type { NoteSigner } from './signed-note.ts';
import type { FeedWriter } from './event-feed.ts';
import { compareStreamIds } from './stream-ids.ts';

export interface AuditSealerDeps {
  /** A connection of its own, without an offline queue. */
  readonly redis: Redis;
  readonly file: string;
  /** Absent: records go into the file. Else they go to this stream, and the file keeps where the chain stands. */
  readonly stream?: NodeJS.WritableStream;
  readonly events: EventSealer;
  /** Bytes at which the file is moved aside; never when absent. */
  readonly rotateBytes?: number | undefined;
  /** Where sealed records are copied for those who watch. */
  readonly feed?: FeedWriter;
  readonly clock: Clock;
  /** Signs where the chain stands, that often and at the end; absent: nothing is signed. */
  readonly checkpoints?: { readonly origin: string; readonly signers: readonly [NoteSigner, ...NoteSigner[]]; readonly everyMs: number };
  readonly onFailure: () => void;
  readonly onNotice: (notice: SealerNotice) => void;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** How long a sealer that fell silent keeps others waiting. */
const LEASE_MS = 10_000;
/** A sealer stops writing this long before its lease would run out. */
const LEASE_MARGIN_MS = 3_000;
const IDLE_MS = 100;
const RETRY_MS = 500;
/** Entries of one shard in one batch. */
const BATCH = 200;

interface StreamEntry {
  readonly shard: Shard;
  readonly streamId: string;
  readonly json: string;
  readonly mac: string;
  readonly n: number;
}

/** A sealer that has the lease and the file. */
interface Sealing {
  readonly sink: ChainSink;
  readonly token: number;
  readonly holder: string;
  leasedUntilMonotonicMs: number;
  head: ChainHead;
  /** What the newest checkpoint says, and when it was signed. */
  signed: { readonly seq: number; readonly atMonotonicMs: number };
  readonly last: Map<string, { streamId: string; n: number }>;
  readonly recentIds: Set<string>;
}

/**
 * Moves audit events from the ledger's streams into the hash-chained file: sealed first, forgotten in Redis after. One
 * sealer at a time, by a lease in Redis with a fencing token for each shard, and by the kernel for the file. Events are
 * taken at least once and written exactly once. While the file cannot be written nothing is forgotten.
 */
export class AuditSealer {
  readonly #deps: AuditSealerDeps;
  readonly #fence: RunScript;
  readonly #trim: RunScript;
  readonly #hold: RedisHold;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #sealing: Sealing | undefined;

  constructor(deps: AuditSealerDeps) {
    this.#deps = deps;
    this.#fence = defineScript(deps.redis, 'mayflyFenceShard', script('fence-shard'));
    this.#trim = defineScript(deps.redis, 'mayflyTrimEvents', script('trim-events'));
    this.#hold = createRedisHold(deps.redis);
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Seals what is left, then lets go. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.#sealing !== undefined) {
      await this.#sealBatch(this.#sealing).catch(() => undefined);
      await this.#sign(this.#sealing, true).catch(() => undefined);
      await this.#letGo(this.#sealing);
    }
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let pauseMs = IDLE_MS;
      try {
        // A Redis that is not there yet, or not any more, is no failure of the audit log: events wait in it.
        if (this.#deps.redis.status === 'ready') this.#sealing ??= await this.#take();
        if (this.#sealing === undefined) pauseMs = RETRY_MS;
        else {
          if ((await this.#sealBatch(this.#sealing)) > 0) pauseMs = 0;
          await this.#sign(this.#sealing, false);
        }
      } catch (error) {
        this.#deps.onFailure();
        this.#deps.log.error({ err: error }, 'the audit log could not be written; events wait in Redis');
        if (this.#sealing !== undefined) await this.#letGo(this.#sealing);
        pauseMs = RETRY_MS;
      }
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  async #take(): Promise<Sealing | undefined> {
    const { redis, clock } = this.#deps;
    const holder = randomUUID();
    const askedMs = clock.monotonicMs();
    if (!(await this.#hold.take(SEALER_LEASE_KEY, holder, LEASE_MS))) return undefined;
    const sink = await this.#openSink(holder);
    if (sink === undefined) return undefined;
    try {
      const { recovered } = sink;
      // Above both what Redis counts and what the file says: a wiped Redis must not hand out an old token.
      const token = Math.max(await redis.incr(SEALER_TOKEN_KEY), recovered.head.epoch + 1);
      await redis.set(SEALER_TOKEN_KEY, token);
      for (const shard of SHARDS) {
        if ((await this.#fence(1, sealerFenceKey(shard), token)) !== 1) throw new Error('a newer sealer has a shard');
      }
      const sealing: Sealing = {
        sink,
        token,
        holder,
        leasedUntilMonotonicMs: askedMs + LEASE_MS,
        head: recovered.head,
        signed: { seq: 0, atMonotonicMs: -Infinity },
        last: new Map(recovered.last),
        recentIds: new Set(recovered.recentIds),
      };
      await this.#write(sealing, [{ origin: null, event: { type: 'sealer.started', cut_bytes: recovered.cutBytes } }]);
      this.#deps.log.info({ file: this.#deps.file, epoch: token, seq: sealing.head.seq }, 'sealing the audit log');
      return sealing;
    } catch (error) {
      await sink.close();
      throw error;
    }
  }

  /** The file, or nothing while another process of this machine has it: the lease is then given back. */
  async #openSink(holder: string): Promise<ChainSink | undefined> {
    try {
      const { file, stream, rotateBytes } = this.#deps;
      return stream === undefined ? await ChainFile.open(file, { signed: await this.#lastSigned(), rotateBytes }) : await ChainStream.open(file, stream);
    } catch (error) {
      await this.#hold.giveBack(SEALER_LEASE_KEY, holder);
      if (error instanceof ChainFileBusy) return undefined;
      throw error;
    }
  }

  /** The newest checkpoint of our own keys beside the file. */
  async #lastSigned(): Promise<Checkpoint | undefined> {
    const { file, checkpoints } = this.#deps;
    if (checkpoints === undefined) return undefined;
    return newestCheckpoint(file, checkpoints.signers.map(({ verifier }) => verifier));
  }

  /** Signs the tree of the log, when it has grown and it is time, or `now`. */
  async #sign(sealing: Sealing, now: boolean): Promise<void> {
    const { checkpoints, clock, file } = this.#deps;
    const { head, signed } = sealing;
    if (checkpoints === undefined || head.seq === signed.seq || (!now && clock.monotonicMs() - signed.atMonotonicMs < checkpoints.everyMs)) return;
    const { tree } = sealing.sink;
    if (tree === null) return;
    await appendCheckpoint(file, { origin: checkpoints.origin, size: tree.size, hash: tree.root.toString('hex') }, checkpoints.signers[0], toRfc3339(clock.now()));
    sealing.signed = { seq: head.seq, atMonotonicMs: clock.monotonicMs() };
  }

  async #letGo(sealing: Sealing): Promise<void> {
    this.#sealing = undefined;
    await sealing.sink.close().catch(() => undefined);
    await this.#hold.giveBack(SEALER_LEASE_KEY, sealing.holder);
  }

  /** Seals what is waiting; answers how much that was. */
  async #sealBatch(sealing: Sealing): Promise<number> {
    await this.#keepLease(sealing);
    const entries = (await Promise.all(SHARDS.map((shard) => this.#pending(shard)))).flat();
    if (entries.length === 0) return 0;
    const ordered = entries.toSorted((a, b) => compareStreamIds(a.streamId, b.streamId) || a.shard.localeCompare(b.shard));
    const contents = ordered.flatMap((entry) => this.#contentsOf(entry, sealing));
    if (contents.length > 0) await this.#write(sealing, contents);
    for (const [shard, sealed] of Map.groupBy(entries, (entry) => entry.shard)) {
      const ids = sealed.map((entry) => entry.streamId);
      if (Number(await this.#trim(2, eventsKey(shard), sealerFenceKey(shard), sealing.token, ...ids)) < 0) throw new Error('a newer sealer has a shard');
    }
    return entries.length;
  }

  async #keepLease(sealing: Sealing): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (sealing.leasedUntilMonotonicMs - nowMs > LEASE_MS / 2) return;
    if (!(await this.#hold.prolong(SEALER_LEASE_KEY, sealing.holder, LEASE_MS))) throw new Error('the sealer lost its lease');
    sealing.leasedUntilMonotonicMs = nowMs + LEASE_MS;
  }

  async #pending(shard: Shard): Promise<StreamEntry[]> {
    const rows = await this.#deps.redis.xrange(eventsKey(shard), '-', '+', 'COUNT', BATCH);
    return rows.map(([streamId, fields]) => {
      const field = (name: string): string => {
        const index = fields.findIndex((value, position) => position % 2 === 0 && value === name);
        return index === -1 ? '' : (fields[index + 1] ?? '');
      };
      return { shard, streamId, json: field('e'), mac: field('m'), n: Number(field('n')) };
    });
  }

  /** The records an entry gives: itself, or what is wrong with it, and a gap before it. Nothing for one already sealed. */
  #contentsOf(entry: StreamEntry, sealing: Sealing): Pick<ChainRecord, 'origin' | 'event'>[] {
    const { shard, streamId, n } = entry;
    const last = sealing.last.get(shard);
    if (last !== undefined && compareStreamIds(streamId, last.streamId) <= 0) return [];
    const event = this.#deps.events.open(entry.json, entry.mac);
    if (event === undefined || sealing.recentIds.has(event.id)) {
      const digest = `sha256:${createHash('sha256').update(entry.json).digest('hex')}`;
      return [this.#noticed({ type: 'audit.forged', shard, digest, why: event === undefined ? 'bad_mac' : 'replayed' })];
    }
    const contents: Pick<ChainRecord, 'origin' | 'event'>[] = [];
    const expected = (last?.n ?? 0) + 1;
    if (n > expected && last !== undefined) contents.push(this.#noticed({ type: 'audit.gap', shard, from: expected, to: n - 1 }));
    if (n < expected) contents.push(this.#noticed({ type: 'audit.reset', shard }));
    contents.push({ origin: { shard, stream_id: streamId, n }, event });
    sealing.last.set(shard, { streamId, n });
    sealing.recentIds.add(event.id);
    if (sealing.recentIds.size > RECENT_IDS) {
      const [oldest] = sealing.recentIds;
      if (oldest !== undefined) sealing.recentIds.delete(oldest);
    }
    return contents;
  }

  #noticed(notice: SealerNotice): Pick<ChainRecord, 'origin' | 'event'> {
    this.#deps.onNotice(notice);
    return { origin: null, event: notice };
  }

  async #write(sealing: Sealing, contents: readonly Pick<ChainRecord, 'origin' | 'event'>[]): Promise<void> {
    if (sealing.leasedUntilMonotonicMs - this.#deps.clock.monotonicMs() < LEASE_MARGIN_MS) throw new Error('the sealer was paused for too long to go on');
    const sealedAt = toRfc3339(this.#deps.clock.now());
    const before = sealing.head;
    let head = before;
    let lines = '';
    const hashes: string[] = [];
    const records: Pick<ChainRecord, 'seq' | 'epoch' | 'event'>[] = [];
    for (const content of contents) {
      const next = appendRecord(head, { ...content, sealed_at: sealedAt, epoch: sealing.token });
      lines += next.line;
      head = next.head;
      hashes.push(head.hash);
      records.push({ seq: head.seq, epoch: head.epoch, event: content.event });
    }
    await sealing.sink.append({ lines, hashes, head, last: sealing.last });
    sealing.head = head;
    await this.#deps.feed?.publish(before, records);
  }
}

const script = (name: string): URL => new URL(`./scripts/${name}.lua`, import.meta.url);
