import type { LeaseId, LockId, RevocationId, Shard, TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { AuditEventType } from '../audit/audit-event.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Approval, DecisionSummary, EndReason, Task, TaskEnvelope, TaskState, WaitingState } from '../task/task.ts';
import type { TaskTree } from '../task/task-tree.ts';
import type { AgentRecords } from './agent-records.ts';
import type { Hold } from './epoch.ts';
import type { HeldSlot, IdempotencySlot, IdempotencyState } from './idempotency.ts';
import type { Lease, LeaseIntent, LeaseState, RevocationReason } from './lease.ts';
import type { GrantScope, Lock } from './lock.ts';
import type { Lateness, LatenessBudget } from './lateness.ts';
import type { CountedKind } from './ledger-counts.ts';
import type { LockStatus } from './locks.ts';
import type { LeaseChange, MintedFacts } from './lease-transitions.ts';
import type { NoticeRecords } from './notice-records.ts';
import type { ReconciliationRecords } from './reconciliation-records.ts';
import type { RevocationRecord, RevocationRecords } from './revocation-records.ts';
import type { Reservation } from './room.ts';
import type { SingleUse } from './single-use.ts';
import type { SessionRecords } from '../identity/session.ts';

export interface MintedLease extends MintedFacts {
  readonly leaseId: LeaseId;
}

/** A lease that its target keeps longer. */
export interface Renewal {
  readonly lease: Lease;
  readonly dueAtMs: EpochMs;
  readonly targetExpiresAtMs: EpochMs;
  readonly lapsesAtMs: EpochMs;
}

/** How one lease of a failed grant ended. */
export type FailedLease =
  | { readonly leaseId: LeaseId; readonly fate: 'abandoned' }
  /** Minted, or perhaps minted: it must be revoked. `minted` is null where the mint was never confirmed. */
  | { readonly leaseId: LeaseId; readonly fate: 'revoke'; readonly minted: MintedFacts | null };

/** What a task is delegated from. */
export interface Delegation {
  readonly parent: Task;
  readonly tree: TaskTree;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export interface TaskFilter {
  readonly agent: WorkloadId;
  readonly state?: TaskState;
  readonly purpose?: string;
  readonly cursor?: string;
  readonly limit: number;
}

/** Which tasks of anybody are wanted: those that match every word given. */
export interface TaskSearch {
  readonly state?: TaskState;
  /** Only those that have not ended. */
  readonly live?: boolean;
  /** A subject, whichever issuer vouches for it. */
  readonly agent?: string;
  /** One of these. */
  readonly agents?: readonly WorkloadId[];
  readonly purpose?: string;
  readonly cursor?: string;
  readonly limit: number;
}

export interface ApprovalFilter {
  readonly waiting: boolean;
  readonly matches: (task: Task) => boolean;
  readonly cursor?: string;
  readonly limit: number;
}

/** Which leases are wanted: those that match every word given. */
export interface LeaseFilter {
  readonly state?: LeaseState;
  /** Only those that are not final. */
  readonly live?: boolean;
  /** A subject, whichever issuer vouches for it. */
  readonly agent?: string;
  /** One of these. */
  readonly agents?: readonly WorkloadId[];
  readonly provider?: string;
  readonly purpose?: string;
  readonly credential?: string;
  readonly task?: TaskId;
  /** Of this task, or of one below it. */
  readonly tree?: TaskId;
  /** Of a task that was declared in this W3C trace. */
  readonly traceId?: string;
  readonly dueBeforeMs?: EpochMs;
  /** By due time, soonest first: live ones and disclosed ones. It is also the order of live states, of `live` and under `dueBeforeMs`; all else is by creation, newest first. */
  readonly byDueTime?: boolean;
  readonly cursor?: string;
  readonly limit: number;
}

/** A page, and how many there are in all where an index tells. */
export interface CountedPage<T> extends Page<T> {
  readonly total: number | null;
}

/** Whose live leases are looked for, with all that was delegated from there; by subject, whichever issuer vouched for it. A credential's have no tasks of their own. */
export interface LiveIndex {
  readonly task?: TaskId | undefined;
  readonly agent?: string | undefined;
  readonly credential?: string | undefined;
}

export interface LiveIds {
  readonly leases: readonly LeaseId[];
  readonly tasks: readonly TaskId[];
}

/** What the sweep must look at, and since when. */
export interface DueEntry {
  readonly id: LeaseId | TaskId;
  readonly atMs: EpochMs;
}

/** The records of what is due. */
export interface DueItems {
  readonly leases: readonly Lease[];
  readonly tasks: readonly Task[];
}

/** Counts over the whole ledger. */
export interface LedgerSnapshot {
  readonly live: number;
  /** How many live leases fall due within each time that was asked about; the overdue are not among them. */
  readonly within: readonly number[];
  readonly overdue: number;
  readonly oldestOverdueMs: number;
  /** Overdue past their budget, or refused for good; most are among the overdue. */
  readonly stuck: number;
  /** To be ended, and left to their target's clock, since nothing else ends them; overdue only once that should have. */
  readonly lapsing: number;
  /** Retained leases of static secrets that were opened. */
  readonly disclosed: number;
  /** How late revocations were in the last hour and day, and what is left of the objective. */
  readonly lateness: { readonly hour: Lateness; readonly day: Lateness; readonly budget: LatenessBudget };
  /** Denials of the last hour and day. */
  readonly denials: { readonly hour: number; readonly day: number };
  /** Age of the oldest event that is not in the audit file. */
  readonly auditLagMs: number;
  /** Tasks that have not ended. */
  readonly tasks: readonly { readonly state: TaskState; readonly count: number }[];
  /** The live ones of each kind that was asked about. */
  readonly byKind: readonly (CountedKind & { readonly live: number; readonly within: readonly number[] })[];
}

/**
 * The record of every task and lease. Each method is one atomic step or a read. Methods that grant throw
 * `ledger_unavailable`, `clock_skewed`, `audit_behind`, `held`, `locked` or `task_not_active`, and have then written nothing.
 * A record that fails its seal throws `TamperedRecord`.
 */
export interface Ledger extends RevocationRecords, ReconciliationRecords, AgentRecords, SingleUse, NoticeRecords, SessionRecords {
  /** Room under an agent's limit, and its counters as they were before, `purpose` being what it asks for now. */
  reserve(agent: WorkloadId, purpose: string, leases: readonly { id: LeaseId; dueAtMs: EpochMs }[], limit: number): Promise<Reservation>;
  /** One more denial of a workload in a row, and the end of such a row. */
  countDenial(workload: WorkloadId): Promise<void>;
  forgetDenials(workload: WorkloadId): Promise<void>;
  release(agent: WorkloadId, leases: readonly LeaseId[]): Promise<void>;
  /** Takes leases back out of the grants of the last hour: nothing was asked of a provider. */
  uncount(agent: WorkloadId, purpose: string, leases: readonly LeaseId[]): Promise<void>;
  /** Leases that live longer keep their room as long. */
  prolong(agent: WorkloadId, leases: readonly { id: LeaseId; dueAtMs: EpochMs }[]): Promise<void>;
  /** Room among what falls due at a provider; false where more would fall due at once than `perSecond` can end. */
  reserveDue(provider: string, leases: readonly { id: LeaseId; dueAtMs: EpochMs }[], perSecond: number): Promise<boolean>;
  releaseDue(provider: string, leases: readonly LeaseId[]): Promise<void>;
  /** How many leases of a provider fall due in each of the next sixty minutes. */
  dueForecast(provider: string, nowMs: EpochMs): Promise<readonly number[]>;
  /** Room for a task that waits, with its declarer; false when there is none. */
  reserveWaiting(declarer: WorkloadId, state: WaitingState, task: TaskId, untilMs: EpochMs, limit: number): Promise<boolean>;
  releaseWaiting(declarer: WorkloadId, state: WaitingState, task: TaskId): Promise<void>;

  /** Takes the slot of a request that may be repeated, or says what became of the first. */
  takeSlot(slot: IdempotencySlot): Promise<IdempotencyState>;
  /** Nothing was granted: the same request may be made afresh. */
  giveBackSlot(slot: HeldSlot): Promise<void>;

  /** Writes the task as `minting` with its intents, before anything is minted. */
  declareTask(
    envelope: TaskEnvelope,
    intents: readonly LeaseIntent[],
    by: WorkloadId,
    facts: Readonly<Record<string, unknown>>,
    slot?: HeldSlot,
  ): Promise<Task>;
  /**
   * Writes a task that waits for a human or for its agent. It ends by itself at `waitsUntilMs`. A delegated one is written
   * only while its parent and their tree are as they were read; else `TreeChanged`.
   */
  parkTask(
    envelope: TaskEnvelope,
    state: WaitingState,
    by: WorkloadId,
    facts: Readonly<Record<string, unknown>>,
    slot?: HeldSlot,
    under?: Delegation,
  ): Promise<Task>;
  /**
   * Writes one human's approval into a task that waits for it; the last that is needed makes it wait for its claim. Null when the
   * task changed meanwhile.
   */
  approveTask(task: Task, approval: Approval, claimUntilMs: EpochMs): Promise<Task | null>;
  /** Ends a task that waits for approval, because a human said no. Null when it changed meanwhile. */
  denyTask(task: Task, denial: Approval): Promise<Task | null>;
  /** Writes a waiting task as `minting` with its intents, while its tree is as it was decided on; else `TreeChanged`. Null when it changed meanwhile: somebody else claimed it, or it ended. */
  claimTask(
    task: Task,
    claim: { readonly expiresAtMs: EpochMs; readonly instance: string | null; readonly decision: DecisionSummary; readonly tree: TaskTree },
    intents: readonly LeaseIntent[],
    by: WorkloadId,
    facts: Readonly<Record<string, unknown>>,
    slot?: HeldSlot,
  ): Promise<Task | null>;
  /** Writes one more intent inside an active task, while its tree is as it was decided on; else `TreeChanged`. */
  intendCredential(task: Task, tree: TaskTree, intent: LeaseIntent, by: WorkloadId, facts: Readonly<Record<string, unknown>>, slot?: HeldSlot): Promise<Task>;
  /** Records the handles; `refused` when the task ended meanwhile: the minter must then revoke. */
  activate(taskId: TaskId, minted: readonly MintedLease[], by: WorkloadId): Promise<'active' | 'refused'>;
  /**
   * Records how each lease of a failed grant ended, and ends the task where the grant was all it had. Answers the leases that
   * nobody will end any more, being recorded as ended already or not at all: what was minted for them, the minter must end.
   */
  failGrant(grant: {
    readonly taskId: TaskId;
    readonly leases: readonly FailedLease[];
    readonly endsTask: boolean;
    readonly by: WorkloadId;
    /** In our own words; goes on the record. */
    readonly failure: string;
  }): Promise<readonly LeaseId[]>;
  /**
   * Records how long each target may be made to keep a credential, before it is asked to. Answers the leases as they
   * then are, or null when one changed meanwhile: it is being revoked, and must not be renewed.
   */
  intendRenewal(leases: readonly { readonly lease: Lease; readonly lapsesAtMs: EpochMs }[], by: WorkloadId): Promise<readonly Lease[] | null>;
  /** Moves the end of a task and of its renewed leases. Null when task or lease changed meanwhile: nothing lives longer then. */
  extendTask(
    task: Task,
    expiresAtMs: EpochMs,
    renewals: readonly Renewal[],
    by: WorkloadId,
    facts: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly task: Task; readonly leases: readonly Lease[] } | null>;
  /** The agent or its orchestrator was heard from. Null when there is no such task. */
  heartbeat(id: TaskId): Promise<Task | null>;

  /** Ends a task and all below it in one step, and asks for the end of their leases. Repeating it changes nothing. Null when there is no such task. */
  endTask(id: TaskId, reason: EndReason, by: WorkloadId, facts?: Readonly<Record<string, unknown>>): Promise<Task | null>;
  /** Asks for the end of one lease. Repeating it changes nothing. Null when there is no such lease. */
  endLease(id: LeaseId, reason: RevocationReason, by: WorkloadId, facts?: Readonly<Record<string, unknown>>): Promise<Lease | null>;
  /** What a person asks for, applied to the lease as it is by now, where its state allows it. Answers the lease as it then is; null when there is none. */
  changeLease(
    id: LeaseId,
    change: Extract<LeaseChange, { type: 'end_requested' | 'retry_requested' | 'acknowledged' }>,
    by: WorkloadId,
    facts?: Readonly<Record<string, unknown>>,
  ): Promise<Lease | null>;
  /** Applies a change to a lease as it was read; `conflict` when somebody was quicker. Ends the task after its last lease. */
  settle(lease: Lease, change: LeaseChange, by: WorkloadId, claimUntilMs?: EpochMs): Promise<'ok' | 'conflict'>;
  /** Ends `ending` tasks whose leases are all final. */
  finishTask(id: TaskId): Promise<void>;

  /** What must be looked at in a shard by `nowMs`, the longest due first, at most `limit` items. */
  due(shard: Shard, nowMs: EpochMs, limit: number): Promise<readonly DueEntry[]>;
  /** Reads what is due. What is gone or fails its seal is told, taken out of the sweep's way and left out. */
  dueItems(shard: Shard, ids: readonly (LeaseId | TaskId)[]): Promise<DueItems>;
  /** Whether a grant was made within about the last second, by any process. */
  isGranting(): Promise<boolean>;
  /** Takes leases out of the sweep until `untilMs`; answers those that nobody else took first. */
  claim(shard: Shard, leases: readonly LeaseId[], nowMs: EpochMs, untilMs: EpochMs): Promise<readonly LeaseId[]>;
  /** Puts back leases that could not be worked on. */
  wake(leases: readonly LeaseId[], atMs: EpochMs): Promise<void>;

  getTask(id: TaskId): Promise<Task | null>;
  /** What is kept of the tree of a root task; null before anything is. */
  getTree(root: TaskId): Promise<TaskTree | null>;
  /** What was delegated below a task; `tree` is null where it fails its seal, which is told. */
  tasksBelow(task: Pick<Task, 'id' | 'root' | 'agent'>): Promise<{ readonly tree: TaskTree | null; readonly ids: readonly TaskId[] }>;
  /** Null for what is missing, and for what fails its seal, which is told. */
  getTasks(ids: readonly TaskId[]): Promise<readonly (Task | null)[]>;
  getLease(id: LeaseId): Promise<Lease | null>;
  getLeases(ids: readonly LeaseId[]): Promise<readonly (Lease | null)[]>;
  leasesOfTask(id: TaskId): Promise<readonly Lease[]>;
  listTasks(filter: TaskFilter): Promise<Page<Task>>;
  /** Tasks of anybody, newest first. */
  searchTasks(filter: TaskSearch): Promise<CountedPage<Task>>;
  /** A task and all below it, each after its parent; empty where there is no such task. */
  treeFrom(id: TaskId): Promise<readonly Task[]>;
  /** Tasks that humans were asked about: those that still wait, oldest first, or all, newest first. */
  listApprovals(filter: ApprovalFilter): Promise<Page<Task>>;
  listLeases(filter: LeaseFilter): Promise<CountedPage<Lease>>;
  /** Tasks that have not ended and leases that are not final, of one shard: those of a task, of an agent, of a credential, or all. */
  liveIn(shard: Shard, index?: LiveIndex): Promise<LiveIds>;
  /** Revoked leases that are not dead by their own end yet, and that their target only keeps out by an order of ours. */
  keptOut(nowMs: EpochMs): Promise<readonly Lease[]>;
  snapshot(nowMs: EpochMs, counted: { readonly kinds: readonly CountedKind[]; readonly withinMs: readonly number[] }): Promise<LedgerSnapshot>;

  /** Writes a lock to every shard; once it answers, nothing it covers is granted or activated. Throws `limit_exceeded`. */
  saveLock(lock: Lock): Promise<void>;
  /** Lifts a lock everywhere; null when there is none. */
  liftLock(id: LockId, by: WorkloadId): Promise<Lock | null>;
  /** Locks in force, oldest first. */
  listLocks(): Promise<readonly LockStatus[]>;
  /** Throws `locked` where a lock covers this now, and `held`. Each granting step looks by itself, too. */
  refuseWhereLocked(scope: GrantScope, by: WorkloadId): Promise<void>;

  /** Looks whether the ledger lost records, and holds where it did. The hold in force, or null. */
  currentHold(): Promise<Hold | null>;
  /** Ends the hold; answers it, or null where there is none. */
  releaseHold(by: WorkloadId, reason: string): Promise<Hold | null>;

  getRevocation(id: RevocationId): Promise<RevocationRecord | null>;

  /** Appends an event that belongs to no transition, such as a denial. `guarded`: throws when the audit log is behind. */
  recordEvent(event: {
    readonly shard: Shard;
    readonly type: AuditEventType;
    readonly task?: TaskId | null;
    readonly leases?: readonly LeaseId[];
    readonly agent?: WorkloadId | null;
    readonly by: WorkloadId;
    readonly facts: Readonly<Record<string, unknown>>;
  }): Promise<void>;

  /** Forgets final records older than the retention time. */
  prune(nowMs: EpochMs): Promise<void>;
  ping(): Promise<void>;
}
