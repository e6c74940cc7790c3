import { describe, expect, it } from '@jest/globals';
import fc from '../support/fast-check.ts';
import type { Redis } from 'ioredis';
import { shardOf, type TaskId } from '../../src/core/ids.ts';
import { treeKey } from '../../src/ledger/redis-keys.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { TamperedRecord } from '../../src/ledger/record-seal.ts';
import { TreeChanged, treeOf as treeOfTask } from '../../src/ledger/tree-steps.ts';
import { emptyTree } from '../../src/task/task-tree.ts';
import type { Task } from '../../src/task/task.ts';
import { activeChild, AGENT, delegatedTask, draftIntent, draftTask, mintedLease, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { useRedis } from '../support/use-redis.ts';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let tampered: readonly { readonly kind: string }[];

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock();
  ({ ledger, tampered } = testLedger(redis, clock));
});

const taskOf = async (id: TaskId): Promise<Task> => {
  const task = await ledger.getTask(id);
  if (task === null) throw new Error(`there is no task ${id}`);
  return task;
};
const treeOf = async (root: TaskId) => (await ledger.getTree(root)) ?? emptyTree(root);

async function rootTask(dataClasses: readonly string[] = []): Promise<Task> {
  const { envelope, intents } = draftTask(clock);
  await ledger.declareTask({ ...envelope, dataClasses }, intents.map((intent) => ({ ...intent, touches: dataClasses })), AGENT, {});
  await ledger.activate(envelope.id, intents.map(mintedLease), AGENT);
  return taskOf(envelope.id);
}

const childOf = (parent: Task, name: string, dataClasses: readonly string[] = []): Promise<Task> => activeChild(ledger, clock, parent, name, dataClasses);
const delegated = (parent: Task, name: string, dataClasses: readonly string[] = []): Promise<Task> => delegatedTask(ledger, clock, parent, name, dataClasses);

const stateOf = async (id: TaskId): Promise<readonly [string, string | null]> => {
  const { state, endReason } = await taskOf(id);
  return [state, endReason];
};

describe('the end of a task', () => {
  it('ends all below it in the same step, waiting and active ones, and nothing beside it', async () => {
    const root = await rootTask();
    const child = await childOf(root, 'child');
    const grandchild = await childOf(await taskOf(child.id), 'grandchild');
    const waiting = await delegated(await taskOf(grandchild.id), 'waiting');
    const sibling = await childOf(await taskOf(root.id), 'sibling');
    const stranger = await rootTask();

    await ledger.endTask(child.id, 'revoked', AGENT);
    expect(await stateOf(child.id)).toEqual(['ending', 'revoked']);
    expect(await stateOf(grandchild.id)).toEqual(['ending', 'parent_ended']);
    expect(await stateOf(waiting.id)).toEqual(['ended', 'parent_ended']);
    expect((await ledger.leasesOfTask(grandchild.id)).map(({ state, revocationReason }) => [state, revocationReason])).toEqual([['revoking', 'parent_ended']]);
    for (const { id } of [root, sibling, stranger]) expect(await stateOf(id)).toEqual(['active', null]);
  });

  it('misses no child that is delegated at the same moment', async () => {
    for (let round = 0; round < 30; round += 1) {
      const root = await rootTask();
      const children = ['a', 'b', 'c'].map((name) => delegated(root, name).catch((error: unknown) => (error instanceof TreeChanged ? null : Promise.reject(error as Error))));
      const [, ...declared] = await Promise.all([ledger.endTask(root.id, 'revoked', AGENT), ...children]);
      const live = await Promise.all(declared.map(async (child) => (child === null ? 'none' : (await taskOf(child.id)).state)));
      expect(live.filter((state) => state !== 'none' && state !== 'ended')).toEqual([]);
    }
  });

  it('refuses a delegation from a parent that ended', async () => {
    const root = await rootTask();
    await ledger.endTask(root.id, 'completed', AGENT);
    await expect(delegated(root, 'late')).rejects.toBeInstanceOf(TreeChanged);
  });

  it('reaches the children although the record of their tree was deleted or forged, which is told', async () => {
    for (const harm of ['deleted', 'forged'] as const) {
      const root = await rootTask();
      const child = await childOf(root, 'child');
      if (harm === 'forged') await redis.hset(treeKey(root.id), 'record', '{}');
      else await redis.hset(treeKey(root.id), 'mac', 'x');
      await ledger.endTask(root.id, 'revoked', AGENT);
      expect(await stateOf(child.id)).toEqual(['ending', 'parent_ended']);
      expect(tampered.map(({ kind }) => kind)).toContain('tree');
    }
  });
});

describe('what is live', () => {
  it('is found with all that was delegated, by the task and by every agent of the chain', async () => {
    const root = await rootTask();
    const child = await childOf(root, 'child');
    const grandchild = await childOf(await taskOf(child.id), 'grandchild');
    const shard = shardOf(root.id);
    expect((await ledger.liveIn(shard, { task: child.id })).tasks).toEqual([child.id, grandchild.id].sort());
    expect((await ledger.liveIn(shard, { agent: 'agent:child' })).tasks.toSorted()).toEqual([child.id, grandchild.id].sort());
    expect((await ledger.liveIn(shard, { agent: AGENT.subject })).leases).toHaveLength(3);
    expect((await ledger.liveIn(shard, { agent: 'agent:grandchild' })).leases).toHaveLength(1);
  });
});

describe('what a tree touched', () => {
  it('grows with each grant of classified data, in any of its tasks', async () => {
    const root = await rootTask(['pii']);
    expect((await treeOf(root.id)).touched).toEqual(['pii']);
    await childOf(root, 'child', ['financial', 'pii']);
    expect((await treeOf(root.id)).touched).toEqual(['financial', 'pii']);
  });

  it('is missed where somebody deleted it, so that no grant forgets it', async () => {
    const root = await rootTask(['pii']);
    await redis.del(treeKey(root.id));
    expect(() => treeOfTask(root, null)).toThrow(TamperedRecord);
    // A task without classified data and without children has none.
    const plain = await rootTask();
    expect(treeOfTask(plain, await ledger.getTree(plain.id))).toEqual(emptyTree(plain.id));
  });

  it('is not grown by a task that only waits', async () => {
    const root = await rootTask();
    await delegated(root, 'child', ['pii']);
    expect((await treeOf(root.id)).touched).toEqual([]);
  });

  it('lets a grant that was decided on an older tree write nothing', async () => {
    const root = await rootTask();
    const reader = await delegated(root, 'reader', ['pii']);
    const before = await treeOf(root.id);
    const intent = { ...draftIntent(reader.id, reader.agent, 'orders-db', clock, 60), touches: ['pii'] };
    await ledger.claimTask(reader, { expiresAtMs: root.expiresAtMs, instance: null, decision: reader.decision, tree: before }, [intent], reader.agent, {});
    const extra = draftIntent(root.id, AGENT, 'task-token', clock, 60);
    await expect(ledger.intendCredential(root, before, extra, AGENT, {})).rejects.toBeInstanceOf(TreeChanged);
    expect(await ledger.getLease(extra.id)).toBeNull();
    // The harm without it: on the tree as it is now, the same step goes through, and what it was decided on is history.
    await ledger.intendCredential(root, await treeOf(root.id), extra, AGENT, {});
    expect(await ledger.getLease(extra.id)).toMatchObject({ state: 'intended' });
  });
});

describe('random trees', () => {
  it('end as far as they hang below what was ended, and no further', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 7 }), fc.nat({ max: 7 }), async (parents, pick) => {
        const tasks = [await rootTask()];
        for (const [index, at] of parents.entries()) tasks.push(await childOf(await taskOf((tasks[at % tasks.length] as Task).id), `a${index}`));
        const top = tasks[pick % tasks.length] as Task;
        await ledger.endTask(top.id, 'revoked', AGENT);
        for (const { id, chain } of tasks) {
          const below = id === top.id || chain.some(({ task }) => task === top.id);
          expect([id, (await taskOf(id)).state]).toEqual([id, below ? 'ending' : 'active']);
        }
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});
