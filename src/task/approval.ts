import { digestOf } from '../core/canonical-json.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { Evidence, RequestedCredential, Task, TaskEnvelope } from './task.ts';

/** All that was declared, in the words of the interface: what a human reads, and what the digest is over. */
export function declaredEnvelope(task: Omit<TaskEnvelope, 'decision'>) {
  const who = ({ issuer, subject }: WorkloadId): { issuer: string; subject: string } => ({ issuer, subject });
  return {
    task: task.id,
    parent: task.parent,
    agent: who(task.agent),
    declarer: who(task.declarer),
    subject: task.subject,
    vouched_by: task.vouchedBy,
    chain: task.chain.map(who),
    purpose: task.purpose,
    justification: task.justification,
    ticket: task.ticket,
    actions: task.actions,
    data_classes: task.dataClasses,
    context: task.context,
    ttl_seconds: task.ttlSeconds,
    heartbeat_seconds: task.heartbeatSeconds,
    credentials: task.credentials.map(({ name, ttlSeconds, params }) => ({ name, ttl_seconds: ttlSeconds, params })),
  };
}

/** `sha256:` digest over the canonical JSON (RFC 8785) of the declared envelope: what an approval is bound to. */
export const envelopeDigest = (task: Omit<TaskEnvelope, 'decision'>): string => digestOf(declaredEnvelope(task));

/** Whose word it is with so many approvals: humans stand in only for a declarer that had nothing but its own. */
export const evidenceWith = (approvals: number, evidence: Evidence): Evidence => (approvals > 0 && evidence === 'self_declared' ? 'approved' : evidence);

/** What policy is told of the humans who stand behind a decision; nothing where none do. */
export interface ApprovedBasis {
  readonly approvals: number;
  readonly evidence: Evidence;
}

/** For the task as a whole: all who approved it, once they are enough. */
export function approvedBasis(task: Task): ApprovedBasis {
  const { needed, given } = task.approval ?? NOBODY_ASKED;
  const approvals = given.length >= needed ? given.length : 0;
  return { approvals, evidence: evidenceWith(approvals, task.evidence) };
}

const NOBODY_ASKED = { needed: 0, given: [] };

/** For one credential: those who approved the task, if the credential is one that they saw; nobody for any other. */
export function approvedBasisFor(task: Task, wanted: RequestedCredential): ApprovedBasis {
  const seen = task.credentials.some(
    ({ name, ttlSeconds, params }) => name === wanted.name && wanted.ttlSeconds <= ttlSeconds && digestOf(params) === digestOf(wanted.params),
  );
  return seen ? approvedBasis(task) : { approvals: 0, evidence: task.evidence };
}

/** Whether the task is still, word for word, what every one of enough different humans said yes to. */
export function isAsApproved(task: Task): boolean {
  if (task.approval === null) return true;
  const { needed, given } = task.approval;
  const digest = envelopeDigest(task);
  const people = new Set(given.map(({ by }) => nameOf(by.subject)));
  return people.size >= needed && [task.approval, ...given].every((one) => one.digest === digest);
}

/**
 * Why this human may not decide about the task, or null: whoever asked for it, acts in it or profits from it says neither yes
 * nor no. Compared by subject alone, whichever issuer vouched for it, and without regard to case: refusing one too many costs
 * a colleague's time, one too few the second pair of eyes.
 */
export function ownPart(task: Task, human: WorkloadId): string | null {
  const parts: readonly (readonly [string, string | null])[] = [
    ['its declarer', task.declarer.subject],
    ['its agent', task.agent.subject],
    ['the person it is for', task.subject],
    ['who vouched for it', task.vouchedBy],
    ...task.chain.map(({ subject }) => ['an agent that its authority came through', subject] as const),
  ];
  return parts.find(([, subject]) => subject !== null && nameOf(subject) === nameOf(human.subject))?.[0] ?? null;
}

/** Whether two humans are one, as far as approvals go. */
export const sameHuman = (a: WorkloadId, b: WorkloadId): boolean => nameOf(a.subject) === nameOf(b.subject);

const nameOf = (subject: string): string => subject.normalize('NFKC').trim().toLowerCase();
