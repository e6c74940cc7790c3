import type { DecisionId, TaskId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';

export const TASK_STATES = ['pending_approval', 'pending_claim', 'minting', 'active', 'ending', 'ended'] as const;
export type TaskState = (typeof TASK_STATES)[number];

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
  readonly policyVersion: string;
  readonly inputDigest: string;
}

/** The envelope of a task: fixed when it is declared, sealed against a writer in Redis. */
export interface TaskEnvelope {
  readonly id: TaskId;
  readonly parent: TaskId | null;
  readonly root: TaskId;
  readonly agent: WorkloadId;
  readonly declarer: WorkloadId;
  readonly instance: string | null;
  readonly purpose: string;
  readonly justification: string | null;
  readonly ticket: string | null;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly evidence: Evidence;
  readonly createdAtMs: EpochMs;
  readonly expiresAtMs: EpochMs;
  /** How often the agent or its orchestrator promised to be heard; null where no heartbeat was asked for. */
  readonly heartbeatSeconds: number | null;
  readonly decision: DecisionSummary;
}

/** A declared unit of work; it owns its leases. */
export interface Task extends TaskEnvelope {
  readonly state: TaskState;
  /** Goes up with every transition; a change names the generation it was based on. */
  readonly generation: number;
  /** When the next heartbeat is due at the latest; null without heartbeats. */
  readonly heartbeatDueAtMs: EpochMs | null;
  readonly endReason: EndReason | null;
  readonly endedAtMs: EpochMs | null;
}
