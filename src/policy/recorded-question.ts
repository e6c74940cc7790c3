import { z } from 'zod';
import { epochMsFrom, fromRfc3339, toRfc3339 } from '../core/time.ts';
import { POLICY_ACTIONS } from './compile-policies.ts';
import type { PolicyQuestion } from './decision.ts';

/** A question in plain JSON, in the words of `policy-ask.ts`. It holds no secret and no free text, because a question has none. */
export type RecordedQuestion = Readonly<Record<string, unknown>>;

/** What is kept of the questions of one decision: once what they share, and for each what is its own. */
export interface RecordedQuestions {
  readonly shared: RecordedQuestion;
  readonly own: readonly RecordedQuestion[];
}

/** A request's body is smaller, so this is met only where a credential takes many long parameters and a task holds many. */
const MAX_BYTES = 96 * 1024;

/** The questions of one decision for the audit log, without loss; null where they are too large to be kept, or cannot be written. */
export function recordQuestions(questions: readonly PolicyQuestion[]): RecordedQuestions | null {
  let recorded: RecordedQuestion[];
  try {
    recorded = questions.map(recordQuestion);
  } catch {
    // Such a question was denied with a fault, and the denial must still get on the record.
    return null;
  }
  const [first = {}, ...others] = recorded;
  const isShared = ([name, value]: [string, unknown]): boolean => others.every((other) => Object.hasOwn(other, name) && JSON.stringify(other[name]) === JSON.stringify(value));
  const shared = Object.fromEntries(others.length === 0 ? [] : Object.entries(first).filter(isShared));
  const own = recorded.map((question) => Object.fromEntries(Object.entries(question).filter(([name]) => !Object.hasOwn(shared, name))));
  return Buffer.byteLength(JSON.stringify([shared, own])) > MAX_BYTES ? null : { shared, own };
}

/** One question of a decision, put together again; undefined for what is none, or lacks a part. */
export function parseRecordedQuestion(shared: unknown, own: unknown): PolicyQuestion | undefined {
  const members = z.record(z.string(), z.unknown());
  const [some, rest] = [members.safeParse(shared ?? {}), members.safeParse(own)];
  if (!some.success || !rest.success) return undefined;
  const parsed = recordedQuestion.safeParse({ ...some.data, ...rest.data });
  return parsed.success ? questionFrom(parsed.data) : undefined;
}

const recordQuestion = (question: PolicyQuestion): z.input<typeof recordedQuestion> => ({
  action: question.action,
  agent: question.principal.subject,
  issuer: question.principal.issuer,
  agent_facts: {
    registered: question.agentFacts.registered,
    owner: question.agentFacts.owner,
    purposes: [...question.agentFacts.purposes],
    environments: [...question.agentFacts.environments],
    review_overdue: question.agentFacts.reviewOverdue,
  },
  for_agent: question.forAgent ?? null,
  credential: question.credential.name,
  credential_facts: {
    provider: question.credential.provider,
    kind: question.credential.kind,
    revocability: question.credential.revocability,
    owner: question.credential.owner,
  },
  purpose: question.purpose,
  actions: [...question.actions],
  data_classes: [...question.dataClasses],
  evidence: question.evidence,
  vouched_by: question.vouchedBy,
  subject: question.subject,
  approvals: question.approvals,
  risk: question.risk,
  ticket: question.ticket,
  params: question.params,
  context: question.context,
  ttl_seconds: question.ttlSeconds,
  delegation_depth: question.delegationDepth,
  delegation_chain: [...question.delegationChain],
  tool: question.tool,
  touched: [...question.touched],
  environment: question.environment,
  sender_bound: question.senderBound,
  live_leases: question.liveLeases,
  grants_last_hour: question.grantsLastHour,
  purpose_grants_last_hour: question.purposeGrantsLastHour,
  denials_in_a_row: question.denialsInARow,
  at: toRfc3339(question.nowMs),
});

const text = z.string();
const words = z.array(text);
const count = z.int();
const scalars = z.record(text, z.union([text, z.number(), z.boolean()]));

/** Every member is required: a question with a gap filled in would be another question. */
const recordedQuestion = z.strictObject({
  action: z.enum(POLICY_ACTIONS as [PolicyQuestion['action'], ...PolicyQuestion['action'][]]),
  agent: text,
  issuer: text,
  agent_facts: z.strictObject({ registered: z.boolean(), owner: text, purposes: words, environments: words, review_overdue: z.boolean() }),
  for_agent: text.nullable(),
  credential: text,
  credential_facts: z.strictObject({ provider: text, kind: text, revocability: z.enum(['exact', 'eventual', 'none']), owner: text }),
  purpose: text,
  actions: words,
  data_classes: words,
  evidence: z.enum(['self_declared', 'orchestrator_signed', 'user_consented', 'approved']),
  vouched_by: text.nullable(),
  subject: text.nullable(),
  approvals: count,
  risk: count,
  ticket: text.nullable(),
  params: scalars,
  context: scalars,
  ttl_seconds: count,
  delegation_depth: count,
  delegation_chain: words,
  tool: text.nullable(),
  touched: words,
  environment: text,
  sender_bound: z.boolean(),
  live_leases: count,
  grants_last_hour: count,
  purpose_grants_last_hour: count,
  denials_in_a_row: count,
  at: text.refine((value) => fromRfc3339(value) !== undefined),
});

const questionFrom = (recorded: z.output<typeof recordedQuestion>): PolicyQuestion => ({
  action: recorded.action,
  principal: { issuer: recorded.issuer, subject: recorded.agent },
  agentFacts: {
    registered: recorded.agent_facts.registered,
    owner: recorded.agent_facts.owner,
    purposes: recorded.agent_facts.purposes,
    environments: recorded.agent_facts.environments,
    reviewOverdue: recorded.agent_facts.review_overdue,
  },
  ...(recorded.for_agent === null ? {} : { forAgent: recorded.for_agent }),
  credential: { name: recorded.credential, ...recorded.credential_facts },
  purpose: recorded.purpose,
  actions: recorded.actions,
  dataClasses: recorded.data_classes,
  evidence: recorded.evidence,
  vouchedBy: recorded.vouched_by,
  subject: recorded.subject,
  approvals: recorded.approvals,
  risk: recorded.risk,
  ticket: recorded.ticket,
  params: recorded.params,
  context: recorded.context,
  ttlSeconds: recorded.ttl_seconds,
  delegationDepth: recorded.delegation_depth,
  delegationChain: recorded.delegation_chain,
  tool: recorded.tool,
  touched: recorded.touched,
  environment: recorded.environment,
  senderBound: recorded.sender_bound,
  liveLeases: recorded.live_leases,
  grantsLastHour: recorded.grants_last_hour,
  purposeGrantsLastHour: recorded.purpose_grants_last_hour,
  denialsInARow: recorded.denials_in_a_row,
  nowMs: epochMsFrom(Date.parse(recorded.at)),
});
