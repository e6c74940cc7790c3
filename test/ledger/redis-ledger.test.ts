import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { systemClock } from '../../src/core/clock.ts';
import { SHARDS, shardOf, type LeaseId } from '../../src/core/ids.ts';
import { Problem } from '../../src/core/problem.ts';
import { addMs, addSeconds } from '../../src/core/time.ts';
import type { Lease } from '../../src/ledger/lease.ts';
import type { Ledger, LiveIds, LiveIndex } from '../../src/ledger/ledger.ts';
import { leaseKey, taskKey } from '../../src/ledger/redis-keys.ts';
import { AGENT, draftIntent, draftTask, MINT_DEADLINE_MS, mintedLease, RECORD_KEY, testLedger } from '../support/ledger-fixture.ts';
import { createRecordSeal, TamperedRecord } from '../../src/ledger/record-seal.ts';
import { emptyTree } from '../../src/task/task-tree.ts';
import { at } from '../support/at.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { startTestRedis, useRedis } from '../support/use-redis.ts';

const PURPOSE = 'refund-investigation';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let tampered: TamperedRecord[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger, tampered } = testLedger(redis, clock));
});

async function activeTask(options: Parameters<typeof draftTask>[1] = {}) {
  const { envelope, intents } = draftTask(clock, options);
  await ledger.declareTask(envelope, intents, AGENT, {});
  expect(await ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).toBe('active');
  return { id: envelope.id, intents };
}

async function leaseOf(id: LeaseId): Promise<Lease> {
  const lease = await ledger.getLease(id);
  if (lease === null) throw new Error(`no lease ${id}`);
  return lease;
}

async function events(): Promise<{ type: string; leases: string[]; facts: Record<string, unknown> }[]> {
  const streams = await Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+')));
  return streams.flat().map(([, fields]) => JSON.parse(fields[1] ?? '') as { type: string; leases: string[]; facts: Record<string, unknown> });
}

describe('granting', () => {
  it('writes task and intents before anything is minted, with one event that names them', async () => {
    const { envelope, intents } = draftTask(clock, { credentials: ['orders-db', 'task-token'] });
    await ledger.declareTask(envelope, intents, AGENT, { parts: [] });
    expect(await ledger.getTask(envelope.id)).toMatchObject({ state: 'minting', generation: 1, purpose: 'refund-investigation' });
    expect((await ledger.leasesOfTask(envelope.id)).map((lease) => lease.state)).toEqual(['intended', 'intended']);
    expect(await events()).toMatchObject([{ type: 'task.declared', leases: intents.map((intent) => intent.id) }]);
  });

  it('tells every process that grants are being made, and no longer than they are', async () => {
    const { ledger: another } = testLedger(redis, clock);
    expect(await another.isGranting()).toBe(false);
    const { id } = await activeTask();
    await until(() => another.isGranting());
    await until(async () => !(await another.isGranting()));
    // The control: what is no grant tells nothing.
    await ledger.endTask(id, 'completed', AGENT);
    expect(await another.isGranting()).toBe(false);
  });

  it('activates task and leases in one step', async () => {
    const { id, intents } = await activeTask();
    expect(await ledger.getTask(id)).toMatchObject({ state: 'active', generation: 2 });
    expect(await leaseOf(at(intents, 0).id)).toMatchObject({ state: 'active', handle: { accessor: `acc-${at(intents, 0).id}` } });
  });

  it('refuses to activate what ended meanwhile, so that the minter revokes', async () => {
    const { envelope, intents } = draftTask(clock);
    await ledger.declareTask(envelope, intents, AGENT, {});
    await ledger.endTask(envelope.id, 'revoked', AGENT);
    expect(await ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).toBe('refused');
    expect((await leaseOf(at(intents, 0).id)).state).toBe('revoking');
  });

  it('grants nothing when the clock is more than five seconds from Redis, and revokes all the same', async () => {
    const guarded = testLedger(redis, clock, { guards: { maxSkewMs: 5_000, maxAuditLagMs: 0 } }).ledger;
    clock.step(6_000);
    const { envelope, intents } = draftTask(clock);
    await expect(guarded.declareTask(envelope, intents, AGENT, {})).rejects.toMatchObject({ code: 'clock_skewed' });
    expect(await ledger.getTask(envelope.id)).toBeNull();
    const { id } = await activeTask();
    expect(await guarded.endTask(id, 'revoked', AGENT)).toMatchObject({ state: 'ending' });
  });

  it('grants with a clock that agrees with Redis (control)', async () => {
    const guarded = testLedger(redis, systemClock, { guards: { maxSkewMs: 5_000, maxAuditLagMs: 30_000 } }).ledger;
    const { envelope, intents } = draftTask(systemClock);
    expect(await guarded.declareTask(envelope, intents, AGENT, {})).toMatchObject({ state: 'minting' });
  });

  it('grants nothing while the audit log is behind, and revokes all the same', async () => {
    const { envelope, intents } = draftTask(systemClock);
    const guarded = testLedger(redis, systemClock, { guards: { maxSkewMs: 5_000, maxAuditLagMs: 30_000 } }).ledger;
    await redis.xadd(eventsKey(shardOf(envelope.id)), `${Date.now() - 31_000}-0`, 'e', '{}', 'm', '', 'n', '1');
    await expect(guarded.declareTask(envelope, intents, AGENT, {})).rejects.toMatchObject({ code: 'audit_behind' });
    expect(await redis.exists(taskKey(envelope.id))).toBe(0);
  });

  it('grants nothing when fewer replicas confirm than configured', async () => {
    const replicated = testLedger(redis, clock, { minReplicaAcks: 1 }).ledger;
    const { envelope, intents } = draftTask(clock);
    await expect(replicated.declareTask(envelope, intents, AGENT, {})).rejects.toMatchObject({ code: 'ledger_unavailable' });
  });

  it('never lets an extra credential into a task that changed meanwhile', async () => {
    const { id } = await activeTask();
    const task = await ledger.getTask(id);
    if (task === null) throw new Error('no task');
    await ledger.endTask(id, 'completed', AGENT);
    await expect(ledger.intendCredential(task, emptyTree(id), draftIntent(id, AGENT, 'task-token', clock, 60), AGENT, {})).rejects.toMatchObject({ code: 'task_not_active' });
  });

  it('counts an agent up to its limit, and gives room back', async () => {
    const { intents } = draftTask(clock, { credentials: ['a', 'b'] });
    expect(await ledger.reserve(AGENT, PURPOSE, intents, 2)).toEqual({ granted: true, liveLeases: 0, grantsLastHour: 0, purposeGrantsLastHour: 0, denialsInARow: 0 });
    const more = draftTask(clock).intents;
    expect(await ledger.reserve(AGENT, PURPOSE, more, 2)).toMatchObject({ granted: false, liveLeases: 2 });
    await ledger.release(AGENT, intents.map((intent) => intent.id));
    expect(await ledger.reserve(AGENT, PURPOSE, more, 2)).toMatchObject({ granted: true, liveLeases: 0, grantsLastHour: 2, purposeGrantsLastHour: 2 });
    expect(await ledger.reserve(AGENT, 'data-export', [], 2)).toMatchObject({ grantsLastHour: 3, purposeGrantsLastHour: 0 });
    await ledger.uncount(AGENT, PURPOSE, more.map((intent) => intent.id));
    expect(await ledger.reserve(AGENT, PURPOSE, [], 2)).toMatchObject({ liveLeases: 1, grantsLastHour: 2, purposeGrantsLastHour: 2 });
  });

  it('counts the denials of a workload in a row, until it is permitted something', async () => {
    const denials = async (): Promise<number> => (await ledger.reserve(AGENT, PURPOSE, [], 1)).denialsInARow;
    await ledger.countDenial(AGENT);
    await ledger.countDenial(AGENT);
    await ledger.countDenial({ ...AGENT, issuer: 'https://other.test' });
    expect(await denials()).toBe(2);
    await ledger.forgetDenials(AGENT);
    expect(await denials()).toBe(0);
  });

  it('shows no two requests at once the same counters', async () => {
    const seen = await Promise.all(Array.from({ length: 20 }, () => ledger.reserve(AGENT, PURPOSE, draftTask(clock).intents, 100)));
    expect(new Set(seen.map(({ purposeGrantsLastHour }) => purposeGrantsLastHour)).size).toBe(20);
  });

  it('frees reserved room by itself at the due time', async () => {
    const { intents } = draftTask(clock, { ttlSeconds: 60 });
    await ledger.reserve(AGENT, PURPOSE, intents, 1);
    clock.advance(60_001);
    expect(await ledger.reserve(AGENT, PURPOSE, draftTask(clock).intents, 1)).toMatchObject({ granted: true, liveLeases: 0 });
  });
});

describe('ending', () => {
  it('moves every lease of an ended task to revoking, and the task ends after its last lease', async () => {
    const { id, intents } = await activeTask({ credentials: ['orders-db', 'task-token'] });
    expect(await ledger.endTask(id, 'completed', AGENT, { outcome: 'succeeded' })).toMatchObject({ state: 'ending', endReason: 'completed' });
    for (const [index, { id: leaseId }] of intents.entries()) {
      const lease = await leaseOf(leaseId);
      expect(lease).toMatchObject({ state: 'revoking', revocationReason: 'completed' });
      expect((await ledger.getTask(id))?.state).toBe('ending');
      expect(await ledger.settle(lease, { type: 'revoked', atMs: clock.now() }, AGENT)).toBe('ok');
      expect((await ledger.getTask(id))?.state).toBe(index === 1 ? 'ended' : 'ending');
    }
  });

  it('changes nothing when an end is asked for again', async () => {
    const { id } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    const before = await events();
    expect(await ledger.endTask(id, 'revoked', AGENT)).toMatchObject({ state: 'ending', endReason: 'completed' });
    expect(await events()).toEqual(before);
  });

  it('settles a lease once: the second change of the same generation is a conflict', async () => {
    const { id, intents } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    const lease = await leaseOf(at(intents, 0).id);
    const change = { type: 'revoked', atMs: clock.now() } as const;
    expect(await Promise.all([ledger.settle(lease, change, AGENT), ledger.settle(lease, change, AGENT)])).toEqual(expect.arrayContaining(['ok', 'conflict']));
  });

  it('ends a task with no live lease at once', async () => {
    const { envelope } = draftTask(clock, { credentials: [] });
    await ledger.parkTask(envelope, 'pending_approval', AGENT, {});
    expect(await ledger.endTask(envelope.id, 'approval_expired', AGENT)).toMatchObject({ state: 'ended', endReason: 'approval_expired' });
  });

  it('abandons what was certainly not minted and revokes what may have been, and ends the task', async () => {
    const { envelope, intents } = draftTask(clock, { credentials: ['a', 'b', 'c'] });
    await ledger.declareTask(envelope, intents, AGENT, {});
    await ledger.failGrant({
      taskId: envelope.id,
      leases: [
        { leaseId: at(intents, 0).id, fate: 'abandoned' },
        { leaseId: at(intents, 1).id, fate: 'revoke', minted: null },
        { leaseId: at(intents, 2).id, fate: 'revoke', minted: mintedLease(at(intents, 2)) },
      ],
      endsTask: true,
      by: AGENT,
      failure: 'no answer',
    });
    const states = await Promise.all(intents.map(async ({ id }) => (await leaseOf(id)).state));
    expect(states).toEqual(['abandoned', 'revoking', 'revoking']);
    expect((await leaseOf(at(intents, 2).id)).handle).toEqual({ accessor: `acc-${at(intents, 2).id}` });
    expect(await ledger.getTask(envelope.id)).toMatchObject({ state: 'ending', endReason: 'mint_failed' });
  });
});

describe('what is due', () => {
  const dueIds = async (): Promise<string[]> => {
    const shards = await Promise.all(SHARDS.map((shard) => ledger.due(shard, clock.now(), 100)));
    return shards.flat().map(({ id }) => id);
  };

  it('wakes an active lease at its due time, an intent at its mint deadline, a revoking lease at once', async () => {
    const { intents } = await activeTask({ ttlSeconds: 60 });
    const unconfirmed = draftTask(clock);
    await ledger.declareTask(unconfirmed.envelope, unconfirmed.intents, AGENT, {});
    expect(await dueIds()).toEqual([]);
    clock.advance(MINT_DEADLINE_MS);
    expect(new Set(await dueIds())).toEqual(new Set([unconfirmed.envelope.id, at(unconfirmed.intents, 0).id]));
    clock.advance(60_000 - MINT_DEADLINE_MS);
    expect(await dueIds()).toContain(at(intents, 0).id);
  });

  it('gives a due lease to one claimer only, and back to the sweep when the claim runs out', async () => {
    const { id, intents } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    const leaseId = at(intents, 0).id;
    const until = addSeconds(clock.now(), 10);
    const claims = await Promise.all([1, 2].map(() => ledger.claim(shardOf(id), [leaseId], clock.now(), until)));
    expect(claims.flat()).toEqual([leaseId]);
    expect(await dueIds()).not.toContain(leaseId);
    clock.advance(10_000);
    expect(await dueIds()).toContain(leaseId);
  });

  it('wakes a task at a missed heartbeat, and later when it was heard from', async () => {
    const { id } = await activeTask({ ttlSeconds: 300, heartbeatSeconds: 30 });
    clock.advance(20_000);
    await ledger.heartbeat(id);
    clock.advance(20_000);
    expect(await dueIds()).not.toContain(id);
    clock.advance(10_000);
    expect(await dueIds()).toContain(id);
  });

  it('forgets nothing live: a live lease is always due at some time (control: a final one never is)', async () => {
    const { id, intents } = await activeTask({ ttlSeconds: 60 });
    await ledger.endTask(id, 'completed', AGENT);
    await ledger.settle(await leaseOf(at(intents, 0).id), { type: 'attempt_failed', nextTryAtMs: addMs(clock.now(), 500), failure: 'no answer', stuck: false }, AGENT);
    clock.advance(500);
    expect(await dueIds()).toContain(at(intents, 0).id);
    await ledger.settle(await leaseOf(at(intents, 0).id), { type: 'revoked', atMs: clock.now() }, AGENT);
    clock.advance(3_600_000);
    expect(await dueIds()).toEqual([]);
  });
});

describe('a writer in Redis', () => {
  it('cannot forge a lease record: it is refused by id and reported in lists', async () => {
    const { id, intents } = await activeTask();
    const leaseId = at(intents, 0).id;
    const forged = { ...(await leaseOf(leaseId)), handle: { accessor: 'somebody-elses' } };
    await redis.hset(leaseKey(leaseId), 'record', JSON.stringify(forged));
    await expect(ledger.getLease(leaseId)).rejects.toThrow(TamperedRecord);
    await expect(ledger.endTask(id, 'completed', AGENT)).rejects.toThrow(TamperedRecord);
    expect((await ledger.listLeases({ limit: 10 })).items).toEqual([]);
    expect(tampered.map((error) => error.id)).toContain(leaseId);
  });

  it('cannot revive an ended task by its state, nor by its generation', async () => {
    const { id } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    const record = JSON.parse((await redis.hget(taskKey(id), 'record')) ?? '') as object;
    await redis.hset(taskKey(id), 'record', JSON.stringify({ ...record, state: 'active', endReason: null }));
    await expect(ledger.getTask(id)).rejects.toThrow(TamperedRecord);
  });

  it('cannot pass one record off as another', async () => {
    const first = await activeTask();
    const second = await activeTask({ agent: { issuer: 'https://issuer.test', subject: 'agent:other' } });
    const [record, mac] = await redis.hmget(taskKey(first.id), 'record', 'mac');
    await redis.hset(taskKey(second.id), { record: record ?? '', mac: mac ?? '' });
    await expect(ledger.getTask(second.id)).rejects.toThrow(TamperedRecord);
  });

  it('would succeed if records carried no seal (control)', async () => {
    const { id } = await activeTask();
    const seal = createRecordSeal(RECORD_KEY);
    const record = JSON.parse((await redis.hget(taskKey(id), 'record')) ?? '') as object;
    const resealed = seal.seal('task', id, { ...record, purpose: 'anything' });
    await redis.hset(taskKey(id), { record: resealed.json, mac: resealed.mac });
    expect(await ledger.getTask(id)).toMatchObject({ purpose: 'anything' });
  });
});

describe('reading', () => {
  it('pages through tasks of one agent, newest first, each once', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 7; i += 1) {
      clock.advance(i % 2);
      ids.push((await activeTask()).id);
    }
    await activeTask({ agent: { issuer: 'https://issuer.test', subject: 'agent:other' } });
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await ledger.listTasks({ agent: AGENT, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      seen.push(...page.items.map((task) => task.id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect([...seen].sort()).toEqual([...ids].sort());
    expect(new Set(seen).size).toBe(ids.length);
  });

  it('lists live leases soonest due first, and finds them by agent and by credential', async () => {
    const late = await activeTask({ ttlSeconds: 300, credentials: ['orders-db'] });
    const soon = await activeTask({ ttlSeconds: 30, credentials: ['task-token'] });
    const page = await ledger.listLeases({ state: 'active', limit: 10 });
    expect(page.items.map((lease) => lease.id)).toEqual([at(soon.intents, 0).id, at(late.intents, 0).id]);
    const live = async (index?: LiveIndex): Promise<LiveIds> => {
      const shards = await Promise.all(SHARDS.map((shard) => ledger.liveIn(shard, index)));
      return { leases: shards.flatMap(({ leases }) => leases), tasks: shards.flatMap(({ tasks }) => tasks) };
    };
    expect(await live({ credential: 'task-token' })).toEqual({ leases: [at(soon.intents, 0).id], tasks: [] });
    for (const index of [{ agent: AGENT.subject }, {}]) {
      const { leases, tasks } = await live(index);
      expect(new Set(leases)).toEqual(new Set([at(late.intents, 0).id, at(soon.intents, 0).id]));
      expect(new Set(tasks)).toEqual(new Set([late.id, soon.id]));
    }
  });

  it('keeps what was disclosed among the overdue, counted for itself, until the retention time is over', async () => {
    const { intents } = await activeTask({ credentials: ['payments-api-key', 'orders-db'], ttlSeconds: 10 });
    const [key, other] = [at(intents, 0).id, at(intents, 1).id];
    clock.advance(10_000);
    for (const [id, type] of [[key, 'disclosed'], [other, 'revoked']] as const) {
      await ledger.endLease(id, 'expired', AGENT);
      expect(await ledger.settle(await leaseOf(id), { type, atMs: clock.now() }, AGENT)).toBe('ok');
    }
    const ids = async (filter: { state?: 'disclosed'; dueBeforeMs?: ReturnType<typeof clock.now> }): Promise<string[]> =>
      (await ledger.listLeases({ ...filter, limit: 10 })).items.map(({ id }) => id);
    expect(await ids({ state: 'disclosed' })).toEqual([key]);
    expect(await ids({ dueBeforeMs: clock.now() })).toEqual([key]);
    expect(await ledger.snapshot(clock.now(), { kinds: [], withinMs: [] })).toMatchObject({ live: 0, overdue: 0, disclosed: 1 });
    expect((await events()).find(({ type }) => type === 'lease.disclosed')).toMatchObject({ leases: [key], facts: { exposure: 'unbounded' } });
    clock.advance(3_600_001);
    await ledger.prune(clock.now());
    expect(await ledger.snapshot(clock.now(), { kinds: [], withinMs: [] })).toMatchObject({ disclosed: 0 });
  });

  it('counts what is live and what is overdue', async () => {
    await activeTask({ ttlSeconds: 30 });
    await activeTask({ ttlSeconds: 300 });
    clock.advance(40_000);
    expect(await ledger.snapshot(clock.now(), { kinds: [], withinMs: [] })).toMatchObject({ live: 2, overdue: 1, oldestOverdueMs: 10_000 });
  });
});

describe('a lost Redis', () => {
  it('is a problem that says so, at once, not a wait', async () => {
    const own = await startTestRedis();
    const lost = testLedger(own.redis, clock).ledger;
    await own.server.stop();
    const { envelope, intents } = draftTask(clock);
    await expect(lost.declareTask(envelope, intents, AGENT, {})).rejects.toThrow(Problem);
    await expect(lost.getTask(envelope.id)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    await own.stop();
  });
});
