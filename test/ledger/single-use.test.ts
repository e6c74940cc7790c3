import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { addMs } from '../../src/core/time.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startTestRedis, useRedis } from '../support/use-redis.ts';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock();
  ({ ledger } = testLedger(redis, clock));
});

const inMs = (ms: number) => addMs(clock.now(), ms);

describe('what may be used once', () => {
  it('is used by the first who asks and by nobody after; another thing is not touched by that (control)', async () => {
    expect(await ledger.useOnce('a', inMs(300_000))).toBe(true);
    expect(await ledger.useOnce('a', inMs(300_000))).toBe(false);
    expect(await ledger.useOnce('a', inMs(900_000))).toBe(false);
    expect(await ledger.useOnce('A', inMs(300_000))).toBe(true);
  });

  it('is used by one of many replicas that ask at once', async () => {
    const replicas = Array.from({ length: 20 }, () => testLedger(redis, clock).ledger);
    const answers = await Promise.all(replicas.map((replica) => replica.useOnce('a', inMs(300_000))));
    expect(answers.filter(Boolean)).toHaveLength(1);
  });

  it('is kept by its digest alone, until it is good nowhere any more', async () => {
    await ledger.useOnce('a-secret-token', inMs(300_000));
    const keys = await redis.keys('*');
    expect(keys).toEqual([expect.stringMatching(/^mayfly:\{[0-9a-f]\}:used:[0-9a-f]{64}$/)]);
    expect(await redis.get(String(keys[0]))).toBe('1');
    const left = await redis.pttl(String(keys[0]));
    expect(left).toBeGreaterThan(300_000);
    expect(left).toBeLessThanOrEqual(360_000);
  });

  it('is not used when it is over already', async () => {
    expect(await ledger.useOnce('a', inMs(0))).toBe(false);
    expect(await ledger.useOnce('a', inMs(-1))).toBe(false);
    expect(await redis.dbsize()).toBe(0);
    expect(await ledger.useOnce('a', inMs(1))).toBe(true);
  });

  it('is refused to everyone when Redis is away', async () => {
    const other = await startTestRedis();
    const { ledger: lost } = testLedger(other.redis, clock);
    expect(await lost.useOnce('a', inMs(300_000))).toBe(true);
    await other.stop();
    await expect(lost.useOnce('b', inMs(300_000))).rejects.toMatchObject({ code: 'ledger_unavailable' });
  });

  it('is refused where too few replicas would know of it, and counts as used', async () => {
    const { ledger: alone } = testLedger(redis, clock, { minReplicaAcks: 1 });
    await expect(alone.useOnce('a', inMs(300_000))).rejects.toMatchObject({ code: 'ledger_unavailable' });
    expect(await ledger.useOnce('a', inMs(300_000))).toBe(false);
  });
});
