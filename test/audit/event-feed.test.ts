import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { AuditSealer } from '../../src/audit/audit-sealer.ts';
import { createFeedSeal, createFeedWriter, type FeedWriter } from '../../src/audit/event-feed.ts';
import { eventsKey, eventSeqKey, FEED_KEY } from '../../src/audit/event-stream-keys.ts';
import { FeedReader } from '../../src/audit/feed-reader.ts';
import { GENESIS } from '../../src/audit/hash-chain.ts';
import { createEventSealer } from '../../src/audit/seal-event.ts';
import { systemClock } from '../../src/core/clock.ts';
import { newEventId, SHARDS } from '../../src/core/ids.ts';
import { at } from '../support/at.ts';
import { AGENT, EVENT_KEY } from '../support/ledger-fixture.ts';
import { until } from '../support/until.ts';
import { useRedis } from '../support/use-redis.ts';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const seal = createFeedSeal(Buffer.alloc(32, 3));
const events = createEventSealer(EVENT_KEY);
let redis: Redis;
let directory: string;
let readers: FeedReader[];
let sealers: AuditSealer[];
let forged: number;

useRedis(async (connection) => {
  redis = connection;
  directory = await mkdtemp(join(tmpdir(), 'mayfly-feed-'));
  readers = [];
  sealers = [];
  forged = 0;
});

afterEach(async () => {
  readers.forEach((reader) => reader.stop());
  await Promise.all(sealers.map((sealer) => sealer.stop()));
  await rm(directory, { recursive: true, force: true });
});

/** A reader of a process of its own. */
async function startReader(): Promise<FeedReader> {
  const connection = redis.duplicate({ commandTimeout: 20_000 });
  connection.on('error', () => undefined);
  await connection.connect();
  const reader = new FeedReader({ redis: connection, seal, onForged: () => { forged += 1; }, log });
  readers.push(reader);
  await reader.open();
  reader.watch({ onMore: () => undefined, onEnd: () => undefined });
  return reader;
}

function startSealer(file = 'audit.jsonl', feed: FeedWriter = createFeedWriter(redis, seal, log)): AuditSealer {
  const sealer = new AuditSealer({ redis, feed, file: join(directory, file), events, clock: systemClock, log, onFailure: () => undefined, onNotice: () => undefined });
  sealers.push(sealer);
  sealer.start();
  return sealer;
}

/** Appends as the ledger's script does; answers the id of the event. */
async function append(shard = at(SHARDS, 0)): Promise<string> {
  const event = { id: newEventId(), at: '2026-01-01T00:00:00.000Z', type: 'task.declared', task: null, leases: [], agent: AGENT, by: AGENT, facts: {} } as const;
  const sealed = events.seal(event);
  await redis.xadd(eventsKey(shard), '*', 'e', sealed.json, 'm', sealed.mac, 'n', await redis.incr(eventSeqKey(shard)));
  return event.id;
}

const entriesOf = ({ tail }: FeedReader) => Array.from({ length: tail.end - tail.first }, (_, index) => tail.at(tail.first + index)).filter((entry) => entry !== undefined);
const idsOf = (reader: FeedReader): string[] => entriesOf(reader).flatMap(({ json }) => ((JSON.parse(json) as { id?: string }).id ?? []));
const gapsOf = (reader: FeedReader): number => entriesOf(reader).filter(({ gap }) => gap).length;
const sees = (reader: FeedReader, id: string) => until(() => idsOf(reader).includes(id), { what: 'the reader sees the event' });

describe('the event feed', () => {
  it('brings what every shard appended to every reader, once and in one order', async () => {
    startSealer();
    const [first, second] = [await startReader(), await startReader()];
    const ids: string[] = [];
    for (let n = 0; n < 48; n += 1) ids.push(await append(at(SHARDS, n % 16)));
    await Promise.all([first, second].map((reader) => sees(reader, at(ids, 47))));
    await until(() => idsOf(first).length === 48 && idsOf(second).length === 48);
    expect(new Set(idsOf(first))).toEqual(new Set(ids));
    expect(idsOf(second)).toEqual(idsOf(first));
    expect(gapsOf(first)).toBe(0);
  });

  it('goes on without a gap when the next sealer has the same file, and with one where it has another', async () => {
    const reader = await startReader();
    const one = startSealer();
    await sees(reader, await append());
    await one.stop();
    const two = startSealer();
    await sees(reader, await append());
    expect(gapsOf(reader)).toBe(0);
    await two.stop();
    startSealer('of-another-host.jsonl');
    await sees(reader, await append());
    expect(gapsOf(reader)).toBe(1);
    const ids = entriesOf(reader).map(({ id }) => id.split('-').map(Number) as [number, number]);
    expect(ids).toEqual(ids.toSorted(([a, b], [c, d]) => a - c || b - d));
  });

  it('shows a gap where sealed events never came to the feed', async () => {
    const reader = await startReader();
    const writer = createFeedWriter(redis, seal, log);
    let isCut = false;
    startSealer('audit.jsonl', { publish: (before, records) => (isCut ? Promise.resolve() : writer.publish(before, records)) });
    await sees(reader, await append());
    isCut = true;
    await append();
    await until(async () => (await redis.xlen(eventsKey(at(SHARDS, 0)))) === 0);
    isCut = false;
    await sees(reader, await append());
    expect(gapsOf(reader)).toBe(1);
  });

  it('never stops the sealing: a feed that a stranger broke is given up and begun again', async () => {
    await redis.set(FEED_KEY, 'no stream');
    startSealer();
    await append();
    await until(async () => (await redis.xlen(eventsKey(at(SHARDS, 0)))) === 0);
    await redis.unlink(FEED_KEY);
    await redis.xadd(FEED_KEY, '999999999-0', 'j', '{}');
    await append();
    await until(async () => (await redis.xlen(eventsKey(at(SHARDS, 0)))) === 0);
    const id = await append();
    await sees(await startReader(), id);
  });

  it('brings nothing that the broker did not write, and says that something is missing', async () => {
    startSealer();
    const reader = await startReader();
    await sees(reader, await append());
    const [newest] = await redis.xrevrange(FEED_KEY, '+', '-', 'COUNT', 1);
    const [epoch = '', seq = ''] = (newest?.[0] ?? '').split('-');
    // A real entry under another id, and one that is made up.
    await redis.xadd(FEED_KEY, `${epoch}-${Number(seq) + 500}`, ...(newest?.[1] ?? []));
    await redis.xadd(FEED_KEY, `${epoch}-${Number(seq) + 501}`, 'a', newest?.[0] ?? '', 't', 'task.ended', 'j', '{}', 'm', 'AAAA');
    await until(() => forged === 2);
    expect(idsOf(reader)).toHaveLength(1);
  });

  it('tells every reader to look afresh after Redis was wiped', async () => {
    await createFeedWriter(redis, seal, log).publish({ ...GENESIS, epoch: 7 }, [{ epoch: 7, seq: 1, event: { type: 'sealer.started', cut_bytes: 0 } }]);
    const reader = await startReader();
    const place = reader.tail.end;
    await redis.flushall();
    await until(() => place < reader.tail.first, { what: 'the reader is left behind' });
    await createFeedWriter(redis, seal, log).publish(GENESIS, [{ epoch: 1, seq: 1, event: { type: 'sealer.started', cut_bytes: 0 } }]);
    await until(() => entriesOf(reader).some(({ id }) => id === '1-1'));
  });

  it('keeps a bounded tail in Redis', async () => {
    const writer = createFeedWriter(redis, seal, log);
    for (let round = 0; round < 12; round += 1) {
      const from = round * 1_000;
      await writer.publish({ ...GENESIS, seq: from }, Array.from({ length: 1_000 }, (_, n) => ({ epoch: 1, seq: from + n + 1, event: { type: 'sealer.started', cut_bytes: 0 } as const })));
    }
    expect(await redis.xlen(FEED_KEY)).toBeLessThan(5_500);
    expect((await redis.xrevrange(FEED_KEY, '+', '-', 'COUNT', 1))[0]?.[0]).toBe('1-12000');
  });
});
