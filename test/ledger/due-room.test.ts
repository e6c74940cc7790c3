import { describe, expect, it } from '@jest/globals';
import { newLeaseIdIn, type LeaseId, type Shard } from '../../src/core/ids.ts';
import { addMs, type EpochMs } from '../../src/core/time.ts';
import { createDueRoom, DUE_WINDOW_MS } from '../../src/ledger/due-room.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

let room: ReturnType<typeof createDueRoom>;
const clock = new ManualClock(Date.now());
/** The start of a window, a minute from now. */
const WINDOW = (Math.ceil((clock.now() + 60_000) / DUE_WINDOW_MS) * DUE_WINDOW_MS) as EpochMs;
/** Ten in a window. */
const PER_SECOND = 1;

useRedis((redis) => {
  room = createDueRoom({ redis, clock });
});

const due = (dueAtMs: EpochMs, id: LeaseId = newLeaseIdIn('a' as Shard)) => ({ id, dueAtMs });
const many = (count: number, dueAtMs: EpochMs = WINDOW) => Array.from({ length: count }, () => due(dueAtMs));
const reserve = (leases: readonly ReturnType<typeof due>[], provider = 'vault-main') => room.reserveDue(provider, leases, PER_SECOND);

describe('room among what falls due', () => {
  it('ends with what can be ended in a window; the next window, and another provider, have theirs', async () => {
    expect(await reserve(many(10))).toBe(true);
    expect(await reserve(many(1, addMs(WINDOW, DUE_WINDOW_MS - 1)))).toBe(false);
    expect(await reserve(many(1, addMs(WINDOW, DUE_WINDOW_MS)))).toBe(true);
    expect(await reserve(many(1), 'vault-other')).toBe(true);
  });

  it('is all or nothing', async () => {
    expect(await reserve([...many(9), ...many(11, addMs(WINDOW, DUE_WINDOW_MS))])).toBe(false);
    expect(await reserve(many(10))).toBe(true);
  });

  it('is taken once by each lease, and given back when it has ended', async () => {
    const leases = many(10);
    expect([await reserve(leases), await reserve(leases), await reserve(many(1))]).toEqual([true, true, false]);
    await room.releaseDue('vault-main', leases.slice(0, 1).map(({ id }) => id));
    expect(await reserve(many(1))).toBe(true);
  });

  it('moves with a lease that falls due later', async () => {
    const [first, ...others] = many(10);
    if (first === undefined) throw new Error('there is none');
    await reserve([first, ...others]);
    expect(await reserve([due(addMs(WINDOW, DUE_WINDOW_MS), first.id)])).toBe(true);
    expect(await reserve(many(1))).toBe(true);
  });

  it('is never exceeded by grants that race', async () => {
    const granted = await Promise.all(Array.from({ length: 40 }, () => reserve(many(1))));
    expect(granted.filter(Boolean)).toHaveLength(10);
  });

  it('tells what falls due in each of the next minutes', async () => {
    await room.reserveDue('vault-main', [...many(3, addMs(clock.now(), 30_000)), ...many(2, addMs(clock.now(), 150_000))], 1_000);
    const forecast = await room.dueForecast('vault-main', clock.now());
    expect(forecast).toHaveLength(60);
    expect(forecast.slice(0, 4)).toEqual([3, 0, 2, 0]);
  });
});
