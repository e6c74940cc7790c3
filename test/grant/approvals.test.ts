import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { newTaskId } from '../../src/core/ids.ts';
import { createAgentRegister } from '../../src/agents/agent-register.ts';
import { claimTask } from '../../src/grant/claim-task.ts';
import { decideApproval } from '../../src/grant/decide-approval.ts';
import type { GrantDeps } from '../../src/grant/grant-deps.ts';
import type { Workload, WorkloadId } from '../../src/identity/caller.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { createRecordSeal } from '../../src/ledger/record-seal.ts';
import { agentWaitingKey, taskKey } from '../../src/ledger/redis-keys.ts';
import { envelopeDigest, ownPart } from '../../src/task/approval.ts';
import type { Task, TaskEnvelope } from '../../src/task/task.ts';
import type { PolicyEngine } from '../../src/policy/decision.ts';
import { addSeconds } from '../../src/core/time.ts';
import { engineFor } from '../policy/policy-fixture.ts';
import { AGENT, draftTask, RECORD_KEY, testLedger } from '../support/ledger-fixture.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { MemoryProvider } from '../support/memory-provider.ts';
import { useRedis } from '../support/use-redis.ts';

const OLGA = { issuer: 'https://people.test', subject: 'olga' };
const CALLER: Workload = { kind: 'workload', ...AGENT, instance: null, senderBound: false, tokenExpiresAtMs: addSeconds(new ManualClock().now(), 86_400) };
const HUMAN = '@id("human") permit (principal, action, resource) when { context.approvals >= 1 };';

let redis: Redis;
let clock: ManualClock;
let ledger: Ledger;
let provider: MemoryProvider;
let deps: GrantDeps;
let engine: PolicyEngine;

beforeAll(() => {
  engine = engineFor(HUMAN);
});

useRedis((connection) => {
  redis = connection;
  clock = new ManualClock(Date.now());
  ({ ledger } = testLedger(redis, clock));
});

beforeEach(() => {
  provider = new MemoryProvider();
  const register = createAgentRegister({ ledger, configured: [], clock });
  const config = { provider: 'vault-main', owner: 'team-orders', params: {} };
  deps = {
    ledger,
    clock,
    policy: engine,
    catalog: new Map([['orders-db', { name: 'orders-db', config, provider, capabilities: provider.capabilities() }]]) as unknown as GrantDeps['catalog'],
    limits: { live_leases_per_agent: 10, expiry_jitter_percent: 0 },
    environment: 'test',
    risk: {},
    issuers: new Set([AGENT.issuer]),
    revocationsPerSecond: () => 1_000,
    agents: { standingOf: (who: WorkloadId) => register.standingOf(who), refuseUnregistered: false },
    nudge: () => undefined,
    mintTimeoutMs: 1_000,
    observeMint: () => undefined,
    observeDecision: () => undefined,
    log: { error: () => undefined },
  } as unknown as GrantDeps;
});

const decide = (task: Task, decision: 'approve' | 'deny' = 'approve'): Promise<Task> => decideApproval(task, { decision }, OLGA, { ledger, clock, claimWindowSeconds: 60 });

async function waiting(fields: Partial<TaskEnvelope> = {}): Promise<Task> {
  const { envelope } = draftTask(clock);
  const asked: TaskEnvelope = {
    ...envelope,
    credentials: [{ name: 'orders-db', ttlSeconds: 60, params: {} }],
    waitsUntilMs: addSeconds(clock.now(), 900),
    // The latest it can end: approved at the last moment, claimed at the last moment, and then its own time.
    expiresAtMs: addSeconds(clock.now(), 900 + 60 + envelope.ttlSeconds),
    decision: { ...envelope.decision, result: 'approval_required', approvalsNeeded: 1 },
    ...fields,
  };
  await ledger.reserveWaiting(asked.declarer, 'pending_approval', asked.id, addSeconds(clock.now(), 900), 5);
  return ledger.parkTask(asked, 'pending_approval', AGENT, {});
}

/** Writes the record anew, under the broker's own seal: somebody who has the key, or a fault of ours. */
async function rewrite(task: Task): Promise<Task> {
  const { json, mac } = createRecordSeal(RECORD_KEY).seal('task', task.id, task);
  await redis.hset(taskKey(task.id), { generation: task.generation, record: json, mac });
  const stored = await ledger.getTask(task.id);
  if (stored === null) throw new Error('the task is gone');
  return stored;
}

describe('a claim of an approved task', () => {
  const CHANGES: readonly (readonly [string, (task: Task) => Partial<Task>])[] = [
    ['more time for a credential', ({ credentials }) => ({ credentials: credentials.map((one) => ({ ...one, ttlSeconds: 120 })) })],
    ['another parameter', ({ credentials }) => ({ credentials: credentials.map((one) => ({ ...one, params: { customer: 43 } })) })],
    ['one more credential', ({ credentials }) => ({ credentials: [...credentials, ...credentials] })],
    ['another purpose', () => ({ purpose: 'data-export' })],
    ['another action', () => ({ actions: ['read', 'export'] })],
    ['another data class', () => ({ dataClasses: ['pii'] })],
    ['another context', () => ({ context: { tool: 'shell' } })],
    ['more time', () => ({ ttlSeconds: 3_600 })],
    ['another ticket', () => ({ ticket: 'OPS-2' })],
    ['another justification', () => ({ justification: 'something else' })],
    ['another declarer', () => ({ declarer: { ...AGENT, subject: 'orchestrator' } })],
    ['another subject', () => ({ subject: 'user:ann' })],
    ['another who vouched', () => ({ vouchedBy: 'orchestrator' })],
    ['another chain', () => ({ chain: [{ task: newTaskId(), ...AGENT }] })],
  ];

  it.each(CHANGES)('is refused where the record came to say: %s', async (_name, change) => {
    const approved = await decide(await waiting());
    const changed = await rewrite({ ...approved, ...change(approved) });
    await expect(claimTask(changed, undefined, CALLER, deps)).rejects.toMatchObject({ code: 'claim_refused', message: 'the task is not what was approved' });
    expect(provider.live.size).toBe(0);
  });

  it('is granted where it says what was approved, and would be for any other had it been approved (control)', async () => {
    const approved = await decide(await waiting());
    expect((await claimTask(approved, undefined, CALLER, deps)).granted).toHaveLength(1);
    const second = await decide(await waiting());
    const wider = { ...second, ttlSeconds: 3_600, context: { tool: 'shell' } };
    const digest = envelopeDigest(wider);
    const unnoticed = await rewrite({ ...wider, approval: { needed: 1, digest, given: [{ by: OLGA, atMs: clock.now(), note: null, digest }] } });
    expect((await claimTask(unnoticed, undefined, CALLER, deps)).granted).toHaveLength(1);
  });

  it('is refused where one human stands there twice', async () => {
    const approved = await decide(await waiting());
    const given = approved.approval?.given ?? [];
    const twice = await rewrite({ ...approved, approval: { needed: 2, digest: envelopeDigest(approved), given: [...given, ...given.map((one) => ({ ...one, by: { issuer: 'https://other.test', subject: 'OLGA ' } }))] } });
    await expect(claimTask(twice, undefined, CALLER, deps)).rejects.toMatchObject({ code: 'claim_refused' });
  });

  it('is decided afresh: what policy came to deny meanwhile stays denied', async () => {
    const approved = await decide(await waiting());
    const stricter = { ...deps, policy: engineFor(`${HUMAN} @id("two") forbid (principal, action, resource) unless { context.approvals >= 2 };`) };
    await expect(claimTask(approved, undefined, CALLER, stricter)).rejects.toMatchObject({ code: 'policy_denied', message: expect.stringContaining('only with 2 approvals') });
    expect((await claimTask(approved, undefined, CALLER, deps)).granted).toHaveLength(1);
  });

  it('counts nobody where nobody approved: a waiting task cannot be claimed by moving its state', async () => {
    const task = await waiting();
    const moved = await rewrite({ ...task, state: 'pending_claim' });
    await expect(claimTask(moved, undefined, CALLER, deps)).rejects.toMatchObject({ code: 'claim_refused' });
  });
});

describe('who may decide', () => {
  it.each<readonly [string, Partial<TaskEnvelope>]>([
    ['its declarer', { declarer: { issuer: 'https://elsewhere.test', subject: 'olga' } }],
    ['its agent', { agent: { issuer: 'https://elsewhere.test', subject: 'Olga' } }],
    ['the person it is for', { subject: 'olga' }],
    ['who vouched for it', { vouchedBy: ' olga' }],
    ['an agent that its authority came through', { chain: [{ task: newTaskId(), ...AGENT }, { task: newTaskId(), issuer: 'x', subject: 'OLGA' }] }],
  ])('is not %s', async (part, fields) => {
    const task = await waiting(fields);
    expect(ownPart(task, OLGA)).toBe(part);
    await expect(decide(task)).rejects.toMatchObject({ code: 'approval_refused' });
    await expect(decide(task, 'deny')).rejects.toMatchObject({ code: 'approval_refused' });
    expect(await ledger.getTask(task.id)).toMatchObject({ state: 'pending_approval', approval: { given: [] } });
  });

  it('is anybody else (control)', async () => {
    expect(ownPart(await waiting(), OLGA)).toBeNull();
    expect(await decide(await waiting())).toMatchObject({ state: 'pending_claim' });
  });
});

describe('a decision', () => {
  const room = async (task: Task): Promise<number[]> => Promise.all((['pending_approval', 'pending_claim'] as const).map((state) => redis.zcard(agentWaitingKey(task.declarer, state))));

  it('moves the room that the task takes to where it waits next', async () => {
    const task = await waiting();
    expect(await room(task)).toEqual([1, 0]);
    const approved = await decide(task);
    expect(await room(task)).toEqual([0, 1]);
    await claimTask(approved, undefined, CALLER, deps);
    expect(await room(task)).toEqual([0, 0]);
    await decide(await waiting(), 'deny');
    expect(await room(task)).toEqual([0, 0]);
  });

  it('after the window has passed changes nothing', async () => {
    const task = await waiting();
    clock.advance(900_000);
    await expect(decide(task)).rejects.toMatchObject({ code: 'not_approvable' });
    await expect(decide(task, 'deny')).rejects.toMatchObject({ code: 'not_approvable' });
  });

  it('opens a claim window of its own', async () => {
    clock.advance(1_000);
    const task = await waiting();
    clock.advance(600_000);
    const approved = await decide(task);
    expect(approved.waitsUntilMs).toBe(addSeconds(clock.now(), 60));
    expect(approved.expiresAtMs).toBe(addSeconds(clock.now(), 60 + task.ttlSeconds));
    clock.advance(61_000);
    await expect(claimTask(approved, undefined, CALLER, deps)).rejects.toMatchObject({ code: 'not_claimable' });
  });

  it('never says a later end than was said: a child has that of its parent', async () => {
    const endsAtMs = addSeconds(clock.now(), 120);
    expect((await decide(await waiting({ expiresAtMs: endsAtMs }))).expiresAtMs).toBe(endsAtMs);
  });
});

describe('the envelope', () => {
  it('has the same digest after every change that a waiting task goes through', async () => {
    const task = await waiting();
    const approved = await decide(task);
    const { task: active } = await claimTask(approved, undefined, { ...CALLER, instance: 'pod-1' }, deps);
    expect(new Set([task, approved, active].map(envelopeDigest)).size).toBe(1);
    expect(envelopeDigest(await waiting())).not.toBe(envelopeDigest(task));
  });
});
