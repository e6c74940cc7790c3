import type { AgentTag } from '../agents/agent-directory.ts';
import { rfc3339OrNull, toRfc3339 } from '../core/time.ts';
import type { ExtendedTask } from '../grant/extend-task.ts';
import type { Granted } from '../grant/mint-leases.ts';
import type { Lease } from '../ledger/lease.ts';
import { approvedBasis } from '../task/approval.ts';
import type { Task } from '../task/task.ts';
import { traceIdOf } from '../telemetry/trace-context.ts';
import type { Answer } from './answer-schemas.ts';
import type { completedSchema, credentialSchema, extensionSchema, handoverSchema, taskSchema } from './task-schemas.ts';

/** A task as callers see it. The agent is shown by its subject; the issuer that vouched for it stands beside it. */
export const taskView = (task: Task): Answer<typeof taskSchema> => ({
  id: task.id,
  state: task.state,
  end_reason: task.endReason,
  agent: task.agent.subject,
  agent_issuer: task.agent.issuer,
  declarer: task.declarer.subject,
  purpose: task.purpose,
  justification: task.justification,
  ticket: task.ticket,
  actions: task.actions,
  data_classes: task.dataClasses,
  context: task.context,
  evidence: approvedBasis(task).evidence,
  approvals: task.approval?.given.length ?? 0,
  approvals_needed: task.approval?.needed ?? 0,
  vouched_by: task.vouchedBy,
  subject: task.subject,
  chain: task.chain.map(({ task: id, subject }) => ({ task: id, agent: subject })),
  parent: task.parent,
  root: task.root,
  created_at: toRfc3339(task.createdAtMs),
  started_at: rfc3339OrNull(task.startedAtMs),
  waits_until: rfc3339OrNull(task.waitsUntilMs),
  ttl_seconds: task.ttlSeconds,
  expires_at: toRfc3339(task.expiresAtMs),
  ended_at: rfc3339OrNull(task.endedAtMs),
  heartbeat_seconds: task.heartbeatSeconds,
  trace_id: traceIdOf(task.traceparent),
  decision: {
    id: task.decision.id,
    result: task.decision.result,
    approvals_needed: task.decision.approvalsNeeded,
    policies: task.decision.policies,
    policy_version: task.decision.policyVersion,
    input_digest: task.decision.inputDigest,
  },
});

/** The same for operators: with who answers for its agent. */
export const seenTaskView = (task: Task, { owner, reviewOverdue, disabled }: AgentTag): Answer<typeof taskSchema> => ({
  ...taskView(task),
  owner,
  review_overdue: reviewOverdue,
  agent_disabled: disabled,
});

/** A lease inside its task's answer; never a secret. */
export const credentialView = (lease: Lease): Answer<typeof credentialSchema> => ({
  name: lease.credential,
  lease_id: lease.id,
  kind: lease.kind,
  state: lease.state,
  expires_at: toRfc3339(lease.dueAtMs),
  target_expires_at: rfc3339OrNull(lease.targetExpiresAtMs),
  revocability: lease.revocability,
});

/** A lease that ended with a task: its own, or one of a task below it, which is then named. */
export const completedView = (lease: Lease, task: Task): Answer<typeof completedSchema> => ({ ...credentialView(lease), ...(lease.taskId === task.id ? {} : { task_id: lease.taskId }) });

/** A lease after an extension of its task. */
export const extensionView = ({ lease, extension }: ExtendedTask['leases'][number]): Answer<typeof extensionSchema> => ({ ...credentialView(lease), extension });

/** A credential at the moment it is handed over. The one place where a secret is written into an answer. */
export const handoverView = ({ intent, secret, targetExpiresAtMs }: Granted): Answer<typeof handoverSchema> => ({
  name: intent.credential,
  lease_id: intent.id,
  kind: intent.kind,
  state: 'active',
  expires_at: toRfc3339(intent.dueAtMs),
  target_expires_at: toRfc3339(targetExpiresAtMs),
  revocability: intent.revocability,
  secret: Object.fromEntries(Object.entries(secret).map(([field, value]) => [field, value.expose()])),
});
