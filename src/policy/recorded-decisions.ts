import type { ChainRecord } from '../audit/hash-chain.ts';
import type { AuditEvent } from '../audit/audit-event.ts';
import { z } from 'zod';
import { digestOf } from '../core/canonical-json.ts';
import { requestFor } from './cedar-request.ts';
import type { Decision, PolicyQuestion } from './decision.ts';
import { parseRecordedQuestion } from './recorded-question.ts';

/** A decision as the audit log has it, with the questions it answered. */
export interface RecordedDecision {
  readonly kind: 'decision';
  readonly seq: number;
  readonly at: string;
  readonly type: AuditEvent['type'];
  readonly task: string | null;
  readonly agent: string;
  readonly purpose: string;
  readonly id: string;
  readonly result: Decision['result'];
  readonly policies: readonly string[];
  readonly policyVersion: string;
  readonly questions: readonly PolicyQuestion[];
}

/**
 * Why a decision on the record cannot be asked again. `not_recorded`: its questions are not there (an older broker wrote it, or
 * they were too large). `unreadable`: they are not questions as this version knows them. `other_digest`: put together, they are
 * not what was asked.
 */
export type Unreplayable = 'not_recorded' | 'unreadable' | 'other_digest';

export interface UnreplayableDecision {
  readonly kind: 'unreplayable';
  readonly reason: Unreplayable;
  readonly seq: number;
  readonly at: string;
  readonly task: string | null;
  readonly agent: string;
  readonly purpose: string;
  readonly id: string | null;
}

const result = z.enum(['permit', 'deny', 'approval_required']);
const decision = z.object({ id: z.string(), result, policies: z.array(z.string()), policy_version: z.string(), question: z.unknown().optional() });
const part = z.object({ input_digest: z.string(), policies: z.array(z.string()).default([]), question: z.unknown().optional() });
const external = z.object({ verdict: z.string() });

/** The decision that a record tells of; undefined where it tells of none. Never throws, whatever is in the record. */
export function recordedDecision({ seq, event }: ChainRecord): RecordedDecision | UnreplayableDecision | undefined {
  if (!('facts' in event)) return undefined;
  const said = event.facts['decision'];
  // An extra credential has always been a decision, but was not always recorded as one. Elsewhere a plain word is a human's answer.
  if (typeof said !== 'object' || said === null) return event.type === 'lease.intended' ? unreplayable('not_recorded', seq, event, null) : undefined;
  const parsed = decision.safeParse(said);
  const id = parsed.success ? parsed.data.id : null;
  const parts = z.array(part).min(1).safeParse(event.facts['parts']);
  if (!parsed.success || !parts.success) return unreplayable('unreadable', seq, event, id);
  const { question: shared, result: answered, policies, policy_version: policyVersion } = parsed.data;
  if (parts.data.some(({ question }) => question === undefined || question === null)) return unreplayable('not_recorded', seq, event, id);
  const questions = parts.data.map(({ question }) => parseRecordedQuestion(shared, question));
  if (!questions.every((one) => one !== undefined)) return unreplayable('unreadable', seq, event, id);
  if (!questions.every((one, index) => digestOfQuestion(one) === parts.data[index]?.input_digest)) return unreplayable('other_digest', seq, event, id);
  // Another decision point is asked only where policy permits: what it made of that is not an answer of policy.
  const own = external.safeParse(event.facts['external']).success ? ({ result: 'permit', policies: [...new Set(parts.data.flatMap((one) => one.policies))].sort() } as const) : { result: answered, policies };
  return { kind: 'decision', seq, ...about(event), type: event.type, id: parsed.data.id, ...own, policyVersion, questions };
}

const unreplayable = (reason: Unreplayable, seq: number, event: AuditEvent, id: string | null): UnreplayableDecision => ({ kind: 'unreplayable', reason, seq, ...about(event), id });

const about = ({ at, task, agent, facts }: AuditEvent): Pick<RecordedDecision, 'at' | 'task' | 'agent' | 'purpose'> => ({
  at,
  task,
  agent: agent?.subject ?? '',
  purpose: typeof facts['purpose'] === 'string' ? facts['purpose'] : '',
});

function digestOfQuestion(question: PolicyQuestion): string | null {
  try {
    return digestOf(requestFor(question));
  } catch {
    return null;
  }
}
