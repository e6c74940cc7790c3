import { describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { mintLeases, type Mintable, type MintLeasesDeps } from '../../src/grant/mint-leases.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { at } from '../support/at.ts';
import { AGENT, draftTask, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { useRedis } from '../support/use-redis.ts';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let good: MemoryProvider;
let bad: MemoryProvider;

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
  good = new MemoryProvider('good');
  bad = new MemoryProvider('bad');
});

const BY = { by: AGENT, endsTask: true };
const deps = (own: MintLeasesDeps['ledger'] = ledger): MintLeasesDeps => ({
  ledger: own,
  clock,
  mintTimeoutMs: 1_000,
  observeMint: () => undefined,
  log: { error: () => undefined },
});

/** A declared task whose first credential comes from `good` and whose second from `bad`. */
async function declared() {
  const { envelope, intents } = draftTask(clock, { credentials: ['first', 'second'] });
  await ledger.declareTask(envelope, intents, AGENT, {});
  const wanted: Mintable[] = [
    { intent: at(intents, 0), provider: good },
    { intent: at(intents, 1), provider: bad },
  ];
  return { id: envelope.id, intents, wanted };
}

const states = async (id: Parameters<Ledger['leasesOfTask']>[0]) => {
  const leases = await ledger.leasesOfTask(id);
  return Object.fromEntries(leases.map((lease) => [lease.credential, lease.state]));
};

/** Ends a task, and its leases with it, as a worker does that finds nothing at the targets yet. */
async function endUnfound(id: Parameters<Ledger['endTask']>[0]): Promise<void> {
  await ledger.endTask(id, 'revoked', AGENT);
  for (const lease of await ledger.leasesOfTask(id)) await ledger.settle(lease, { type: 'revoked', atMs: clock.now() }, AGENT);
}

describe('minting for a task', () => {
  it('hands over every secret once all are active', async () => {
    const { id, wanted, intents } = await declared();
    const granted = await mintLeases(id, wanted, BY, deps());
    expect(granted.map(({ secret }) => secret['token']?.expose())).toEqual(intents.map((intent) => `secret-of-${intent.id}`));
    expect(await states(id)).toEqual({ first: 'active', second: 'active' });
  });

  it('puts down for revocation what was minted when another mint fails, and says which provider failed', async () => {
    const { id, wanted } = await declared();
    bad.failure = 'unavailable';
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'provider_unavailable', members: { provider: 'bad' } });
    expect(await states(id)).toEqual({ first: 'revoking', second: 'abandoned' });
    expect(await ledger.getTask(id)).toMatchObject({ state: 'ending', endReason: 'mint_failed' });
  });

  it('puts down for revocation what may have been minted although the answer was lost', async () => {
    const { id, wanted } = await declared();
    bad.losesAnswers = true;
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'provider_unavailable' });
    expect(await states(id)).toEqual({ first: 'revoking', second: 'revoking' });
  });

  it('tells a target that refuses from one that is away', async () => {
    const { id, wanted } = await declared();
    bad.failure = 'refused';
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'provider_refused', status: 502 });
  });

  it('hands over nothing when the task is ended during the mint, and everything minted is put down for revocation', async () => {
    const { id, wanted } = await declared();
    good.afterMint = async () => {
      await ledger.endTask(id, 'revoked', AGENT);
    };
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'task_not_active' });
    expect(await states(id)).toEqual({ first: 'revoking', second: 'revoking' });
  });

  it('revokes by itself what it minted when the ledger is lost after the mint', async () => {
    const { id, wanted } = await declared();
    const lost = () => Promise.reject(new Error('Connection is closed.'));
    await expect(mintLeases(id, wanted, BY, deps({ activate: lost, failGrant: lost }))).rejects.toThrow('Connection is closed.');
    expect([good.live.size, bad.live.size]).toEqual([0, 0]);
  });

  it('revokes by itself what the ledger holds as ended already: no worker looks for it any more', async () => {
    const { id, wanted } = await declared();
    good.afterMint = () => endUnfound(id);
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'task_not_active' });
    expect(await states(id)).toEqual({ first: 'revoked', second: 'revoked' });
    expect([good.live.size, bad.live.size]).toEqual([0, 0]);
  });

  it('leaves to the workers what is still being ended', async () => {
    const { id, wanted } = await declared();
    good.afterMint = async () => {
      await ledger.endTask(id, 'revoked', AGENT);
    };
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'task_not_active' });
    expect([good.revocations, bad.revocations]).toEqual([0, 0]);
  });

  it('revokes by itself what the ledger has forgotten', async () => {
    const { id, wanted } = await declared();
    good.afterMint = async () => {
      await redis.flushall();
    };
    await expect(mintLeases(id, wanted, BY, deps())).rejects.toMatchObject({ code: 'task_not_active' });
    expect([good.live.size, bad.live.size]).toEqual([0, 0]);
  });

  it('would leave live what was minted after its end, if it only recorded the failure (control)', async () => {
    const { id, intents, wanted } = await declared();
    for (const { intent, provider } of wanted) await provider.mint(intent, AbortSignal.timeout(1_000));
    await endUnfound(id);
    const leases = intents.map((intent) => ({ leaseId: intent.id, fate: 'revoke', minted: null }) as const);
    expect(await ledger.failGrant({ taskId: id, leases, endsTask: true, by: AGENT, failure: 'test' })).toEqual(intents.map((intent) => intent.id));
    expect([good.live.size, bad.live.size]).toEqual([1, 1]);
  });

  it('would leave them live if it only gave up (control)', async () => {
    const { wanted } = await declared();
    for (const { intent, provider } of wanted) await provider.mint(intent, AbortSignal.timeout(1_000));
    expect([good.live.size, bad.live.size]).toEqual([1, 1]);
  });
});
