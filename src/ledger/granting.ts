import type { AuditEvent } from '../audit/audit-event.ts';
import { shardOf, type LeaseId, type TaskId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import { toRfc3339 } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Task } from '../task/task.ts';
import { declaredTask, taskAllows, taskTransition } from '../task/task-transitions.ts';
import { emptyTree, withGrant, withNode, type TaskTree } from '../task/task-tree.ts';
import { fillSlot, type HeldSlot } from './idempotency.ts';
import { isFinal, type Lease, type LeaseIntent } from './lease.ts';
import { allows, intendedLease, transition, type MintedFacts } from './lease-transitions.ts';
import type { Delegation, FailedLease, Ledger } from './ledger.ts';
import { absent, leaseAt, taskAt, type LedgerSteps } from './ledger-steps.ts';
import { leaseWrites, taskWrites } from './record-writes.ts';
import { leaseKey, taskKey } from './redis-keys.ts';
import { leaseFacts } from './settle-event.ts';
import { TreeChanged } from './tree-steps.ts';

type Granting = Pick<
  Ledger,
  'declareTask' | 'parkTask' | 'claimTask' | 'intendCredential' | 'activate' | 'failGrant' | 'intendRenewal' | 'extendTask' | 'heartbeat'
>;

/** The steps that lead to a credential, or keep one alive. `finishTask` ends a task whose leases are all final. */
export function createGranting(steps: LedgerSteps, finishTask: (id: TaskId) => Promise<void>): Granting {
  const { clock, reads, settings, taskEvent, commit, commitGrant, untilSettled } = steps;

  async function declare(task: Task, intents: readonly LeaseIntent[], by: WorkloadId, facts: AuditEvent['facts'], slot: HeldSlot | undefined, under?: Delegation): Promise<Task> {
    const nowMs = clock.now();
    const leases = intents.map(intendedLease);
    const filled = fillSlot(slot, { task: task.id, leases: leases.map(({ id }) => id) }, steps);
    const outcome = await commitGrant({
      shard: shardOf(task.id),
      nowMs,
      by,
      scope: { task, credentials: leases.length > 0 ? leases : task.credentials.map(({ name }) => ({ credential: name })) },
      isNew: true,
      tree: under === undefined ? newTree(task, leases) : { before: under.tree, after: withNode(under.tree, { id: task.id, parent: under.parent.id }) },
      expect: [...(under === undefined ? [] : [taskAt(under.parent)]), absent(taskKey(task.id)), ...leases.map((lease) => absent(leaseKey(lease.id))), ...filled.expect],
      writes: [...taskWrites(task, true, nowMs, settings), ...leases.flatMap((lease) => leaseWrites(lease, true, settings)), ...filled.writes],
      events: [
        taskEvent(nowMs, 'task.declared', task, by, leases.map((lease) => lease.id), {
          state: task.state,
          declarer: task.declarer,
          parent: task.parent,
          root: task.root,
          chain: task.chain,
          actions: task.actions,
          data_classes: task.dataClasses,
          context: task.context,
          evidence: task.evidence,
          vouched_by: task.vouchedBy,
          subject: task.subject,
          justification: task.justification,
          ticket: task.ticket,
          expires_at: toRfc3339(task.expiresAtMs),
          credentials: leases.length > 0 ? leases.map(leaseFacts) : task.credentials,
          ...facts,
        }),
      ],
    });
    // A heartbeat of the parent is enough to come between: the caller looks at the parent again.
    if (outcome === 'conflict' && under !== undefined) throw new TreeChanged(task.root);
    if (outcome === 'conflict') throw changedMeanwhile('the declaration was overtaken by another with the same Idempotency-Key');
    return task;
  }

  /** Reads the leases a change is about with their task; both are compared again when it is written. */
  const readGrant = (taskId: TaskId, leases: readonly { readonly leaseId: LeaseId }[]): Promise<[Task | null, (Lease | null)[]]> =>
    Promise.all([reads.getTask(taskId), Promise.all(leases.map(({ leaseId }) => reads.getLease(leaseId)))]);

  return {
    declareTask: (envelope, intents, by, facts, slot) => declare(declaredTask(envelope, 'minting'), intents, by, facts, slot),
    parkTask: (envelope, state, by, facts, slot, under) => declare(declaredTask(envelope, state), [], by, facts, slot, under),

    async claimTask(task, { tree, ...claim }, intents, by, facts, slot) {
      const nowMs = clock.now();
      const next = taskTransition(task, { type: 'claimed', atMs: nowMs, ...claim });
      const leases = intents.map(intendedLease);
      const ids = leases.map(({ id }) => id);
      const filled = fillSlot(slot, { task: task.id, leases: ids }, steps);
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        by,
        scope: { task, credentials: leases },
        tree: { before: tree, after: withGrant(tree, task, leases.flatMap(({ touches }) => touches)) },
        expect: [taskAt(task), ...leases.map((lease) => absent(leaseKey(lease.id))), ...filled.expect],
        writes: [...taskWrites(next, false, nowMs, settings), ...leases.flatMap((lease) => leaseWrites(lease, true, settings)), ...filled.writes],
        events: [
          taskEvent(nowMs, 'task.claimed', next, by, ids, { instance: next.instance, chain: task.chain, expires_at: toRfc3339(next.expiresAtMs), credentials: leases.map(leaseFacts), ...facts }),
        ],
      });
      return outcome === 'ok' ? next : null;
    },

    async intendCredential(task, tree, intent, by, facts, slot) {
      const nowMs = clock.now();
      const next = taskTransition(task, { type: 'lease_added' });
      const lease = intendedLease(intent);
      const filled = fillSlot(slot, { task: task.id, leases: [lease.id] }, steps);
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        by,
        scope: { task, credentials: [lease] },
        tree: { before: tree, after: withGrant(tree, task, lease.touches) },
        expect: [taskAt(task), absent(leaseKey(lease.id)), ...filled.expect],
        writes: [...taskWrites(next, false, nowMs, settings), ...leaseWrites(lease, true, settings), ...filled.writes],
        events: [taskEvent(nowMs, 'lease.intended', next, by, [lease.id], { ...leaseFacts(lease), ...facts })],
      });
      if (outcome === 'conflict') throw changedMeanwhile('the task changed while the credential was being granted; ask again');
      return next;
    },

    activate: (taskId, minted, by) =>
      untilSettled(async () => {
        const nowMs = clock.now();
        const [task, leases] = await readGrant(taskId, minted);
        if (task?.state !== 'minting' && task?.state !== 'active') return 'refused';
        const changes = minted.flatMap((facts, index) => {
          const before = leases[index];
          return before && allows(before.state, 'activated')
            ? [{ before, after: transition(before, { ...facts, type: 'activated', atMs: nowMs }) }]
            : [];
        });
        if (changes.length !== minted.length) return 'refused';
        const next = task.state === 'minting' ? taskTransition(task, { type: 'activated', atMs: nowMs }) : task;
        const outcome = await commitGrant({
          shard: shardOf(taskId),
          nowMs,
          by,
          scope: { task, credentials: changes.map(({ after }) => after) },
          expect: [taskAt(task), ...changes.map(({ before }) => leaseAt(before))],
          writes: [...taskWrites(next, false, nowMs, settings), ...changes.flatMap(({ after }) => leaseWrites(after, false, settings))],
          events: [
            taskEvent(nowMs, task.state === 'minting' ? 'task.activated' : 'lease.activated', next, by, changes.map(({ after }) => after.id), {
              credentials: changes.map(({ after }) => leaseFacts(after)),
            }),
          ],
        });
        return outcome === 'ok' ? 'active' : 'conflict';
      }),

    async failGrant({ taskId, leases: failed, endsTask, by, failure }) {
      const owedByNobody = await untilSettled(async () => {
        const nowMs = clock.now();
        const [task, leases] = await readGrant(taskId, failed);
        if (task === null) return failed;
        const changes = failed.flatMap((fate, index) => {
          const before = leases[index];
          if (!before || !allows(before.state, 'end_requested')) return [];
          const after =
            fate.fate === 'abandoned' && before.state === 'intended'
              ? transition(before, { type: 'abandoned', atMs: nowMs })
              : transition(before, { type: 'end_requested', atMs: nowMs, reason: 'mint_failed', ...mintedFacts(fate) });
          return [{ before, after }];
        });
        const next =
          endsTask && taskAllows(task.state, 'end_requested')
            ? taskTransition(task, { type: 'end_requested', reason: 'mint_failed' })
            : task;
        const result = await commit({
          shard: shardOf(taskId),
          nowMs,
          expect: [taskAt(task), ...changes.map(({ before }) => leaseAt(before))],
          writes: [...taskWrites(next, false, nowMs, settings), ...changes.flatMap(({ after }) => leaseWrites(after, false, settings, nowMs))],
          events: changes.map(({ after }) =>
            taskEvent(nowMs, after.state === 'abandoned' ? 'lease.abandoned' : 'lease.revoking', next, by, [after.id], {
              ...leaseFacts(after),
              failure,
            }),
          ),
        });
        if (result.outcome !== 'ok') return 'conflict';
        return failed.filter((_fate, index) => !isOwed(leases[index] ?? null));
      });
      await finishTask(taskId);
      return owedByNobody.map(({ leaseId }) => leaseId);
    },

    async intendRenewal(leases, by) {
      const [first] = leases;
      if (first === undefined) return [];
      const nowMs = clock.now();
      const changes = leases.map(({ lease, lapsesAtMs }) => ({ before: lease, after: transition(lease, { type: 'renewal_intended', lapsesAtMs }) }));
      const task = await reads.getTask(first.lease.taskId);
      if (task === null) return null;
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        by,
        scope: { task, credentials: changes.map(({ after }) => after) },
        expect: changes.map(({ before }) => leaseAt(before)),
        writes: changes.flatMap(({ after }) => leaseWrites(after, false, settings)),
        events: [taskEvent(nowMs, 'lease.renewing', task, by, changes.map(({ after }) => after.id), { credentials: changes.map(({ after }) => leaseFacts(after)) })],
      });
      return outcome === 'ok' ? changes.map(({ after }) => after) : null;
    },

    async extendTask(task, expiresAtMs, renewals, by, facts) {
      const nowMs = clock.now();
      const next = taskTransition(task, { type: 'extended', expiresAtMs });
      const changes = renewals.map(({ lease, ...renewed }) => ({ before: lease, after: transition(lease, { type: 'renewed', ...renewed }) }));
      const outcome = await commitGrant({
        shard: shardOf(task.id),
        nowMs,
        by,
        scope: { task, credentials: changes.map(({ after }) => after) },
        expect: [taskAt(task), ...changes.map(({ before }) => leaseAt(before))],
        writes: [...taskWrites(next, false, nowMs, settings), ...changes.flatMap(({ after }) => leaseWrites(after, false, settings))],
        events: [
          taskEvent(nowMs, 'task.extended', next, by, changes.map(({ after }) => after.id), {
            expires_at: toRfc3339(expiresAtMs),
            renewed: changes.map(({ after }) => leaseFacts(after)),
            ...facts,
          }),
        ],
      });
      return outcome === 'ok' ? { task: next, leases: changes.map(({ after }) => after) } : null;
    },

    heartbeat: (id) =>
      untilSettled(async () => {
        const nowMs = clock.now();
        const task = await reads.getTask(id);
        if (task === null || !taskAllows(task.state, 'heard_from')) return task;
        const next = taskTransition(task, { type: 'heard_from', atMs: nowMs });
        const result = await commit({
          shard: shardOf(id),
          nowMs,
          expect: [taskAt(task)],
          writes: taskWrites(next, false, nowMs, settings),
          events: [],
        });
        return result.outcome === 'ok' ? next : 'conflict';
      }),
  };
}

/** A new root's tree: kept from the first grant that touches classified data, or the first delegation. */
function newTree(task: Task, leases: readonly Lease[]): { before: TaskTree; after: TaskTree } {
  const before = emptyTree(task.root);
  return { before, after: leases.length === 0 ? before : withGrant(before, task, leases.flatMap(({ touches }) => touches)) };
}

const changedMeanwhile = (detail: string): Problem => new Problem('task_not_active', detail);

/** Whether the record will see to it that the lease ends. */
const isOwed = (lease: Lease | null): boolean => lease !== null && !isFinal(lease.state);

const mintedFacts = (failed: FailedLease): { minted?: MintedFacts } =>
  failed.fate === 'revoke' && failed.minted !== null ? { minted: failed.minted } : {};
