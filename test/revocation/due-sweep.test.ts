import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { shardOf, type LeaseId } from '../../src/core/ids.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { wakeKey } from '../../src/ledger/redis-keys.ts';
import { DueSweep } from '../../src/revocation/due-sweep.ts';
import { revokeLeases, type DuePair, type RevocationObservation } from '../../src/revocation/revoke-leases.ts';
import { MAY_WAIT_MS } from '../../src/revocation/expiry-share.ts';
import { SweepClock } from '../../src/revocation/sweep-clock.ts';
import { addSeconds } from '../../src/core/time.ts';
import { at } from '../support/at.ts';
import { AGENT, draftTask, MINT_DEADLINE_MS, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { useRedis } from '../support/use-redis.ts';

const RETRY = { firstMs: 500, maxMs: 30_000, stuckAfterMs: 60_000 };
const CLAIM_MS = 10_000;
const LOOK_EVERY_MS = 200;

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let provider: MemoryProvider;
let observed: RevocationObservation[];
/** Whether grants are being made meanwhile. */
let granting: boolean;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
  provider = new MemoryProvider();
  observed = [];
  granting = false;
});

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** A sweep whose batches are worked on at once, without a queue between. */
function sweepAndRevoke(dispatch?: (batch: readonly DuePair[]) => Promise<void>): DueSweep {
  const deps = { ledger, clock, isAway: () => false, retry: RETRY, observe: (o: RevocationObservation) => observed.push(o), log };
  return new DueSweep({
    observe: (o) => observed.push(o),
    ledger: { ...ledger, isGranting: () => Promise.resolve(granting) },
    clock,
    sweepClock: new SweepClock(clock, () => Promise.resolve(clock.now())),
    dispatch: async (_provider, batch) => (dispatch ?? ((pairs) => revokeLeases(provider, pairs, AbortSignal.timeout(5_000), deps)))(batch),
    settings: { intervalMs: LOOK_EVERY_MS, batchSize: 100, claimTimeoutMs: CLAIM_MS },
    log,
  });
}

async function activeTask(options: Parameters<typeof draftTask>[1] = {}) {
  const { envelope, intents } = draftTask(clock, options);
  await ledger.declareTask(envelope, intents, AGENT, {});
  const minted = await Promise.all(intents.map(async (intent) => ({ leaseId: intent.id, ...(await provider.mint(intent)) })));
  await ledger.activate(envelope.id, minted.map((m) => ({ ...m, lapsesAtMs: m.targetExpiresAtMs })), AGENT);
  return { id: envelope.id, intents, leaseId: at(intents, 0).id };
}

const stateOf = async (id: LeaseId): Promise<string | undefined> => (await ledger.getLease(id))?.state;

describe('expiry', () => {
  it('ends a due lease at the target and then its task, and leaves one that is not due alone', async () => {
    const due = await activeTask({ ttlSeconds: 30 });
    const later = await activeTask({ ttlSeconds: 300 });
    clock.advance(30_000);
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    await sweep.sweepOnce();
    expect([...provider.live.keys()]).toEqual([later.leaseId]);
    expect(await stateOf(due.leaseId)).toBe('revoked');
    expect(await ledger.getTask(due.id)).toMatchObject({ state: 'ended', endReason: 'expired' });
    expect(await stateOf(later.leaseId)).toBe('active');
  });

  it('measures how late each end came', async () => {
    await activeTask({ ttlSeconds: 30 });
    clock.advance(31_500);
    await sweepAndRevoke().sweepOnce();
    expect(observed).toEqual([{ provider: 'vault-main', reason: 'expired', outcome: 'revoked', latenessMs: 1_500, traceId: null }]);
  });

  it('sweeps nothing while the clock has leapt forward', async () => {
    const { leaseId } = await activeTask({ ttlSeconds: 300 });
    const sweep = sweepAndRevoke();
    clock.step(3_600_000);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('active');
    expect(provider.live.size).toBe(1);
  });

  it('would end everything at once without that guard (control)', async () => {
    const { leaseId } = await activeTask({ ttlSeconds: 300 });
    clock.step(3_600_000);
    await sweepAndRevoke().sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoked');
  });

  it('ends a task whose heartbeat was missed', async () => {
    const { id } = await activeTask({ ttlSeconds: 300, heartbeatSeconds: 10 });
    clock.advance(10_000);
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    await sweep.sweepOnce();
    expect(provider.live.size).toBe(0);
    expect(await ledger.getTask(id)).toMatchObject({ endReason: 'heartbeat_lost' });
  });

  it('never calls lapsed what no clock of the target ends, however late it is looked at', async () => {
    const secretThat = async (lapses: boolean): Promise<LeaseId> => {
      const { envelope, intents } = draftTask(clock, { ttlSeconds: 30 });
      const intent = { ...at(intents, 0), kind: 'vault.kv', revocability: 'none' } as const;
      await ledger.declareTask(envelope, [intent], AGENT, {});
      const minted = await provider.mint(intent);
      await ledger.activate(envelope.id, [{ leaseId: intent.id, ...minted, lapsesAtMs: lapses ? minted.targetExpiresAtMs : null }], AGENT);
      provider.opened.add(intent.id);
      return intent.id;
    };
    const opened = await secretThat(false);
    // Control: with a time at which it lapses, nobody would ask whether it was opened.
    const lapsing = await secretThat(true);
    clock.advance(300_000);
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    await sweep.sweepOnce();
    expect(await stateOf(opened)).toBe('disclosed');
    expect(await stateOf(lapsing)).toBe('lapsed');
    expect(observed.map(({ outcome }) => outcome).sort()).toEqual(['disclosed', 'lapsed']);
  });

  it('calls a credential that cannot be revoked lapsed, and only after its own expiry', async () => {
    provider = new MemoryProvider('vault-main', 'none');
    const { envelope, intents } = draftTask(clock, { ttlSeconds: 30 });
    const unrevocable = intents.map((intent) => ({ ...intent, revocability: 'none' as const }));
    await ledger.declareTask(envelope, unrevocable, AGENT, {});
    const minted = await provider.mint(at(unrevocable, 0));
    await ledger.activate(envelope.id, [{ leaseId: at(intents, 0).id, ...minted, lapsesAtMs: minted.targetExpiresAtMs }], AGENT);
    await ledger.endTask(envelope.id, 'completed', AGENT);
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    expect(await stateOf(at(intents, 0).id)).toBe('revoking');
    expect((await ledger.getTask(envelope.id))?.state).toBe('ending');
    clock.advance(35_000);
    await sweep.sweepOnce();
    expect(await stateOf(at(intents, 0).id)).toBe('lapsed');
    expect((await ledger.getTask(envelope.id))?.state).toBe('ended');
    // No revocation was late: there was none to be had.
    expect(observed).toMatchObject([{ outcome: 'left_to_lapse', latenessMs: null }, { outcome: 'lapsed', latenessMs: null }]);
  });
});

describe('failure', () => {
  it('tries a failed revocation again until the target confirms, and never calls it revoked before', async () => {
    const { id, leaseId } = await activeTask();
    provider.failure = 'unavailable';
    await ledger.endTask(id, 'completed', AGENT);
    const sweep = sweepAndRevoke();
    for (let i = 0; i < 5; i += 1) {
      await sweep.sweepOnce();
      expect(await stateOf(leaseId)).toBe('revoking');
      clock.advance(10_000);
    }
    provider.failure = undefined;
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoked');
    expect(provider.live.size).toBe(0);
  });

  it('calls it stuck past its budget, and still tries', async () => {
    const { id, leaseId } = await activeTask();
    provider.failure = 'unavailable';
    await ledger.endTask(id, 'completed', AGENT);
    const sweep = sweepAndRevoke();
    clock.advance(RETRY.stuckAfterMs + 1_000);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('stuck');
    provider.failure = undefined;
    clock.advance(RETRY.maxMs);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoked');
  });

  it('counts a revocation that its target forestalled by its own clock as late by as long as the credential was usable too long', async () => {
    const { id, leaseId } = await activeTask({ ttlSeconds: 30 });
    provider.failure = 'unavailable';
    await ledger.endTask(id, 'completed', AGENT);
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    clock.advance(60_000);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('lapsed');
    // Asked for at once, and alive until the target's own clock ended it five seconds past its due time.
    expect(observed).toMatchObject([{ outcome: 'failed', latenessMs: null }, { outcome: 'lapsed', latenessMs: 35_000 }]);
  });

  it('gives a lease whose batch was lost to the next sweep', async () => {
    const { id, leaseId } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    await sweepAndRevoke(() => Promise.resolve()).sweepOnce();
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoking');
    clock.advance(CLAIM_MS);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoked');
  });

  it('revokes what a dead minter left: the intent is on record, the credential is at the target', async () => {
    const { envelope, intents } = draftTask(clock);
    await ledger.declareTask(envelope, intents, AGENT, {});
    await provider.mint(at(intents, 0));
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    expect(provider.live.size).toBe(1);
    clock.advance(MINT_DEADLINE_MS);
    for (let i = 0; i < 3; i += 1) await sweep.sweepOnce();
    expect(provider.live.size).toBe(0);
    expect(await ledger.getTask(envelope.id)).toMatchObject({ state: 'ended', endReason: 'mint_interrupted' });
  });

  it('revoking twice equals revoking once: a second batch of the same generation does nothing', async () => {
    const { id, leaseId } = await activeTask();
    await ledger.endTask(id, 'completed', AGENT);
    const batches: (readonly DuePair[])[] = [];
    await sweepAndRevoke((batch) => Promise.resolve(void batches.push(batch))).sweepOnce();
    const deps = { ledger, clock, isAway: () => false, retry: RETRY, observe: () => undefined, log };
    await revokeLeases(provider, at(batches, 0), AbortSignal.timeout(5_000), deps);
    await revokeLeases(provider, at(batches, 0), AbortSignal.timeout(5_000), deps);
    expect(await stateOf(leaseId)).toBe('revoked');
    expect(provider.revocations).toBe(1);
  });
});

describe('a storm of expiries', () => {
  const STORM = 90;
  const storm = () => Promise.all(Array.from({ length: STORM }, () => activeTask({ ttlSeconds: 30 })));
  /** How many each look ended, until none is left. */
  async function looksToTheEnd(sweep: DueSweep): Promise<number[]> {
    const ended: number[] = [];
    while (provider.live.size > 0 && ended.length < 100) {
      const before = provider.live.size;
      await sweep.sweepOnce();
      ended.push(before - provider.live.size);
      clock.advance(LOOK_EVERY_MS);
    }
    return ended;
  }

  it('is ended bit by bit beside grants that never cease, and no end comes later than it may', async () => {
    await storm();
    clock.advance(30_000);
    granting = true;
    const ended = await looksToTheEnd(sweepAndRevoke());
    // Ten in a look of 200 ms, which is fifty in a second; it would not have to be so quick.
    expect(Math.max(...ended)).toBe(10);
    expect(observed).toHaveLength(STORM);
    expect(Math.max(...observed.map(({ latenessMs }) => latenessMs ?? Infinity))).toBeLessThanOrEqual(MAY_WAIT_MS);
  });

  it('is ended in one look where nobody waits for a grant (control)', async () => {
    await storm();
    clock.advance(30_000);
    expect(await looksToTheEnd(sweepAndRevoke())).toEqual([STORM]);
  });

  it('lets pass what was asked for, in the very look after', async () => {
    await storm();
    const { id, leaseId } = await activeTask({ ttlSeconds: 300 });
    clock.advance(30_000);
    granting = true;
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    await ledger.endTask(id, 'completed', AGENT);
    await sweep.sweepOnce();
    expect(await stateOf(leaseId)).toBe('revoked');
    expect(provider.live.size).toBeGreaterThan(STORM / 2);
  });

  it('lets a task go on that was heard from while it waited', async () => {
    const silent = await Promise.all(Array.from({ length: 30 }, () => activeTask({ ttlSeconds: 300, heartbeatSeconds: 10 })));
    clock.advance(10_000);
    granting = true;
    const sweep = sweepAndRevoke();
    await sweep.sweepOnce();
    const heard = silent.filter(({ leaseId }) => provider.live.has(leaseId));
    expect(heard.length).toBe(20);
    for (const { id } of heard) await ledger.heartbeat(id);
    for (let look = 0; look < 20; look += 1) {
      await sweep.sweepOnce();
      clock.advance(LOOK_EVERY_MS);
    }
    expect(provider.live.size).toBe(heard.length);
  });

  it('is ended although somebody wrote times into Redis that are none', async () => {
    const { id } = at(await storm(), 0);
    await redis.zadd(wakeKey(shardOf(id)), '-inf', id);
    clock.advance(30_000);
    granting = true;
    await looksToTheEnd(sweepAndRevoke());
    expect(provider.live.size).toBe(0);
  });

  it('ends leases of tasks that go on bit by bit as well', async () => {
    const { envelope, intents } = draftTask(clock, { ttlSeconds: 300, credentials: Array.from({ length: 16 }, (_, index) => `credential-${index}`) });
    const shorter = intents.map((intent) => ({ ...intent, dueAtMs: addSeconds(clock.now(), 30) }));
    await ledger.declareTask(envelope, shorter, AGENT, {});
    const minted = await Promise.all(shorter.map(async (intent) => ({ leaseId: intent.id, ...(await provider.mint(intent)) })));
    await ledger.activate(envelope.id, minted.map((m) => ({ ...m, lapsesAtMs: m.targetExpiresAtMs })), AGENT);
    clock.advance(30_000);
    granting = true;
    expect(await looksToTheEnd(sweepAndRevoke())).toEqual([10, 6]);
    expect(await ledger.getTask(envelope.id)).toMatchObject({ state: 'active' });
  });
});
