import type { EventId, LeaseId, TaskId } from '../core/ids.ts';
import type { WorkloadId } from '../identity/caller.ts';

/** Every step on the record. Names are `<thing>.<what happened to it>`. */
export type AuditEventType =
  | 'task.declared'
  | 'task.denied'
  | 'evidence.refused'
  | 'notice.disabled'
  | 'signal.received'
  | 'signal.ignored'
  | 'webhook.disabled'
  | 'webhook.enabled'
  | 'webhook.tested'
  | 'task.approved'
  | 'task.approval_denied'
  | 'task.approval_refused'
  | 'task.claimed'
  | 'task.claim_refused'
  | 'delegation.refused'
  | 'task.activated'
  | 'task.extended'
  | 'extension.denied'
  | 'task.ending'
  | 'task.ended'
  | 'credential.denied'
  | 'lease.intended'
  | 'lease.activated'
  | 'lease.renewing'
  | 'lease.renewed'
  | 'lease.abandoned'
  | 'lease.revoking'
  | 'lease.revoked'
  | 'lease.lapsed'
  | 'lease.disclosed'
  | 'lease.acknowledged'
  | 'lease.lapsing'
  | 'lease.revocation_failed'
  | 'lease.stuck'
  | 'tool_call.reported'
  | 'orphan.found'
  | 'orphan.revoked'
  | 'orphan.disclosed'
  | 'orphan.waiting'
  | 'lease.missing'
  | 'lease.undone'
  | 'reconciliation.requested'
  | 'revocation.requested'
  | 'revocation.selected'
  | 'revocation.cancelled'
  | 'revocation.completed'
  | 'lock.created'
  | 'lock.lifted'
  | 'lock.expired'
  | 'grant.locked'
  | 'agent.registered'
  | 'agent.changed'
  | 'agent.disabled'
  | 'agent.enabled'
  | 'hold.opened'
  | 'hold.released'
  | 'hold.expired'
  | 'record.tampered'
  | 'session.opened'
  | 'session.refused'
  | 'session.ended'
  | 'sessions.ended'
  | 'policy.reloaded'
  | 'policy.reload_refused'
  | 'policy.shadow_reloaded'
  | 'policy.shadow_refused'
  | 'broker.started'
  | 'broker.stopped';

/** One event, as the ledger's script appends it in the same step as the transition. Never holds a secret. */
export interface AuditEvent {
  readonly id: EventId;
  /** RFC 3339. */
  readonly at: string;
  readonly type: AuditEventType;
  readonly task: TaskId | null;
  readonly leases: readonly LeaseId[];
  /** Whose authority is at stake. */
  readonly agent: WorkloadId | null;
  /** Who did it: a workload, an operator, or the broker's own part, as `{issuer: "mayfly", subject: "due-sweep"}`. */
  readonly by: WorkloadId;
  /** The W3C trace id of the request that did it, or, for what the broker did by itself, of the task's declaration; null where there is neither, absent in events of before it was kept. */
  readonly trace_id?: string | null;
  /** Facts of this event type: purpose, decision, reason, credential, provider. Plain JSON. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** An event ready for the stream: its JSON and the HMAC that tells it from one a writer in Redis made up. */
export interface SealedEvent {
  readonly json: string;
  readonly mac: string;
}
