import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { newLockId, newTaskId, SHARDS, shardOf, type LockId, type Shard } from '../../src/core/ids.ts';
import { addMs } from '../../src/core/time.ts';
import { mintLeases } from '../../src/grant/mint-leases.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { lockCovers, lockSetId, type Lock, type LockSelector } from '../../src/ledger/lock.ts';
import { createRecordSeal, TamperedRecord } from '../../src/ledger/record-seal.ts';
import { locksKey } from '../../src/ledger/redis-keys.ts';
import { AGENT, draftIntent, draftTask, mintedLease, RECORD_KEY, testLedger } from '../support/ledger-fixture.ts';
import { emptyTree } from '../../src/task/task-tree.ts';
import { at } from '../support/at.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { useRedis } from '../support/use-redis.ts';

const OPERATOR = { issuer: 'https://operators.test', subject: 'olga' };
const LOCKED = { code: 'locked', status: 403 };

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let tampered: TamperedRecord[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger, tampered } = testLedger(redis, clock));
});

/** `shard`: where its events go. */
const lockOf = (selector: LockSelector, { forMs = 60_000, shard }: { readonly forMs?: number; readonly shard?: Shard } = {}): Lock => {
  const id = newLockId();
  const createdAtMs = clock.now();
  return { id: shard === undefined ? id : (`lck_${shard}${id.slice(5)}` as LockId), selector, reason: 'seen in a log', by: OPERATOR, createdAtMs, untilMs: addMs(createdAtMs, forMs) };
};

async function place(selector: LockSelector, options?: Parameters<typeof lockOf>[1]): Promise<Lock> {
  const lock = lockOf(selector, options);
  await ledger.saveLock(lock);
  return lock;
}

async function activeTask(options: Parameters<typeof draftTask>[1] = {}) {
  const { envelope, intents } = draftTask(clock, options);
  await ledger.declareTask(envelope, intents, AGENT, {});
  expect(await ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).toBe('active');
  const task = await ledger.getTask(envelope.id);
  if (task === null) throw new Error('no task');
  return { task, intents };
}

const declare = () => {
  const { envelope, intents } = draftTask(clock);
  return ledger.declareTask(envelope, intents, AGENT, {});
};

async function events(shard?: Shard): Promise<{ type: string; facts: Record<string, unknown> }[]> {
  const streams = await Promise.all((shard === undefined ? SHARDS : [shard]).map((one) => redis.xrange(eventsKey(one), '-', '+')));
  return streams.flat().map(([, fields]) => JSON.parse(fields[1] ?? '') as { type: string; facts: Record<string, unknown> });
}

describe('what a lock covers', () => {
  const root = newTaskId();
  const between = newTaskId();
  const chain = [{ task: root, ...AGENT, subject: 'agent:first' }, { task: between, ...AGENT, subject: 'agent:between' }];
  const task = { id: newTaskId(), root, chain, agent: AGENT, declarer: AGENT, purpose: 'refund-investigation' };
  const scope = { task, credentials: [{ credential: 'orders-db', provider: 'vault-main' }, { credential: 'task-token', provider: 'tokens' }] };

  it.each<[string, LockSelector, boolean]>([
    ['everything', { all: true }, true],
    ['its agent, whoever vouches for it', { agent: AGENT.subject }, true],
    ['another agent', { agent: 'agent:other' }, false],
    ['its agent, as this issuer vouches for it', { agent: AGENT.subject, agent_issuer: AGENT.issuer }, true],
    ['its agent, as another issuer vouches for it', { agent: AGENT.subject, agent_issuer: 'https://other.test' }, false],
    ['its purpose', { purpose: 'refund-investigation' }, true],
    ['another purpose', { purpose: 'data-export' }, false],
    ['the task', { task: task.id }, true],
    ['the root of its tree', { task: task.root }, true],
    ['a task between it and the root', { task: between }, true],
    ['an agent that the task came through', { agent: 'agent:between' }, true],
    ['another task', { task: newTaskId() }, false],
    ['one of its credentials', { credential: 'task-token' }, true],
    ['a credential it does not ask for', { credential: 'reports-bucket' }, false],
    ['a provider', { provider: 'vault-main' }, true],
    ['another provider', { provider: 'aws-main' }, false],
    ['a credential with its provider', { credential: 'orders-db', provider: 'vault-main' }, true],
    ['a credential with the provider of another', { credential: 'orders-db', provider: 'tokens' }, false],
    ['its agent with another purpose', { agent: AGENT.subject, purpose: 'data-export' }, false],
  ])('%s', (_name, selector, covers) => {
    expect(lockCovers(selector, scope)).toBe(covers);
  });

  it('never covers more with another word', () => {
    const word = <T,>(...values: T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
    const selectors = fc.record({
      agent: word(AGENT.subject, 'agent:other'), purpose: word('refund-investigation', 'data-export'), task: word(task.id, newTaskId()),
      credential: word('orders-db', 'task-token', 'x'), provider: word('vault-main', 'tokens', 'x'),
    });
    fc.assert(
      fc.property(selectors, fc.constantFrom('agent', 'purpose', 'task', 'credential', 'provider'), (selector, dropped) => {
        expect(lockCovers({ ...selector, [dropped]: undefined }, scope) || !lockCovers(selector, scope)).toBe(true);
      }),
    );
  });
});

describe('a lock', () => {
  it('refuses a declaration, a waiting task and a claim, and says nothing but its id and its end', async () => {
    const waiting = draftTask(clock);
    const parked = await ledger.parkTask({ ...waiting.envelope, waitsUntilMs: addMs(clock.now(), 60_000) }, 'pending_claim', AGENT, {});
    const lock = await place({ agent: AGENT.subject });
    const refusal = { ...LOCKED, members: { lock: { id: lock.id, until: new Date(lock.untilMs).toISOString() } } };
    await expect(declare()).rejects.toMatchObject({ ...refusal, message: expect.not.stringContaining(lock.reason) });
    await expect(ledger.parkTask(draftTask(clock).envelope, 'pending_claim', AGENT, {})).rejects.toMatchObject(refusal);
    const claim = { expiresAtMs: addMs(clock.now(), 60_000), instance: null, decision: parked.decision, tree: emptyTree(parked.root) };
    await expect(ledger.claimTask(parked, claim, waiting.intents, AGENT, {})).rejects.toMatchObject(refusal);
    expect(await ledger.getTask(parked.id)).toMatchObject({ state: 'pending_claim' });
  });

  it('refuses one more credential, a renewal and an extension of a task that runs', async () => {
    const { task, intents } = await activeTask();
    const lease = await ledger.getLease(at(intents, 0).id);
    if (lease === null) throw new Error('no lease');
    await place({ purpose: task.purpose });
    await expect(ledger.intendCredential(task, emptyTree(task.root), draftIntent(task.id, AGENT, 'task-token', clock, 60), AGENT, {})).rejects.toMatchObject(LOCKED);
    await expect(ledger.intendRenewal([{ lease, lapsesAtMs: addMs(clock.now(), 600_000) }], AGENT)).rejects.toMatchObject(LOCKED);
    await expect(ledger.extendTask(task, addMs(clock.now(), 600_000), [], AGENT, {})).rejects.toMatchObject(LOCKED);
    expect(await ledger.getTask(task.id)).toMatchObject({ generation: task.generation, expiresAtMs: task.expiresAtMs });
    expect(await ledger.getLease(lease.id)).toMatchObject({ generation: lease.generation });
  });

  it('stands in the way of nothing else: other agents are granted, heartbeats and ends go on', async () => {
    const { task } = await activeTask();
    await place({ agent: AGENT.subject });
    const other = { issuer: 'https://issuer.test', subject: 'agent:other' };
    const { envelope, intents } = draftTask(clock, { agent: other });
    await ledger.declareTask(envelope, intents, other, {});
    expect(await ledger.heartbeat(task.id)).toMatchObject({ state: 'active' });
    expect(await ledger.endTask(task.id, 'completed', AGENT)).toMatchObject({ state: 'ending' });
  });

  it('lets a credential of another task through where it names one credential', async () => {
    await place({ credential: 'task-token' });
    await expect(activeTask({ credentials: ['orders-db'] })).resolves.toBeDefined();
    await expect(activeTask({ credentials: ['orders-db', 'task-token'] })).rejects.toMatchObject(LOCKED);
  });

  it('puts who placed it, what it refused and who lifted it on the record', async () => {
    const lock = await place({ all: true });
    await expect(declare()).rejects.toMatchObject(LOCKED);
    expect(await ledger.liftLock(lock.id, OPERATOR)).toEqual(lock);
    const byType = new Map((await events()).map((event) => [event.type, event]));
    expect(byType.get('lock.created')).toMatchObject({ by: OPERATOR, facts: { lock: lock.id, reason: 'seen in a log', selector: { all: true } } });
    expect(byType.get('grant.locked')).toMatchObject({ task: null, agent: AGENT, by: AGENT, facts: { lock: lock.id, credentials: [{ credential: 'orders-db', provider: 'vault-main' }] } });
    expect(byType.get('lock.lifted')).toMatchObject({ by: OPERATOR, facts: { lock: lock.id } });
    await expect(declare()).resolves.toBeDefined();
  });

  it('ends by itself, and is then forgotten, on the record', async () => {
    const lock = await place({ all: true }, { forMs: 1_000 });
    clock.advance(999);
    await expect(declare()).rejects.toMatchObject(LOCKED);
    clock.advance(1);
    await expect(declare()).resolves.toBeDefined();
    expect(await ledger.listLocks()).toEqual([]);
    await ledger.prune(clock.now());
    expect((await events()).filter(({ type }) => type === 'lock.expired')).toMatchObject([{ facts: { lock: lock.id } }]);
    expect(await Promise.all(SHARDS.map(async (shard) => JSON.parse((await redis.hget(locksKey(shard), 'record')) ?? '') as unknown))).toEqual(SHARDS.map(() => ({ generation: 2, locks: [] })));
  });

  it('is in every shard when it is answered', async () => {
    const lock = await place({ all: true });
    expect(await ledger.listLocks()).toEqual([{ lock, everywhere: true }]);
    for (const shard of SHARDS) expect(await redis.hget(locksKey(shard), 'record')).toContain(lock.id);
  });

  it('placed while others are placed and lifted, none is lost', async () => {
    const lifted = await Promise.all(Array.from({ length: 5 }, () => place({ agent: 'agent:other' })));
    const placed = Array.from({ length: 10 }, () => lockOf({ agent: 'agent:other' }));
    await Promise.all([...placed.map((lock) => ledger.saveLock(lock)), ...lifted.map(({ id }) => ledger.liftLock(id, OPERATOR))]);
    const locks = await ledger.listLocks();
    expect(new Set(locks.map(({ lock }) => lock.id))).toEqual(new Set(placed.map(({ id }) => id)));
    expect(locks.every(({ everywhere }) => everywhere)).toBe(true);
  });

  it('is refused where there are a hundred, so that grants stay quick', async () => {
    for (let i = 0; i < 100; i += 1) await place({ agent: 'agent:other' });
    await expect(place({ agent: 'agent:other' })).rejects.toMatchObject({ code: 'limit_exceeded' });
  }, 20_000);

  it('is not answered when too few replicas have it, and is in force all the same', async () => {
    const { ledger: strict } = testLedger(redis, clock, { minReplicaAcks: 1 });
    await expect(strict.saveLock(lockOf({ all: true }))).rejects.toMatchObject({ code: 'ledger_unavailable' });
    await expect(declare()).rejects.toMatchObject(LOCKED);
  });
});

describe('a lock against a grant that is under way', () => {
  const ROUNDS = 300;

  /** Activates while a lock is written, often; how often each went first, and whether a grant came after the lock it should have met. */
  async function race(write: (lock: Lock, shard: Shard) => Promise<void>): Promise<{ active: number; refused: number; slipped: number }> {
    const count = { active: 0, refused: 0, slipped: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const { envelope, intents } = draftTask(clock);
      const shard = shardOf(envelope.id);
      await redis.del(eventsKey(shard), ...SHARDS.map(locksKey));
      await ledger.declareTask(envelope, intents, AGENT, {});
      // Now the one, now the other has a start of some turns of the event loop.
      const turns = async (count: number): Promise<void> => {
        for (let turn = 0; turn < count; turn += 1) await new Promise(setImmediate);
      };
      const activation = turns(Math.max(0, (round % 9) - 4)).then(() => ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).then(
        () => 'active' as const,
        (error: unknown) => {
          expect(error).toMatchObject(LOCKED);
          return 'refused' as const;
        },
      );
      await turns(Math.max(0, 4 - (round % 9)));
      await write(lockOf({ agent: AGENT.subject }, { shard }), shard);
      count[await activation] += 1;
      const order = (await events(shard)).map(({ type }) => type);
      if (order.includes('task.activated') && order.indexOf('task.activated') > order.indexOf('lock.created')) count.slipped += 1;
    }
    return count;
  }

  it('never lets it be activated after the lock is in its shard', async () => {
    const { active, refused, slipped } = await race((lock) => ledger.saveLock(lock));
    expect(slipped).toBe(0);
    // Both happened, or this would have shown nothing.
    expect(Math.min(active, refused)).toBeGreaterThan(0);
  }, 30_000);

  it('lets some slip past where the lock does not move the generation that the step names (control)', async () => {
    const seal = createRecordSeal(RECORD_KEY);
    const { slipped } = await race(async (lock, shard) => {
      const { json, mac } = seal.seal('locks', lockSetId(shard), { generation: 0, locks: [lock] });
      await redis.multi().hset(locksKey(shard), { generation: 0, record: json, mac }).xadd(eventsKey(shard), '*', 'e', '{"type":"lock.created"}').exec();
    });
    expect(slipped).toBeGreaterThan(0);
  }, 30_000);

  it('that was minted meanwhile has it put down for revocation', async () => {
    const provider = new MemoryProvider();
    const { envelope, intents } = draftTask(clock);
    await ledger.declareTask(envelope, intents, AGENT, {});
    provider.afterMint = () => ledger.saveLock(lockOf({ credential: 'orders-db' }));
    const deps = { ledger, clock, mintTimeoutMs: 5_000, observeMint: () => undefined, log: { error: () => undefined } };
    const intent = at(intents, 0);
    await expect(mintLeases(envelope.id, [{ intent, provider }], { by: AGENT, endsTask: true }, deps)).rejects.toMatchObject(LOCKED);
    expect(await ledger.getLease(intent.id)).toMatchObject({ state: 'revoking', handle: { accessor: `acc-${intent.id}` } });
    expect(await ledger.getTask(envelope.id)).toMatchObject({ state: 'ending', endReason: 'mint_failed' });
  });
});

describe('a writer in Redis', () => {
  const own = (): Shard => SHARDS[0] as Shard;
  const declareIn = (shard: Shard) => {
    const { envelope } = draftTask(clock);
    const id = `tsk_${shard}${envelope.id.slice(5)}` as typeof envelope.id;
    return ledger.declareTask({ ...envelope, id, root: id }, [draftIntent(id, AGENT, 'orders-db', clock, 60)], AGENT, {});
  };

  it.each<[string, (key: string) => Promise<unknown>]>([
    ['changes a lock', async (key) => redis.hset(key, 'record', ((await redis.hget(key, 'record')) ?? '').replace('agent:refunds', 'agent:nobody'))],
    ['takes the locks out', (key) => redis.hset(key, 'record', '{"generation":1,"locks":[]}')],
    ['takes the record away', (key) => redis.hdel(key, 'record')],
    ['moves the generation', (key) => redis.hset(key, 'generation', '7')],
    ['puts the locks of another shard there', async (key) => redis.hset(key, await redis.hgetall(locksKey(SHARDS[1] as Shard)))],
    ['writes rubbish', (key) => redis.hset(key, 'record', 'x', 'mac', 'x')],
  ])('who %s frees nothing: nothing is granted in that shard, and others go on', async (_name, meddle) => {
    await place({ agent: AGENT.subject });
    await meddle(locksKey(own()));
    await expect(declareIn(own())).rejects.toBeInstanceOf(TamperedRecord);
    await expect(declareIn(SHARDS[1] as Shard)).rejects.toMatchObject(LOCKED);
    expect((await ledger.listLocks()).map(({ lock }) => lock.selector)).toEqual([{ agent: AGENT.subject }]);
    expect(tampered).toMatchObject([{ kind: 'locks', id: 'lck_0' }]);
  });

  it('who forges a lock blocks one shard, and the next lock puts that right without losing one', async () => {
    const first = await place({ agent: AGENT.subject });
    await redis.hset(locksKey(own()), 'record', '{"generation":1,"locks":[]}');
    clock.advance(1);
    const second = await place({ agent: 'agent:other' });
    await expect(declareIn(own())).rejects.toMatchObject({ ...LOCKED, members: { lock: { id: first.id } } });
    expect(await ledger.listLocks()).toEqual([{ lock: first, everywhere: true }, { lock: second, everywhere: true }]);
  });

  it('who forges the locks of every shard stops all grants, and no lock is written over them', async () => {
    await place({ agent: AGENT.subject });
    for (const shard of SHARDS) await redis.hset(locksKey(shard), 'record', '{"generation":1,"locks":[]}');
    await expect(place({ agent: 'agent:other' })).rejects.toBeInstanceOf(TamperedRecord);
    await expect(ledger.listLocks()).rejects.toBeInstanceOf(TamperedRecord);
    await expect(declareIn(own())).rejects.toBeInstanceOf(TamperedRecord);
  });

  it('who deletes a shard of locks lifts them there, which the list shows: what an HMAC cannot prevent', async () => {
    const lock = await place({ agent: AGENT.subject });
    await redis.del(locksKey(own()));
    await expect(declareIn(own())).resolves.toBeDefined();
    expect(await ledger.listLocks()).toEqual([{ lock, everywhere: false }]);
    await ledger.liftLock(lock.id, OPERATOR);
    expect(await ledger.listLocks()).toEqual([]);
  });
});
