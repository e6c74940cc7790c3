import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { SHARDS, shardOf, type Shard } from '../../src/core/ids.ts';
import { addMs } from '../../src/core/time.ts';
import { EpochFileBroken, openEpochFile } from '../../src/ledger/epoch-file.ts';
import { beginEpoch, judgeEpoch, knownOf, withoutHold, type Epoch, type ShardEpoch } from '../../src/ledger/epoch.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { agentIdOf } from '../../src/ledger/agent-record.ts';
import { TamperedRecord } from '../../src/ledger/record-seal.ts';
import { agentIndexKey, agentKey, epochKey } from '../../src/ledger/redis-keys.ts';
import { AGENT, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

const LONGEST_LIFE_MS = 3_600_000;
const ADMIN = { issuer: 'https://operators.test', subject: 'olga' };

let redis: Redis;
let clock: ManualClock;
let folder: string;
let path: string;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mayfly-epoch-'));
  path = join(folder, 'ledger-epoch.json');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** A process that has just started: what it knows, it knows from the file. */
const worker = (at = path): Ledger => testLedger(redis, clock, { epoch: { file: openEpochFile(at), begins: true, longestLifeMs: LONGEST_LIFE_MS } }).ledger;
const server = (): Ledger => testLedger(redis, clock, { epoch: { file: null, begins: false, longestLifeMs: LONGEST_LIFE_MS } }).ledger;
/** One whose disk was lost with Redis. */
const forgetful = (): Ledger => testLedger(redis, clock, { epoch: { file: null, begins: true, longestLifeMs: LONGEST_LIFE_MS } }).ledger;

async function declare(ledger: Ledger): Promise<ReturnType<typeof draftTask>> {
  const draft = draftTask(clock);
  await ledger.declareTask(draft.envelope, draft.intents, AGENT, {});
  return draft;
}

async function backup(): Promise<() => Promise<void>> {
  const keys = await redis.keys('*');
  const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return async () => {
    await redis.flushall();
    await Promise.all(keys.map((key, index) => redis.restore(key, 0, dumps[index] ?? Buffer.alloc(0))));
  };
}

async function holdEvents(): Promise<string[]> {
  const streams = await Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+')));
  return streams.flat().flatMap(([, fields]) => /"type":"(hold\.\w+)"/.exec(fields.join(' '))?.[1] ?? []);
}

/** Who has a record in the register. */
const REGISTERED = agentIdOf(AGENT);

const HELD = { code: 'held', status: 503, retryAfterSeconds: 30 };

describe('a ledger that lost nothing', () => {
  it('is not held at its first start, nor at a later one', async () => {
    await declare(worker());
    await declare(worker());
    expect(await worker().currentHold()).toBeNull();
    expect(await holdEvents()).toEqual([]);
  });

  it('is taken as it is by a process that knows nothing of it', async () => {
    await declare(worker());
    await declare(worker(join(folder, 'another-disk.json')));
    await declare(server());
  });

  it('is begun by a worker alone: one that only serves waits for it', async () => {
    const serving = server();
    await expect(declare(serving)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    await worker().currentHold();
    await declare(serving);
  });

  it('is not taken for rolled back while events are written and many look at once', async () => {
    const ledger = worker();
    await declare(ledger);
    await Promise.all(Array.from({ length: 40 }, () => Promise.all([ledger.currentHold(), declare(ledger), ledger.releaseHold(ADMIN, 'a test')])));
    expect(await ledger.currentHold()).toBeNull();
    expect(await holdEvents()).toEqual([]);
  });

  it('has one beginning, however many begin it at once', async () => {
    const ledgers = [worker(), worker(), worker(), forgetful()];
    await Promise.all(ledgers.map((ledger) => ledger.currentHold()));
    for (const ledger of ledgers) await declare(ledger);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ number: 1 });
  });
});

/** How records are lost, by what a worker then says of it. */
const LOSSES: readonly (readonly [loss: string, why: string, lose: (ledger: Ledger) => Promise<unknown>])[] = [
  ['Redis was wiped', 'wiped', () => redis.flushall()],
  ['one shard of it was wiped', 'wiped', async () => redis.del(...(await redis.keys('mayfly:{7}:*')))],
  ['a backup was restored', 'rolled_back', async (ledger) => {
    const restore = await backup();
    await Promise.all(Array.from({ length: 4 }, () => declare(ledger)));
    await ledger.currentHold();
    await restore();
  }],
  ['a backup of before the last loss was restored', 'rolled_back', async (ledger) => {
    const restore = await backup();
    await redis.flushall();
    await ledger.currentHold();
    await ledger.releaseHold(ADMIN, 'looked at');
    await restore();
  }],
  ['it is the ledger of somebody else', 'replaced', async () => {
    await redis.flushall();
    await forgetful().currentHold();
  }],
  ['the epoch of a shard was forged', 'wiped', () => redis.hset(epochKey('3' as Shard), 'record', '{"number":1}')],
];

describe.each(LOSSES)('when %s', (_loss, why, lose) => {
  it('grants nothing, before and after a restart, and goes on ending what is known', async () => {
    const ledger = worker();
    const { envelope, intents } = await declare(ledger);
    await ledger.activate(envelope.id, intents.map(mintedLease), AGENT);
    await ledger.currentHold();
    await lose(ledger);
    await expect(declareAfterLook(ledger)).rejects.toMatchObject({ ...HELD, members: { hold: { why } } });
    await expect(declare(worker())).rejects.toMatchObject(HELD);
    await expect(declare(server())).rejects.toMatchObject(HELD);
    await expect(ledger.endTask(envelope.id, 'revoked', AGENT)).resolves.toBeDefined();
    expect(await holdEvents()).toContain('hold.opened');
  });

  it('grants again when an admin has released the hold, in every process', async () => {
    const [ledger, other, serving] = [worker(), worker(), server()];
    await declare(ledger);
    await declare(other);
    await ledger.currentHold();
    await lose(ledger);
    await ledger.currentHold();
    expect(await serving.releaseHold(ADMIN, 'looked at')).toMatchObject({ why });
    for (const one of [ledger, other, serving, worker()]) await declare(one);
    expect(await ledger.releaseHold(ADMIN, 'again')).toBeNull();
  });

  it('grants again by itself when nothing from before can live any more', async () => {
    const ledger = worker();
    await declare(ledger);
    await ledger.currentHold();
    await lose(ledger);
    const hold = await ledger.currentHold();
    expect(hold).toMatchObject({ why, untilMs: addMs(clock.now(), LONGEST_LIFE_MS) });
    clock.advance(LONGEST_LIFE_MS - 1);
    await expect(declare(ledger)).rejects.toMatchObject(HELD);
    clock.advance(1);
    await declare(ledger);
    expect(await holdEvents()).toContain('hold.expired');
  });
});

/** What was restored behind the back of a connection is found at the next look, once a second. */
async function declareAfterLook(ledger: Ledger): Promise<unknown> {
  await ledger.currentHold();
  return declare(ledger);
}

describe('a Redis that was wiped while brokers run', () => {
  it('grants nothing from the first step on, in a process that only serves as well', async () => {
    const [ledger, serving] = [worker(), server()];
    await declare(ledger);
    await declare(serving);
    await redis.flushall();
    await expect(declare(serving)).rejects.toMatchObject(HELD);
    const seen = await serving.currentHold();
    clock.advance(1_000);
    expect(await serving.currentHold()).toEqual(seen);
    await expect(declare(ledger)).rejects.toMatchObject(HELD);
    await expect(declare(serving)).rejects.toMatchObject(HELD);
    expect(await serving.currentHold()).toEqual(await ledger.currentHold());
  });

  it('would grant at once, were nothing known of it outside (control)', async () => {
    await declare(worker());
    await redis.flushall();
    await declare(forgetful());
  });

  it('activates nothing that was being minted', async () => {
    const ledger = worker();
    const { envelope, intents } = await declare(ledger);
    await ledger.currentHold();
    const restore = await backup();
    await redis.flushall();
    await ledger.currentHold();
    await restore();
    await ledger.currentHold();
    await expect(ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).rejects.toMatchObject(HELD);
  });

  it('has one hold, however many find it at once', async () => {
    const ledgers = [worker(), worker(), worker()];
    for (const ledger of ledgers) await declare(ledger);
    await redis.flushall();
    const holds = await Promise.all(ledgers.map((ledger) => ledger.currentHold()));
    expect(new Set(holds.map((hold) => hold?.sinceMs)).size).toBe(1);
    expect(await holdEvents()).toEqual(['hold.opened']);
    await ledgers[1]?.releaseHold(ADMIN, 'looked at');
    for (const ledger of ledgers) await declare(ledger);
  });

  it('is held again when it is wiped in its hold', async () => {
    const ledger = worker();
    await declare(ledger);
    await redis.flushall();
    await ledger.currentHold();
    await redis.flushall();
    await expect(declare(ledger)).rejects.toMatchObject(HELD);
    await expect(declare(worker())).rejects.toMatchObject(HELD);
  });
});

describe('a change that was broken off', () => {
  it('is completed by the next look, whoever looks', async () => {
    const ledger = worker();
    await declare(ledger);
    await redis.flushall();
    await ledger.currentHold();
    const held = await redis.hgetall(epochKey('f' as Shard));
    await ledger.releaseHold(ADMIN, 'looked at');
    await redis.hset(epochKey('f' as Shard), held);
    const inF = async (): Promise<void> => {
      for (;;) if (shardOf((await declare(ledger)).envelope.id) === 'f') return;
    };
    await worker().currentHold();
    await inF();
  });
});

describe('the file', () => {
  it('that cannot be read keeps the broker from starting, and is named', async () => {
    await writeFile(path, '{"number":');
    expect(() => openEpochFile(path)).toThrow(EpochFileBroken);
    expect(() => openEpochFile(path)).toThrow(path);
  });

  it('that cannot be written keeps credentials from being granted', async () => {
    const ledger = worker(join(folder, 'no-folder', 'epoch.json'));
    await writeFile(join(folder, 'no-folder'), '');
    await expect(declare(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable' });
  });
});

describe('judgeEpoch', () => {
  const epoch = beginEpoch(3, new ManualClock(0).now());
  const everywhere = (one: Epoch | null, events = 5): Map<Shard, ShardEpoch> => new Map(SHARDS.map((shard) => [shard, { epoch: one, events }]));
  const known = knownOf(epoch, everywhere(epoch));

  it.each([
    ['nothing is known and nothing is there', null, everywhere(null), { kind: 'first_start' }],
    ['nothing is known of what is there', null, everywhere(epoch), { kind: 'standing', epoch }],
    ['all is as it was', known, everywhere(epoch), { kind: 'standing', epoch }],
    ['events were added', known, everywhere(epoch, 6), { kind: 'standing', epoch }],
    ['somebody else saw to a loss', known, everywhere({ ...epoch, number: 4, id: 'next' }), { kind: 'standing', epoch: { ...epoch, number: 4, id: 'next' } }],
    ['a hold was released in one shard', known, everywhere(epoch).set('a' as Shard, { epoch: withoutHold(epoch), events: 5 }), { kind: 'standing', epoch: withoutHold(epoch) }],
    ['nothing is there', known, everywhere(null), { kind: 'lost', why: 'wiped' }],
    ['one shard is empty', known, everywhere(epoch).set('a' as Shard, { epoch: null, events: 0 }), { kind: 'lost', why: 'wiped' }],
    ['one shard has fewer events', known, everywhere(epoch).set('a' as Shard, { epoch, events: 4 }), { kind: 'lost', why: 'rolled_back' }],
    ['one shard is in an older epoch', known, everywhere(epoch).set('a' as Shard, { epoch: beginEpoch(2, epoch.startedAtMs), events: 5 }), { kind: 'lost', why: 'rolled_back' }],
    ['all is in an older epoch', known, everywhere(beginEpoch(2, epoch.startedAtMs)), { kind: 'lost', why: 'rolled_back' }],
    ['it is another ledger', known, everywhere({ ...epoch, id: 'another' }), { kind: 'lost', why: 'replaced' }],
  ] as const)('%s', (_case, what, found, verdict) => {
    expect(judgeEpoch(what, found)).toEqual(verdict);
  });
});

describe('a process that knows the register of agents, when it is wiped', () => {
  it('takes the empty one for tampered with, until the hold has been ended', async () => {
    const ledger = worker();
    await declare(ledger);
    await ledger.changeAgent({ agent: AGENT, by: ADMIN, type: 'agent.disabled', facts: {}, to: (_before, atMs) => ({ registration: null, registeredBy: null, disabled: { reason: 'a test', by: ADMIN, atMs } }), most: 10 });
    expect(await ledger.getAgent(REGISTERED)).toMatchObject({ disabled: { reason: 'a test' } });
    await redis.del(agentIndexKey(shardOf(REGISTERED)), agentKey(REGISTERED));
    await expect(ledger.getAgent(REGISTERED)).rejects.toThrow(TamperedRecord);
    await redis.flushall();
    expect(await ledger.currentHold()).toMatchObject({ why: 'wiped' });
    await ledger.releaseHold(ADMIN, 'looked at');
    expect(await ledger.getAgent(REGISTERED)).toBeNull();
    await declare(ledger);
  });
});
