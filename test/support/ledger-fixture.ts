import type { Redis } from 'ioredis';
import { createEventSealer } from '../../src/audit/seal-event.ts';
import type { Clock } from '../../src/core/clock.ts';
import { newDecisionId, newLeaseIdIn, newTaskId, newTaskIdIn, shardOf, type TaskId } from '../../src/core/ids.ts';
import { addSeconds } from '../../src/core/time.ts';
import type { WorkloadId } from '../../src/identity/caller.ts';
import type { LeaseIntent } from '../../src/ledger/lease.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { TamperedRecord } from '../../src/ledger/record-seal.ts';
import type { RedisLedgerDeps } from '../../src/ledger/ledger-steps.ts';
import { createRedisLedger } from '../../src/ledger/redis-ledger.ts';
import type { Task, TaskEnvelope } from '../../src/task/task.ts';
import { emptyTree } from '../../src/task/task-tree.ts';

export const AGENT: WorkloadId = { issuer: 'https://issuer.test', subject: 'agent:refunds' };
export const RECORD_KEY = Buffer.alloc(32, 1);
export const EVENT_KEY = Buffer.alloc(32, 2);
export const MINT_DEADLINE_MS = 15_000;

/** A ledger on a connection, with what it found tampered. The clock guard is off unless asked for: tests move the clock. */
export function testLedger(redis: Redis, clock: Clock, options: Partial<RedisLedgerDeps> = {}) {
  const tampered: TamperedRecord[] = [];
  const ledger = createRedisLedger({
    redis,
    clock,
    recordKey: RECORD_KEY,
    sealEvent: (event) => createEventSealer(EVENT_KEY).seal(event),
    guards: { maxSkewMs: 0, maxAuditLagMs: 0 },
    mintDeadlineMs: MINT_DEADLINE_MS,
    retentionSeconds: 3_600,
    minReplicaAcks: 0,
    onTampered: (error) => tampered.push(error),
    epoch: { file: null, begins: true, longestLifeMs: 3_600_000 },
    ...options,
  });
  return { ledger, tampered };
}

/** A declared task with one intent for each credential name. */
export function draftTask(
  clock: Clock,
  options: { readonly agent?: WorkloadId; readonly credentials?: readonly string[]; readonly ttlSeconds?: number; readonly heartbeatSeconds?: number } = {},
): { readonly envelope: TaskEnvelope; readonly intents: readonly LeaseIntent[] } {
  const id = newTaskId();
  const agent = options.agent ?? AGENT;
  const nowMs = clock.now();
  const decisionId = newDecisionId();
  const expiresAtMs = addSeconds(nowMs, options.ttlSeconds ?? 300);
  return {
    envelope: {
      id,
      parent: null,
      root: id,
      agent,
      declarer: agent,
      instance: null,
      purpose: 'refund-investigation',
      justification: null,
      ticket: null,
      actions: ['read'],
      dataClasses: [],
      context: {},
      evidence: 'self_declared',
      vouchedBy: null,
      subject: null,
      chain: [],
      credentials: [],
      createdAtMs: nowMs,
      ttlSeconds: options.ttlSeconds ?? 300,
      waitsUntilMs: null,
      claimTicketSha256: null,
      expiresAtMs,
      heartbeatSeconds: options.heartbeatSeconds ?? null,
      decision: { id: decisionId, result: 'permit', policies: ['p'], approvalsNeeded: 0, policyVersion: 'sha256:0', inputDigest: 'sha256:0' },
    },
    intents: (options.credentials ?? ['orders-db']).map((credential) => draftIntent(id, agent, credential, clock, options.ttlSeconds ?? 300)),
  };
}

export function draftIntent(taskId: TaskId, agent: WorkloadId, credential: string, clock: Clock, ttlSeconds: number): LeaseIntent {
  return {
    id: newLeaseIdIn(shardOf(taskId)),
    taskId,
    agent,
    chain: [],
    subject: null,
    touches: [],
    purpose: 'refund-investigation',
    actions: ['read'],
    credential,
    kind: 'vault.dynamic',
    provider: 'vault-main',
    revocability: 'exact',
    params: {},
    toolCall: null,
    decisionId: newDecisionId(),
    createdAtMs: clock.now(),
    dueAtMs: addSeconds(clock.now(), ttlSeconds),
  };
}

export const mintedLease = (intent: LeaseIntent) => ({
  leaseId: intent.id,
  handle: { accessor: `acc-${intent.id}` },
  targetExpiresAtMs: addSeconds(intent.dueAtMs, 5),
  lapsesAtMs: addSeconds(intent.dueAtMs, 5),
});

/** Delegates a part of a task to an agent of this name; it waits for its claim. */
export async function delegatedTask(ledger: Ledger, clock: Clock, parent: Task, name: string, dataClasses: readonly string[] = []): Promise<Task> {
  const { envelope } = draftTask(clock, { agent: { issuer: AGENT.issuer, subject: `agent:${name}` } });
  const id = newTaskIdIn(shardOf(parent.id));
  const chain = [...parent.chain, { task: parent.id, ...parent.agent }];
  const child = { ...envelope, id, parent: parent.id, root: parent.root, chain, declarer: parent.agent, dataClasses, waitsUntilMs: addSeconds(clock.now(), 60) };
  return ledger.parkTask(child, 'pending_claim', parent.agent, {}, undefined, { parent, tree: (await ledger.getTree(parent.root)) ?? emptyTree(parent.root) });
}

/** The same, claimed at once, with one credential that reaches its data classes. */
export async function activeChild(ledger: Ledger, clock: Clock, parent: Task, name: string, dataClasses: readonly string[] = []): Promise<Task> {
  const waiting = await delegatedTask(ledger, clock, parent, name, dataClasses);
  const intent = { ...draftIntent(waiting.id, waiting.agent, 'orders-db', clock, 60), chain: waiting.chain, touches: dataClasses };
  const tree = (await ledger.getTree(parent.root)) ?? emptyTree(parent.root);
  await ledger.claimTask(waiting, { expiresAtMs: parent.expiresAtMs, instance: null, decision: waiting.decision, tree }, [intent], waiting.agent, {});
  await ledger.activate(waiting.id, [mintedLease(intent)], waiting.agent);
  const child = await ledger.getTask(waiting.id);
  if (child === null) throw new Error('the child is gone');
  return child;
}
