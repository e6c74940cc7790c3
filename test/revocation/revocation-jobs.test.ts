import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { SHARDS, shardOf, type LeaseId, type TaskId } from '../../src/core/ids.ts';
import { addMs, toRfc3339 } from '../../src/core/time.ts';
import type { LeaseState } from '../../src/ledger/lease.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { TamperedRecord } from '../../src/ledger/record-seal.ts';
import { leaseKey, openRevocationsKey, revocationKey } from '../../src/ledger/redis-keys.ts';
import type { RevocationRecord } from '../../src/ledger/revocation-records.ts';
import { countLive, requestRevocation } from '../../src/revocation/request-revocation.ts';
import { RevocationJobs, type RevocationJobsDeps } from '../../src/revocation/revocation-jobs.ts';
import { revocationProgress } from '../../src/revocation/revocation-progress.ts';
import type { Selector } from '../../src/revocation/selector.ts';
import type { Task } from '../../src/task/task.ts';
import { activeChild, AGENT, draftIntent, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { at } from '../support/at.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { useRedis } from '../support/use-redis.ts';

const OPERATOR = { issuer: 'https://operators.test', subject: 'olga' };

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let tampered: TamperedRecord[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger, tampered } = testLedger(redis, clock));
});

const jobsOf = (options: Partial<RevocationJobsDeps> = {}): RevocationJobs =>
  new RevocationJobs({ ledger, clock, leasesPerSecond: 10_000, nudge: () => undefined, log: { warn: () => undefined }, ...options });

const request = (selector: Selector, jobs = jobsOf()): Promise<RevocationRecord> => requestRevocation({ selector, reason: 'drill' }, OPERATOR, { jobs, clock });

type Draft = Parameters<typeof draftTask>[1] & { readonly provider?: string; readonly envelope?: Partial<ReturnType<typeof draftTask>['envelope']> };

async function activeTask({ provider, envelope: fields, ...options }: Draft = {}) {
  const drafted = draftTask(clock, options);
  const envelope = { ...drafted.envelope, ...fields };
  const intents = drafted.intents.map(({ credential, provider: usual }) => ({
    ...draftIntent(envelope.id, envelope.agent, credential, clock, envelope.ttlSeconds),
    provider: provider ?? usual,
    purpose: envelope.purpose,
  }));
  await ledger.declareTask(envelope, intents, AGENT, {});
  expect(await ledger.activate(envelope.id, intents.map(mintedLease), AGENT)).toBe('active');
  return { id: envelope.id, leases: intents.map(({ id }) => id) };
}

const decided = (policies: readonly string[], policyVersion = 'sha256:0') => ({ ...draftTask(new ManualClock()).envelope.decision, policies, policyVersion });
const stateOf = async (lease: LeaseId): Promise<LeaseState | undefined> => (await ledger.getLease(lease))?.state;
const revoking = async (leases: readonly LeaseId[]): Promise<number> => (await ledger.getLeases(leases)).filter((lease) => lease?.state === 'revoking').length;
const progress = async ({ id }: RevocationRecord) => {
  const record = await ledger.getRevocation(id);
  if (record === null) throw new Error('no revocation');
  return revocationProgress(record, { from: 0, limit: 500 }, ledger);
};

/** What the sweep and its workers do. */
async function revokeAtTarget(leases: readonly LeaseId[]): Promise<void> {
  for (const lease of await ledger.getLeases(leases)) if (lease?.state === 'revoking') await ledger.settle(lease, { type: 'revoked', atMs: clock.now() }, AGENT);
}

async function events(): Promise<{ type: string; leases: string[]; facts: Record<string, unknown> }[]> {
  const streams = await Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+')));
  return streams.flat().map(([, fields]) => JSON.parse(fields[1] ?? '') as { type: string; leases: string[]; facts: Record<string, unknown> });
}

describe('a revocation', () => {
  it('that is small is through when it is answered: every end was asked for', async () => {
    const { id, leases } = await activeTask({ credentials: ['orders-db', 'task-token'] });
    const record = await request({ task: id });
    expect(await progress(record)).toMatchObject({ state: 'running', notAsked: 0, pending: 2, ended: 0, record: { total: 2, tasks: 1 } });
    expect(await ledger.getTask(id)).toMatchObject({ state: 'ending', endReason: 'revoked' });
    await revokeAtTarget(leases);
    expect(await progress(record)).toMatchObject({ state: 'done', pending: 0, ended: 2 });
  });

  it('is on the record from the asking to the end, and each end names it', async () => {
    const { leases } = await activeTask();
    const record = await request({ credential: 'orders-db' });
    await revokeAtTarget(leases);
    clock.advance(60_000);
    await jobsOf().workOnce();
    const own = (await events()).filter(({ facts }) => facts['revocation'] === record.id);
    expect(own.map(({ type }) => type).sort()).toEqual(['lease.revoking', 'revocation.completed', 'revocation.requested', 'revocation.selected']);
    expect(own.find(({ type }) => type === 'revocation.requested')).toMatchObject({ by: OPERATOR, facts: { reason: 'drill', selector: { credential: 'orders-db' } } });
    expect(await ledger.getRevocation(record.id)).toMatchObject({ state: 'done' });
    expect(await redis.zcard(openRevocationsKey(shardOf(record.id)))).toBe(0);
  });

  it('of nothing is done at once', async () => {
    expect(await progress(await request({ agent: 'agent:nobody' }))).toMatchObject({ state: 'done', record: { total: 0, tasks: 0 } });
  });

  it('has its results in pages, in one order, each lease once', async () => {
    const leases: LeaseId[] = [];
    for (let i = 0; i < 7; i += 1) leases.push(...(await activeTask()).leases);
    const { id } = await request({ all: true });
    const record = await ledger.getRevocation(id);
    if (record === null) throw new Error('no revocation');
    const seen: LeaseId[] = [];
    for (let from: number | null = 0; from !== null; ) {
      const page = await revocationProgress(record, { from, limit: 3 }, ledger);
      seen.push(...page.results.map((lease) => lease.id));
      from = page.nextFrom;
    }
    expect(seen).toHaveLength(7);
    expect(new Set(seen)).toEqual(new Set(leases));
  });

  it('dry: counts, and writes nothing', async () => {
    const { leases } = await activeTask({ credentials: ['orders-db', 'task-token'] });
    const before = await redis.dbsize();
    expect(await countLive({ all: true }, 1, ledger)).toMatchObject({ leases: 2, tasks: 1, first: [{ agent: AGENT }] });
    expect(await redis.dbsize()).toBe(before);
    expect(await stateOf(at(leases, 0))).toBe('active');
  });
});

describe('what a selector ends', () => {
  const OTHER = { issuer: 'https://issuer.test', subject: 'agent:other' };

  it.each<[string, (wanted: { id: TaskId; lease: LeaseId; before: string }) => Selector, Draft, boolean]>([
    ['lease', ({ lease }) => ({ lease }), {}, false],
    ['task', ({ id }) => ({ task: id }), {}, true],
    ['subtree', ({ id }) => ({ subtree: id }), {}, true],
    ['agent', () => ({ agent: 'agent:other' }), { agent: OTHER }, true],
    ['credential', () => ({ credential: 'task-token' }), { credentials: ['task-token'] }, false],
    ['provider', () => ({ provider: 'tokens' }), { provider: 'tokens' }, false],
    ['purpose', () => ({ purpose: 'data-export' }), { envelope: { purpose: 'data-export' } }, true],
    ['policy, by id', () => ({ policy: 'export-rule' }), { envelope: { decision: decided(['export-rule']) } }, true],
    ['policy, by version', () => ({ policy: 'sha256:1' }), { envelope: { decision: decided(['p'], 'sha256:1') } }, true],
    ['before', ({ before }) => ({ before }), {}, false],
    ['two words', () => ({ agent: 'agent:other', credential: 'task-token' }), { agent: OTHER, credentials: ['task-token'] }, false],
  ])('%s: what matches, and nothing else', async (_word, selector, draft, endsTask) => {
    const wanted = await activeTask(draft);
    clock.advance(1_000);
    const before = toRfc3339(clock.now());
    const others = [await activeTask(), await activeTask({ agent: { ...OTHER, subject: 'agent:third' } })];
    await request(selector({ id: wanted.id, lease: at(wanted.leases, 0), before }));
    expect(await revoking(wanted.leases)).toBe(1);
    expect(await revoking(others.flatMap(({ leases }) => leases))).toBe(0);
    expect((await ledger.getTask(wanted.id))?.state).toBe(endsTask ? 'ending' : 'active');
    for (const { id } of others) expect((await ledger.getTask(id))?.state).toBe('active');
  });

  it('subtree: the task and all below it, however deep, and not what is above', async () => {
    const top = await activeTask();
    const below = async (parent: TaskId, name: string) => {
      const { id } = await activeChild(ledger, clock, (await ledger.getTask(parent)) as Task, name);
      return { id, leases: (await ledger.leasesOfTask(id)).map((lease) => lease.id) };
    };
    const child = await below(top.id, 'child');
    const grandchild = await below(child.id, 'grandchild');
    const sibling = await below(top.id, 'sibling');
    await request({ subtree: child.id });
    expect(await revoking([...child.leases, ...grandchild.leases])).toBe(2);
    expect(await revoking([...top.leases, ...sibling.leases])).toBe(0);
    await request({ subtree: top.id });
    expect(await revoking([...top.leases, ...sibling.leases])).toBe(2);
  });

  it('all: every lease, and every task, those that wait among them', async () => {
    const { leases } = await activeTask();
    const waiting = draftTask(clock);
    await ledger.parkTask({ ...waiting.envelope, waitsUntilMs: addMs(clock.now(), 60_000) }, 'pending_claim', AGENT, {});
    await request({ all: true });
    expect(await revoking(leases)).toBe(1);
    expect(await ledger.getTask(waiting.envelope.id)).toMatchObject({ state: 'ended', endReason: 'revoked' });
  });

  it('passes over a record that fails its seal, and ends the others', async () => {
    const forged = await activeTask();
    const sound = [await activeTask(), await activeTask()];
    await redis.hset(leaseKey(at(forged.leases, 0)), 'record', '{}');
    const record = await request({ all: true });
    expect(await revoking(sound.flatMap(({ leases }) => leases))).toBe(2);
    expect(await progress(record)).toMatchObject({ notAsked: 0, record: { total: 2, tasks: 3 } });
    expect(tampered.length).toBeGreaterThan(0);
  });
});

describe('a revocation that breaks off', () => {
  const MANY = 40;
  let leases: LeaseId[];

  beforeEach(async () => {
    leases = [];
    for (let i = 0; i < MANY; i += 1) leases.push(...(await activeTask()).leases);
  });

  /** A ledger that dies, as its process would, after so many ends. */
  function dyingAfter(ends: number): Ledger {
    let left = ends;
    const endLease: Ledger['endLease'] = async (...args) => {
      left -= 1;
      if (left < 0) throw new Error('the process was killed');
      return ledger.endLease(...args);
    };
    return { ...ledger, endLease };
  }

  it('after it was written down, before anything was done, is taken up by another when its claim runs out', async () => {
    const dead: Ledger = { ...ledger, liveIn: () => Promise.reject(new Error('the process was killed')) };
    await expect(request({ credential: 'orders-db' }, jobsOf({ ledger: dead }))).rejects.toThrow('killed');
    const other = jobsOf();
    await other.workOnce();
    expect(await revoking(leases)).toBe(0);
    clock.advance(10_001);
    await other.workOnce();
    expect(await revoking(leases)).toBe(MANY);
  });

  it.each([0, 1, 17, MANY - 1])('after %i ends is gone on with, and each lease is ended once', async (ends) => {
    await expect(request({ credential: 'orders-db' }, jobsOf({ ledger: dyingAfter(ends) }))).rejects.toThrow('killed');
    await until(async () => (await revoking(leases)) === ends);
    clock.advance(10_001);
    await jobsOf().workOnce();
    expect(await revoking(leases)).toBe(MANY);
    expect((await events()).filter(({ type }) => type === 'lease.revoking')).toHaveLength(MANY);
  });

  it('stays undone where nobody takes it up (control)', async () => {
    await expect(request({ credential: 'orders-db' }, jobsOf({ ledger: dyingAfter(3) }))).rejects.toThrow('killed');
    await until(async () => (await revoking(leases)) === 3);
    clock.advance(10_001);
    expect(await revoking(leases)).toBe(3);
  });

  it('worked on by several at once ends each lease once, and is done once', async () => {
    const record = await request({ credential: 'orders-db' }, jobsOf());
    await Promise.all([1, 2, 3].map(() => jobsOf().workOnce()));
    await revokeAtTarget(leases);
    for (let round = 0; round < 3; round += 1) {
      clock.advance(10_001);
      await Promise.all([1, 2, 3].map(() => jobsOf().workOnce()));
    }
    expect((await progress(record)).state).toBe('done');
    const types = (await events()).map(({ type }) => type);
    expect(types.filter((type) => type === 'lease.revoking')).toHaveLength(MANY);
    expect(types.filter((type) => type === 'revocation.completed')).toHaveLength(1);
  });

  it('whose record is forged is told, and taken off the schedule: its leases end when they are due', async () => {
    await expect(request({ credential: 'orders-db' }, jobsOf({ ledger: dyingAfter(0) }))).rejects.toThrow('killed');
    const ids = (await Promise.all(SHARDS.map((one) => redis.zrange(openRevocationsKey(one), '0', '-1')))).flat();
    await redis.hset(revocationKey(at(ids, 0) as RevocationRecord['id']), 'record', '{}');
    clock.advance(10_001);
    await jobsOf().workOnce();
    expect(tampered).toMatchObject([{ kind: 'revocation', id: at(ids, 0) }]);
    expect(await revoking(leases)).toBe(0);
  });
});

describe('a revocation of more than one slice', () => {
  const TASKS = 150;
  const CREDENTIALS = Array.from({ length: 16 }, (_, index) => `credential-${index}`);
  let leases: LeaseId[];

  beforeEach(async () => {
    leases = (await Promise.all(Array.from({ length: TASKS }, () => activeTask({ credentials: CREDENTIALS })))).flatMap((task) => task.leases);
  });

  it.each([0, 5, 14])('whose selection breaks off after %i shards selects each lease once, and ends them all', async (shards) => {
    let left = shards;
    const liveIn: Ledger['liveIn'] = async (...args) => {
      left -= 1;
      if (left < 0) throw new Error('the process was killed');
      return ledger.liveIn(...args);
    };
    await expect(request({ before: toRfc3339(addMs(clock.now(), 1)) }, jobsOf({ ledger: { ...ledger, liveIn } }))).rejects.toThrow('killed');
    clock.advance(10_001);
    const jobs = jobsOf();
    await until(async () => {
      await jobs.workOnce();
      return (await revoking(leases)) === leases.length;
    });
    const [requested] = (await events()).filter(({ type }) => type === 'revocation.selected');
    expect(requested).toMatchObject({ facts: { leases: TASKS * CREDENTIALS.length, tasks: 0 } });
  }, 20_000);
});

describe('the pace of a revocation', () => {
  it('asks for no more of a provider at once than its pace allows; others go on', async () => {
    const slow: LeaseId[] = [];
    for (let i = 0; i < 12; i += 1) slow.push(...(await activeTask({ provider: 'slow' })).leases);
    const { leases: quick } = await activeTask({ provider: 'quick' });
    const jobs = jobsOf({ leasesPerSecond: 5 });
    const record = await request({ before: toRfc3339(addMs(clock.now(), 1)) }, jobs);
    expect([await revoking(slow), await revoking(quick)]).toEqual([5, 1]);
    expect(await progress(record)).toMatchObject({ state: 'running', notAsked: 7, pending: 6 });
    clock.advance(1_000);
    await jobs.workOnce();
    expect(await revoking(slow)).toBe(10);
    clock.advance(1_000);
    await jobs.workOnce();
    expect(await progress(record)).toMatchObject({ notAsked: 0, pending: 13 });
  });

  it('is kept where whole tasks end, too', async () => {
    const leases: LeaseId[] = [];
    for (let i = 0; i < 12; i += 1) leases.push(...(await activeTask()).leases);
    const jobs = jobsOf({ leasesPerSecond: 5 });
    await request({ all: true }, jobs);
    expect(await revoking(leases)).toBe(5);
  });

  it('without it, all are asked for at once (control)', async () => {
    const leases: LeaseId[] = [];
    for (let i = 0; i < 12; i += 1) leases.push(...(await activeTask()).leases);
    await request({ all: true });
    expect(await revoking(leases)).toBe(12);
  });

  it('cancelled, it asks for nothing more, and what was asked for goes on', async () => {
    const leases: LeaseId[] = [];
    for (let i = 0; i < 12; i += 1) leases.push(...(await activeTask()).leases);
    const jobs = jobsOf({ leasesPerSecond: 5 });
    const record = await request({ credential: 'orders-db' }, jobs);
    expect(await ledger.cancelRevocation(record.id, OPERATOR)).toMatchObject({ state: 'cancelled' });
    clock.advance(60_000);
    await jobs.workOnce();
    expect(await revoking(leases)).toBe(5);
    await revokeAtTarget(leases);
    expect(await progress(record)).toMatchObject({ state: 'cancelled', notAsked: 7, pending: 0, ended: 5 });
    clock.advance(60_000);
    await jobs.workOnce();
    expect(await progress(record)).toMatchObject({ state: 'cancelled', notAsked: 7, pending: 0, ended: 5 });
    expect(await ledger.cancelRevocation(record.id, OPERATOR)).toMatchObject({ state: 'cancelled' });
    expect((await events()).filter(({ type }) => type === 'revocation.cancelled')).toHaveLength(1);
  });
});

