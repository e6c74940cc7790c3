import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Redis } from 'ioredis';
import { newLeaseIdIn, SHARDS, type LeaseId, type Shard } from '../../src/core/ids.ts';
import { addMs, addSeconds } from '../../src/core/time.ts';
import { createIndexPages } from '../../src/ledger/index-pages.ts';
import { isFinal, type Lease } from '../../src/ledger/lease.ts';
import type { LeaseFilter, Ledger } from '../../src/ledger/ledger.ts';
import { dueKey } from '../../src/ledger/redis-keys.ts';
import { activeChild, AGENT, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { at } from '../support/at.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
});

const ISSUER = AGENT.issuer;
const AGENTS = ['agent:a', 'agent:b'];
const PURPOSES = ['refund-investigation', 'data-export'];
const PROVIDERS = ['vault-main', 'aws-main'];
const CREDENTIALS = ['orders-db', 'reports'];

const aTask = fc.record({
  agent: fc.constantFrom(...AGENTS),
  purpose: fc.constantFrom(...PURPOSES),
  traced: fc.boolean(),
  ttlSeconds: fc.constantFrom<number[]>(30, 60),
  leases: fc.array(fc.record({ provider: fc.constantFrom(...PROVIDERS), credential: fc.constantFrom(...CREDENTIALS), ends: fc.constantFrom('lives', 'revoked', 'stuck', 'disclosed') }), { minLength: 1, maxLength: 3 }),
});
type DraftedTask = typeof aTask extends fc.Arbitrary<infer T> ? T : never;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** All are made in the same few milliseconds: many share an instant. */
async function make({ agent, purpose, traced, ttlSeconds, leases }: DraftedTask): Promise<LeaseId[]> {
  const { envelope, intents } = draftTask(clock, { agent: { issuer: ISSUER, subject: agent }, ttlSeconds, credentials: leases.map(({ credential }) => credential) });
  const traceparent = traced ? `00-${TRACE}-b7ad6b7169203331-01` : undefined;
  const own = intents.map((intent, index) => ({ ...intent, purpose, provider: at(leases, index).provider, ...(traceparent === undefined ? {} : { traceparent }) }));
  await ledger.declareTask({ ...envelope, purpose }, own, AGENT, {});
  await ledger.activate(envelope.id, own.map(mintedLease), AGENT);
  for (const [index, { ends }] of leases.entries()) {
    if (ends === 'lives') continue;
    await ledger.endLease(at(own, index).id, 'revoked', AGENT);
    const lease = await ledger.getLease(at(own, index).id);
    if (lease === null) throw new Error('the lease is gone');
    const atMs = clock.now();
    await ledger.settle(lease, ends === 'stuck' ? { type: 'attempt_failed', nextTryAtMs: addMs(atMs, 500), failure: 'no', stuck: true } : { type: ends, atMs }, AGENT);
  }
  return own.map(({ id }) => id);
}

type Filter = Omit<LeaseFilter, 'cursor' | 'limit'>;
const aFilter: fc.Arbitrary<Filter> = fc
  .record(
    {
      agent: fc.constantFrom(...AGENTS),
      agents: fc.constantFrom([{ issuer: ISSUER, subject: 'agent:a' }], [], AGENTS.map((subject) => ({ issuer: ISSUER, subject }))),
      provider: fc.constantFrom(...PROVIDERS),
      purpose: fc.constantFrom(...PURPOSES),
      credential: fc.constantFrom(...CREDENTIALS),
      traceId: fc.constant(TRACE),
      live: fc.constant(true),
      byDueTime: fc.constant(true),
    },
    { requiredKeys: [] },
  )
  .chain((filter) => fc.constantFrom<Filter>(filter, { ...filter, state: 'stuck' }, ...(filter.live === true ? [] : [{ ...filter, state: 'disclosed' as const }, ...(filter.byDueTime === true ? [] : [{ ...filter, state: 'revoked' as const }])])));

const isByDue = ({ state, live, byDueTime }: Filter): boolean => byDueTime === true || live === true || state === 'stuck' || state === 'disclosed';

/** What must be listed, told by reading everything. */
const matches = (filter: Filter) => (lease: Lease): boolean =>
  (filter.agent === undefined || lease.agent.subject === filter.agent) &&
  (filter.agents === undefined || filter.agents.some(({ subject }) => subject === lease.agent.subject)) &&
  (filter.provider === undefined || lease.provider === filter.provider) &&
  (filter.purpose === undefined || lease.purpose === filter.purpose) &&
  (filter.credential === undefined || lease.credential === filter.credential) &&
  (filter.traceId === undefined || lease.traceparent?.includes(filter.traceId) === true) &&
  (filter.state === undefined || lease.state === filter.state) &&
  (!isByDue(filter) || !isFinal(lease.state) || (lease.state === 'disclosed' && filter.live !== true));

async function readAll(filter: Filter, limit: number, between: () => Promise<unknown> = () => Promise.resolve()): Promise<{ readonly leases: Lease[]; readonly total: number | null }> {
  const leases: Lease[] = [];
  let total: number | null = null;
  let cursor: string | undefined;
  do {
    const page = await ledger.listLeases({ ...filter, limit, ...(cursor === undefined ? {} : { cursor }) });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    total ??= page.total;
    leases.push(...page.items);
    cursor = page.nextCursor ?? undefined;
    await between();
  } while (cursor !== undefined);
  return { leases, total };
}

describe('a list of leases', () => {
  it('has in its pages each lease that matches, once and in order, whatever the filter, while others are added', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aTask, { minLength: 1, maxLength: 15 }), fc.array(aFilter, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 7 }), async (drafts, filters, limit) => {
        await redis.flushall();
        ({ ledger } = testLedger(redis, clock));
        const ids = (await Promise.all(drafts.map(make))).flat();
        for (const filter of filters) {
          const before = (await ledger.getLeases(ids)).filter((lease) => lease !== null);
          const wanted = before.filter(matches(filter)).map(({ id }) => id);
          let added = 0;
          const { leases, total } = await readAll(filter, limit, async () => {
            // Falls due in the middle of the list; and created later than all of it.
            if ((added += 1) <= 2) ids.push(...(await make({ agent: 'agent:a', purpose: at(PURPOSES, 0), traced: false, ttlSeconds: 45, leases: [{ provider: 'vault-main', credential: 'orders-db', ends: 'lives' }] })));
          });
          const seen = leases.map(({ id }) => id);
          expect(new Set(seen).size).toBe(seen.length);
          expect(seen.filter((id) => before.some((lease) => lease.id === id)).sort()).toEqual(wanted.sort());
          expect(leases.filter((lease) => !matches(filter)(lease))).toEqual([]);
          const places = leases.map((lease) => (isByDue(filter) ? Math.min(lease.dueAtMs, lease.revocationDueAtMs ?? Infinity) : 0 - lease.createdAtMs));
          expect(places).toEqual([...places].sort((a, b) => a - b));
          if (total !== null) expect(total).toBe(wanted.length);
        }
      }),
      { numRuns: 40 },
    );
  }, 120_000);

  it('says how many there are where an index tells', async () => {
    for (const agent of AGENTS) await make({ agent, purpose: 'data-export', traced: true, ttlSeconds: 60, leases: [{ provider: 'vault-main', credential: 'orders-db', ends: 'lives' }, { provider: 'aws-main', credential: 'reports', ends: 'stuck' }] });
    const total = async (filter: Filter) => (await ledger.listLeases({ ...filter, limit: 1 })).total;
    expect(await Promise.all([{}, { live: true }, { provider: 'aws-main', live: true }, { credential: 'orders-db', live: true }, { purpose: 'data-export', live: true }, { state: 'stuck' as const }, { live: true, purpose: 'never' }].map(total))).toEqual([4, 4, 2, 2, 4, 2, 0]);
    expect(await total({ dueBeforeMs: clock.now() })).toBe(2);
    expect(await total({ agent: 'agent:a' })).toBe(2);
    expect(await total({ traceId: TRACE, provider: 'aws-main' })).toBe(2);
    // Beside what is live of an agent there stands what it delegated: only reading tells.
    expect(await total({ agent: 'agent:a', live: true })).toBeNull();
  });

  it('has those of one task, and of all below it', async () => {
    const { envelope, intents } = draftTask(clock);
    await ledger.declareTask(envelope, intents, AGENT, {});
    await ledger.activate(envelope.id, intents.map(mintedLease), AGENT);
    const parent = await ledger.getTask(envelope.id);
    if (parent === null) throw new Error('the task is gone');
    const child = await activeChild(ledger, clock, parent, 'helper');
    const agentsIn = async (filter: Filter) => (await readAll(filter, 1)).leases.map(({ agent }) => agent.subject);
    expect(await agentsIn({ task: parent.id })).toEqual([AGENT.subject]);
    // Soonest due first: the child's, of a minute.
    expect(await agentsIn({ tree: parent.id, live: true })).toEqual(['agent:helper', AGENT.subject]);
    expect(await agentsIn({ tree: parent.id, task: child.id })).toEqual(['agent:helper']);
    expect(await agentsIn({ tree: child.id, task: parent.id })).toEqual([]);
    await ledger.endTask(child.id, 'completed', AGENT);
    expect(await agentsIn({ tree: parent.id })).toHaveLength(2);
  });

  it('reads a bounded number of records for a page, however little matches, and goes on from there', async () => {
    const shard = at(SHARDS, 0);
    const key = dueKey(shard);
    const ids = Array.from({ length: 5_000 }, () => newLeaseIdIn(shard));
    await redis.zadd(key, ...ids.flatMap((id, index) => [index, id]));
    let read = 0;
    const page = createIndexPages(redis);
    const ask = (cursor?: string) =>
      page({ keys: [key], newestFirst: false, cursor, limit: 10, isId: (text): text is LeaseId => text.startsWith('lse_'), getAll: (some) => ((read += some.length), Promise.resolve(some)), matches: (id) => id === ids.at(-1) });
    const first = await ask();
    expect(first.items).toEqual([]);
    expect(read).toBeLessThan(2_500);
    let last = first;
    while (last.nextCursor !== null) last = await ask(last.nextCursor);
    expect(last.items).toEqual([ids.at(-1)]);
    expect(read).toBe(5_000);
  });

  it('passes over nothing where a thousand fall due in one millisecond', async () => {
    const ids = SHARDS.flatMap((shard: Shard) => Array.from({ length: 100 }, () => newLeaseIdIn(shard)));
    const dueMs = addSeconds(clock.now(), 60);
    for (const id of ids) await redis.zadd(dueKey(id.charAt(4) as Shard), dueMs, id);
    const page = createIndexPages(redis);
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const next = await page({ keys: SHARDS.map(dueKey), newestFirst: false, cursor, limit: 37, isId: (text): text is LeaseId => text.startsWith('lse_'), getAll: (some) => Promise.resolve(some), matches: () => true });
      seen.push(...next.items);
      cursor = next.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual([...ids].sort());
  });
});
