import type { DecisionId, TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';

export const TASK_STATES = ['pending_approval', 'pending_claim', 'minting', 'active', 'ending', 'ended'] as const;
export type TaskState = (typeof TASK_STATES)[number];
/** States in which nothing is minted yet: a human or the agent has to act first. */
export type WaitingState = 'pending_approval' | 'pending_claim';
export const isWaiting = (state: TaskState): state is WaitingState => state === 'pending_approval' || state === 'pending_claim';

export type EndReason =
  | 'completed'
  | 'expired'
  | 'revoked'
  | 'denied'
  | 'approval_expired'
  | 'unclaimed'
  | 'heartbeat_lost'
  | 'mint_failed'
  | 'mint_interrupted'
  | 'parent_ended';

/** Whose word the declaration rests on. */
export type Evidence = 'self_declared' | 'orchestrator_signed' | 'user_consented' | 'approved';

/** What policy answered, as it is kept with the task and shown to the caller. */
export interface DecisionSummary {
  readonly id: DecisionId;
  readonly result: 'permit' | 'deny' | 'approval_required';
  readonly policies: readonly string[];
  /** How many humans would have to approve; 0 unless the result is `approval_required`. */
  readonly approvalsNeeded: number;
  readonly policyVersion: string;
  readonly inputDigest: string;
}

/** A credential as it was asked for, kept so that a claim can be decided and minted afresh. */
export interface RequestedCredential {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly params: Readonly<Record<string, string | number | boolean>>;
}

/** One task of a chain of delegations, with the agent that handed a part of it on. */
export interface DelegationLink extends WorkloadId {
  readonly task: TaskId;
}

/**
 * The envelope of a task as declared, sealed against a writer in Redis. A claim sets instance, decision and expiry anew,
 * an extension the expiry; nothing else ever changes.
 */
export interface TaskEnvelope {
  readonly id: TaskId;
  readonly parent: TaskId | null;
  readonly root: TaskId;
  readonly agent: WorkloadId;
  readonly declarer: WorkloadId;
  /** The one instance of the agent that may act on it; null where its token names none, or nobody has claimed it yet. */
  readonly instance: string | null;
  readonly purpose: string;
  readonly justification: string | null;
  readonly ticket: string | null;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly evidence: Evidence;
  /** Who vouched for it where that is not the agent itself: the subject of an orchestrator. */
  readonly vouchedBy: string | null;
  /** The person on whose behalf the agent acts; null where it acts for itself. */
  readonly subject: string | null;
  /** The tasks its authority came through, each with its agent, from the root of the tree to its parent; empty for a root. */
  readonly chain: readonly DelegationLink[];
  readonly credentials: readonly RequestedCredential[];
  readonly createdAtMs: EpochMs;
  /** How long it may live from its start. */
  readonly ttlSeconds: number;
  /** When it ends; while it waits, the latest it can end. */
  readonly expiresAtMs: EpochMs;
  /** Until when a human may approve it, or its agent claim it; null for a task that started at once. */
  readonly waitsUntilMs: EpochMs | null;
  /** SHA-256 of the ticket its claim must show, base64url; null where none was asked for. */
  readonly claimTicketSha256: string | null;
  /** How often the agent or its orchestrator promised to be heard; null where no heartbeat was asked for. */
  readonly heartbeatSeconds: number | null;
  readonly decision: DecisionSummary;
  /** Where in which trace it was declared, as a W3C `traceparent`; absent in records of before it was kept. */
  readonly traceparent?: string;
}

/** One human's yes to exactly one envelope. */
export interface Approval {
  readonly by: WorkloadId;
  readonly atMs: EpochMs;
  readonly note: string | null;
  /** Of the envelope that the human said yes to. */
  readonly digest: string;
}

/** What a task that needs humans waits for, and who said yes so far; under the seal of the task. */
export interface TaskApproval {
  readonly needed: number;
  /** Of the envelope as it was declared. */
  readonly digest: string;
  /** Each human once, in the order they approved. */
  readonly given: readonly Approval[];
}

/** A declared unit of work; it owns its leases. */
export interface Task extends TaskEnvelope {
  readonly state: TaskState;
  /** Goes up with every transition; a change names the generation it was based on. */
  readonly generation: number;
  /** When its lifetime began: at its declaration or its claim; null while it waits. */
  readonly startedAtMs: EpochMs | null;
  /** When the next heartbeat is due at the latest; null without heartbeats. */
  readonly heartbeatDueAtMs: EpochMs | null;
  /** Null for a task that no human was asked about. */
  readonly approval: TaskApproval | null;
  readonly endReason: EndReason | null;
  readonly endedAtMs: EpochMs | null;
}
