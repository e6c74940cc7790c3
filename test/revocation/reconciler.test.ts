import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { eventsKey } from '../../src/audit/event-stream-keys.ts';
import { newReconciliationId, shardOf, SHARDS, type LeaseId } from '../../src/core/ids.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { ProviderFindings, ReconciliationRecord } from '../../src/ledger/reconciliation-records.ts';
import type { RevocationOrder, RevocationResult } from '../../src/providers/credential-provider.ts';
import { leaseKey, wakeKey } from '../../src/ledger/redis-keys.ts';
import { compareProvider } from '../../src/revocation/compare-provider.ts';
import { Reconciler } from '../../src/revocation/reconciler.ts';
import { revokeLeases } from '../../src/revocation/revoke-leases.ts';
import { requestReconciliation } from '../../src/revocation/request-reconciliation.ts';
import { at } from '../support/at.ts';
import { AGENT, draftTask, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { until } from '../support/until.ts';
import { useRedis } from '../support/use-redis.ts';

const ADMIN = { issuer: 'https://operators.test', subject: 'olga' };
const ORPHAN_AGE_MS = 45_000;
const TTL_SECONDS = 300;

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let provider: MemoryProvider;
let told: (readonly ProviderFindings[])[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
  provider = new MemoryProvider();
  told = [];
});

const newReconciler = (of: Ledger = ledger): Reconciler =>
  new Reconciler({
    ledger: of,
    providers: new Map([[provider.name, provider]]),
    clock,
    settings: { intervalMs: 3_600_000, orphanAgeMs: ORPHAN_AGE_MS, timeoutMs: 5_000 },
    onOrphan: () => undefined,
    onFindings: (findings) => told.push(findings),
    log: { info: () => undefined, warn: () => undefined },
  });

/** What one pass finds at the one provider. */
const findings = async (of?: Ledger): Promise<ProviderFindings> => at(await newReconciler(of).reconcileOnce(), 0);

async function activeTask(of: Ledger = ledger): Promise<LeaseId> {
  const { envelope, intents } = draftTask(clock, { ttlSeconds: TTL_SECONDS });
  await of.declareTask(envelope, intents, AGENT, {});
  const minted = await Promise.all(intents.map(async (intent) => ({ leaseId: intent.id, ...(await provider.mint(intent)) })));
  await of.activate(envelope.id, minted.map((m) => ({ ...m, lapsesAtMs: m.targetExpiresAtMs })), AGENT);
  return at(intents, 0).id;
}

/** Minted, and in no record. */
async function stray(): Promise<LeaseId> {
  const intent = at(draftTask(clock, { ttlSeconds: TTL_SECONDS }).intents, 0);
  await provider.mint(intent);
  return intent.id;
}

async function eventTypes(): Promise<string[]> {
  const streams = await Promise.all(SHARDS.map((shard) => redis.xrange(eventsKey(shard), '-', '+')));
  return streams.flat().flatMap(([, fields]) => /"type":"([\w.]+)"/.exec(fields.join(' '))?.[1] ?? []);
}

describe('what is live in no record', () => {
  it('is revoked, once it is old enough that no record can be on its way', async () => {
    await stray();
    expect(await findings()).toMatchObject({ live: 1, orphans: 0 });
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ outcome: 'compared', live: 1, orphans: 1, revoked: 1, differences: [{ kind: 'orphan', why: 'no_record', outcome: 'revoked' }] });
    expect(provider.live.size).toBe(0);
  });

  it('is told as disclosed, not revoked, where it was opened', async () => {
    provider.opened.add(await stray());
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ orphans: 1, revoked: 0 });
    expect(await eventTypes()).toEqual(['orphan.found', 'orphan.disclosed']);
  });

  it('is not what has a live record', async () => {
    await activeTask();
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ live: 1, orphans: 0, missing: 0 });
    expect(provider.live.size).toBe(1);
  });

  it('is ended although the listing broke off, and the rest is looked for in the next round', async () => {
    await stray();
    clock.advance(ORPHAN_AGE_MS);
    provider.listBreaksOff = true;
    expect(await findings()).toMatchObject({ outcome: 'failed', revoked: 1 });
    expect(provider.live.size).toBe(0);
  });

  it.each([
    ['deleted from Redis', 'no_record', (id: LeaseId) => Promise.all([redis.del(leaseKey(id)), redis.zrem(wakeKey(shardOf(id)), id)])],
    ['forged', 'record_tampered', (id: LeaseId) => redis.hset(leaseKey(id), 'record', '{"state":"revoked","generation":3}')],
  ])('is found where its record was %s', async (_how, why, tamper) => {
    await tamper(await activeTask());
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ revoked: 1, differences: [{ why }] });
    expect(provider.live.size).toBe(0);
  });
});

describe('what is recorded as live and not at the target', () => {
  it('is told, once, and never ended by that', async () => {
    const id = await activeTask();
    provider.live.delete(id);
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ missing: 1, differences: [{ kind: 'missing', leaseId: id }] });
    expect(await ledger.getLease(id)).toMatchObject({ state: 'active' });
    const reconciler = newReconciler();
    await reconciler.reconcileOnce();
    await reconciler.reconcileOnce();
    expect((await eventTypes()).filter((type) => type === 'lease.missing')).toHaveLength(2);
  });

  it('is not said of a listing that broke off, of what is young, or of what is being ended', async () => {
    const id = await activeTask();
    provider.live.delete(id);
    expect(await findings()).toMatchObject({ missing: 0 });
    clock.advance(ORPHAN_AGE_MS);
    provider.listBreaksOff = true;
    expect(await findings()).toMatchObject({ missing: 0 });
    provider.listBreaksOff = false;
    await ledger.endLease(id, 'revoked', ADMIN);
    expect(await findings()).toMatchObject({ missing: 0 });
  });
});

describe('a revocation that somebody undid at the target', () => {
  /** A target that only keeps out what was revoked, as a role of AWS does, and whose orders can be taken away. */
  class Role extends MemoryProvider {
    readonly keptOut = new Set<string>();

    async undone(orders: readonly RevocationOrder[]): Promise<readonly LeaseId[]> {
      await Promise.resolve();
      return orders.filter(({ intent }) => !this.keptOut.has(intent.id)).map(({ intent }) => intent.id);
    }

    override async *revokeMany(orders: readonly RevocationOrder[]): AsyncIterable<RevocationResult> {
      for await (const result of super.revokeMany(orders)) {
        this.keptOut.add(result.leaseId);
        yield result;
      }
    }
  }

  async function revoked(revocability: 'eventual' | 'exact'): Promise<{ role: Role; id: LeaseId }> {
    const role = new Role('vault-main', revocability);
    provider = role;
    const { envelope, intents } = draftTask(clock, { ttlSeconds: TTL_SECONDS });
    const intent = { ...at(intents, 0), revocability };
    await ledger.declareTask(envelope, [intent], AGENT, {});
    const minted = await role.mint(intent);
    await ledger.activate(envelope.id, [{ leaseId: intent.id, ...minted, lapsesAtMs: intent.dueAtMs }], AGENT);
    const ending = await ledger.endLease(intent.id, 'revoked', ADMIN);
    if (ending === null) throw new Error('no lease');
    await revokeLeases(role, [[intent.id, ending.generation]], AbortSignal.timeout(5_000), { ledger, clock, isAway: () => false, retry: { firstMs: 500, maxMs: 1_000, stuckAfterMs: 60_000 }, observe: () => undefined, log: { warn: () => undefined } });
    expect(await ledger.getLease(intent.id)).toMatchObject({ state: 'revoked' });
    return { role, id: intent.id };
  }

  it('is made again, and told', async () => {
    const { role, id } = await revoked('eventual');
    expect(await findings()).toMatchObject({ undone: 0 });
    role.keptOut.clear();
    expect(await findings()).toMatchObject({ undone: 1, differences: [{ kind: 'undone', leaseId: id, outcome: 'revoked' }] });
    expect(role.keptOut.has(id)).toBe(true);
    expect(await findings()).toMatchObject({ undone: 0 });
    expect(await eventTypes()).toContain('lease.undone');
  });

  it('is only looked for by a comparison, which changes nothing', async () => {
    const { role, id } = await revoked('eventual');
    role.keptOut.clear();
    const { undone } = await compareProvider(role, { ledger, orphanAgeMs: ORPHAN_AGE_MS, startedAtMs: clock.now() }, AbortSignal.timeout(5_000));
    expect(undone.map((lease) => lease.id)).toEqual([id]);
    expect(role.keptOut.size).toBe(0);
  });

  it('is nothing once the credential is dead by its own end, nor where an end is an end', async () => {
    const { role } = await revoked('eventual');
    role.keptOut.clear();
    clock.advance(TTL_SECONDS * 1_000 + 1);
    expect(await findings()).toMatchObject({ undone: 0 });
    const { role: exact } = await revoked('exact');
    exact.keptOut.clear();
    expect(await findings()).toMatchObject({ undone: 0 });
  });
});

describe('after Redis was wiped', () => {
  it('lets what is live wait for an admin, revokes it when its time is over, and the rest on release', async () => {
    const early = await activeTask();
    clock.advance(60_000);
    const late = await activeTask();
    await redis.flushall();
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ live: 2, orphans: 0, waiting: 2 });
    clock.advance(TTL_SECONDS * 1_000 - 60_000 - ORPHAN_AGE_MS);
    expect(await findings()).toMatchObject({ revoked: 1, waiting: 1, differences: [{ kind: 'orphan', leaseId: early }, { kind: 'waiting', leaseId: late }] });
    expect([...provider.live.keys()]).toEqual([late]);
    await ledger.releaseHold(ADMIN, 'looked at');
    expect(await findings()).toMatchObject({ revoked: 1, waiting: 0 });
    expect(provider.live.size).toBe(0);
    expect(await eventTypes()).toEqual(expect.arrayContaining(['hold.opened', 'orphan.waiting', 'orphan.found', 'orphan.revoked', 'hold.released']));
  });

  it('lets wait what is too young to be judged, too: in a hold, nothing is on its way', async () => {
    await activeTask();
    await redis.flushall();
    expect(await findings()).toMatchObject({ orphans: 0, waiting: 1 });
  });

  it('would end all of it at once, were nothing known outside (control)', async () => {
    await activeTask();
    await redis.flushall();
    clock.advance(ORPHAN_AGE_MS);
    expect(await findings(testLedger(redis, clock).ledger)).toMatchObject({ revoked: 1, waiting: 0 });
  });

  it('lets what tells no time wait until the hold ends by itself', async () => {
    const id = await activeTask();
    const live = provider.live.get(id);
    if (live !== undefined) provider.live.set(id, { ...live, dueAtMs: null });
    await redis.flushall();
    clock.advance(ORPHAN_AGE_MS);
    await findings();
    clock.advance(TTL_SECONDS * 1_000);
    expect(await findings()).toMatchObject({ waiting: 1 });
    clock.advance(3_600_000);
    expect(await findings()).toMatchObject({ revoked: 1 });
  });

  it('lets it wait although Redis was wiped in the midst of the listing', async () => {
    await activeTask();
    await activeTask();
    clock.advance(ORPHAN_AGE_MS);
    const list = provider.list.bind(provider);
    provider.list = async function* () {
      await redis.flushall();
      yield* list();
    };
    expect(await findings()).toMatchObject({ live: 2, orphans: 0, waiting: 2 });
    expect(provider.live.size).toBe(2);
  });
});

describe('a pass that somebody asked for', () => {
  const finished = async (id: ReconciliationRecord['id']): Promise<ReconciliationRecord> => {
    await until(async () => (await ledger.getReconciliation(id))?.finishedAtMs !== null);
    const record = await ledger.getReconciliation(id);
    if (record === null) throw new Error('there is no such reconciliation');
    return record;
  };

  async function ask(dryRun: boolean): Promise<ReconciliationRecord> {
    const reconciler = newReconciler();
    // The pass of the start is over before anything is amiss.
    reconciler.start();
    await until(() => Promise.resolve(told.length === 1));
    await stray();
    clock.advance(ORPHAN_AGE_MS);
    try {
      return await finished((await requestReconciliation(dryRun, ADMIN, { ledger, clock })).id);
    } finally {
      await reconciler.stop();
    }
  }

  it('is done by a worker, which writes down what it found', async () => {
    expect(await ask(false)).toMatchObject({ by: ADMIN, dryRun: false, providers: [{ provider: provider.name, outcome: 'compared', orphans: 1, revoked: 1 }] });
    expect(provider.live.size).toBe(0);
  });

  it('changes nothing in a dry run', async () => {
    expect(await ask(true)).toMatchObject({ dryRun: true, providers: [{ orphans: 1, revoked: 0, differences: [{ kind: 'orphan', outcome: null }] }] });
    expect(provider.live.size).toBe(1);
    expect(await eventTypes()).toEqual(['reconciliation.requested']);
  });

  it('is not lost with the worker that took it', async () => {
    const { id } = await requestReconciliation(true, ADMIN, { ledger, clock });
    expect(await ledger.claimReconciliations(clock.now(), clock.now())).toHaveLength(1);
    const reconciler = newReconciler();
    clock.advance(1);
    reconciler.start();
    expect(await finished(id)).toMatchObject({ dryRun: true });
    await reconciler.stop();
  });

  it('is done, and the first pass with it, as soon as the ledger answers', async () => {
    const away = (): Promise<never> => Promise.reject(new Error('Redis is away'));
    let isAway = true;
    const flaky: Ledger = { ...ledger, claimReconciliations: (...args) => (isAway ? away() : ledger.claimReconciliations(...args)) };
    const reconciler = newReconciler(flaky);
    reconciler.start();
    isAway = false;
    await until(() => told.length === 1);
    await reconciler.stop();
  });

  it('is nothing where there is none', async () => {
    expect(await ledger.getReconciliation(newReconciliationId())).toBeNull();
  });
});
