import { randomUUID } from 'node:crypto';
import { appendFile, chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { AuditSealer } from '../../src/audit/audit-sealer.ts';
import type { AuditEvent } from '../../src/audit/audit-event.ts';
import { ChainFile, ChainFileBusy, ChainFileMoved } from '../../src/audit/chain-file.ts';
import { eventsKey, eventSeqKey, SEALER_LEASE_KEY, sealerFenceKey } from '../../src/audit/event-stream-keys.ts';
import { appendRecord, GENESIS, type ChainRecord, type SealerNotice } from '../../src/audit/hash-chain.ts';
import { createEventSealer } from '../../src/audit/seal-event.ts';
import { verifyChainFile } from '../../src/audit/verify-chain.ts';
import { systemClock } from '../../src/core/clock.ts';
import { newEventId, SHARDS, type Shard } from '../../src/core/ids.ts';
import { AGENT, EVENT_KEY } from '../support/ledger-fixture.ts';
import { at } from '../support/at.ts';
import { until } from '../support/until.ts';
import { useRedis } from '../support/use-redis.ts';

let redis: Redis;
let directory: string;
let file: string;
let sealers: AuditSealer[];
let notices: SealerNotice[];
let failures: number;
const events = createEventSealer(EVENT_KEY);

useRedis(async (connection) => {
  redis = connection;
  directory = await mkdtemp(join(tmpdir(), 'mayfly-audit-'));
  file = join(directory, 'audit.jsonl');
  sealers = [];
  notices = [];
  failures = 0;
});

afterEach(async () => {
  await Promise.all(sealers.map((sealer) => sealer.stop()));
  await rm(directory, { recursive: true, force: true });
});

function startSealer(): AuditSealer {
  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const sealer = new AuditSealer({
    redis, file, events, clock: systemClock, log,
    onFailure: () => { failures += 1; },
    onNotice: (notice) => notices.push(notice),
  });
  sealers.push(sealer);
  sealer.start();
  return sealer;
}

function event(): AuditEvent {
  return { id: newEventId(), at: '2026-01-01T00:00:00.000Z', type: 'task.declared', task: null, leases: [], agent: AGENT, by: AGENT, facts: {} };
}

/** Appends as the ledger's script does. */
async function append(shard: Shard, sealed = events.seal(event())): Promise<string> {
  const n = await redis.incr(eventSeqKey(shard));
  return (await redis.xadd(eventsKey(shard), '*', 'e', sealed.json, 'm', sealed.mac, 'n', n)) ?? '';
}

const waiting = async (): Promise<number> => (await Promise.all(SHARDS.map((shard) => redis.xlen(eventsKey(shard))))).reduce((a, b) => a + b, 0);
const allSealed = () => until(async () => (await waiting()) === 0);
const records = async (): Promise<ChainRecord[]> => (await readFile(file, 'utf8')).trim().split('\n').map((line) => JSON.parse(line) as ChainRecord);
const sealedIds = async (): Promise<string[]> => (await records()).flatMap((record) => ('id' in record.event ? [record.event.id] : []));

describe('the sealer', () => {
  it('moves events of all shards into one chain that verifies, in the order they came', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 50; i += 1) {
      const one = event();
      ids.push(one.id);
      await append(at(SHARDS, i % 16), events.seal(one));
    }
    startSealer();
    await allSealed();
    expect(new Set(await sealedIds())).toEqual(new Set(ids));
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 51, notices: { forged: 0, gaps: 0 } });
  });

  it('writes each event once, although it was killed between writing and forgetting', async () => {
    const sealed = events.seal(event());
    const streamId = await append('a' as Shard, sealed);
    const written = appendRecord(GENESIS, { sealed_at: 'x', epoch: 1, origin: { shard: 'a', stream_id: streamId, n: 1 }, event: JSON.parse(sealed.json) as AuditEvent });
    await appendFile(file, written.line);
    await append('a' as Shard);
    startSealer();
    await allSealed();
    const ids = await sealedIds();
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(2);
    expect((await verifyChainFile(file)).ok).toBe(true);
  });

  it('cuts off a line that a crash tore, and says so', async () => {
    const { line } = appendRecord(GENESIS, { sealed_at: 'x', epoch: 1, origin: null, event: { type: 'audit.reset', shard: 'a' } });
    await appendFile(file, line + line.slice(0, 40));
    startSealer();
    await append('a' as Shard);
    await allSealed();
    expect((await verifyChainFile(file)).ok).toBe(true);
    expect((await records())[1]?.event).toEqual({ type: 'sealer.started', cut_bytes: 40 });
  });

  it('notices an event that a writer in Redis made up, and seals none of its words', async () => {
    const forged = { json: JSON.stringify({ ...event(), facts: { lie: 'all is well' } }), mac: 'AAAA' };
    await append('b' as Shard, forged);
    startSealer();
    await allSealed();
    expect(notices).toMatchObject([{ type: 'audit.forged', why: 'bad_mac', shard: 'b' }]);
    expect(await readFile(file, 'utf8')).not.toContain('all is well');
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, notices: { forged: 1 } });
  });

  it('notices a genuine event that is played again', async () => {
    const sealed = events.seal(event());
    await append('b' as Shard, sealed);
    await append('b' as Shard, sealed);
    startSealer();
    await allSealed();
    expect(notices).toMatchObject([{ type: 'audit.forged', why: 'replayed' }]);
    expect(await sealedIds()).toHaveLength(1);
  });

  it('notices an event that was deleted before it was sealed', async () => {
    startSealer();
    await append('c' as Shard);
    await allSealed();
    await redis.incr(eventSeqKey('c' as Shard));
    await append('c' as Shard);
    await allSealed();
    await until(() => Promise.resolve(notices.length > 0));
    expect(notices).toEqual([{ type: 'audit.gap', shard: 'c', from: 2, to: 2 }]);
  });

  it('forgets nothing while the file cannot be written, and goes on when it can', async () => {
    await rm(directory, { recursive: true });
    await appendFile(directory, 'a file stands where the folder should be');
    await append('d' as Shard);
    startSealer();
    await until(() => Promise.resolve(failures > 0));
    expect(await waiting()).toBe(1);
    await rm(directory);
    await allSealed();
    expect(await verifyChainFile(file)).toMatchObject({ ok: true, records: 2 });
    await chmod(file, 0o600);
  });

  it('lets only one of two write', async () => {
    startSealer();
    startSealer();
    for (let i = 0; i < 20; i += 1) await append('e' as Shard);
    await allSealed();
    expect((await records()).filter((record) => record.event.type === 'sealer.started')).toHaveLength(1);
    expect((await verifyChainFile(file)).ok).toBe(true);
  });

  it('does not trim once a newer sealer has the shard', async () => {
    startSealer();
    await append('f' as Shard);
    await allSealed();
    await redis.set(sealerFenceKey('f' as Shard), 99);
    await append('f' as Shard);
    await until(() => Promise.resolve(failures > 0));
    expect(await redis.xlen(eventsKey('f' as Shard))).toBe(1);
  });

  it('steps down when its lease was taken, and seals again later', async () => {
    startSealer();
    await append('f' as Shard);
    await allSealed();
    await redis.set(SEALER_LEASE_KEY, randomUUID(), 'PX', 300);
    await append('f' as Shard);
    await allSealed();
    expect((await verifyChainFile(file)).ok).toBe(true);
  });
});

describe('the audit file', () => {
  it('is written by one process of a machine alone', async () => {
    const first = await ChainFile.open(file);
    await expect(ChainFile.open(file)).rejects.toThrow(ChainFileBusy);
    await first.close();
    await (await ChainFile.open(file)).close();
  });

  it('is not appended to after somebody else did', async () => {
    const chain = await ChainFile.open(file);
    await appendFile(file, 'x\n');
    await expect(chain.append({ lines: 'y\n', hashes: [], head: GENESIS, last: new Map() })).rejects.toThrow(ChainFileMoved);
    await chain.close();
  });

  it('would fork without that check (control)', async () => {
    const line = (type: 'audit.reset', shard: string) => appendRecord(GENESIS, { sealed_at: 'x', epoch: 1, origin: null, event: { type, shard } }).line;
    await appendFile(file, line('audit.reset', 'a') + line('audit.reset', 'b'));
    expect(await verifyChainFile(file)).toMatchObject({ ok: false, line: 2 });
  });
});
