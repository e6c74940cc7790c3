import { z } from 'zod';
import { instant, instantOrNull, pageOf } from './answer-schemas.ts';

const text = z.string();
const textOrNull = z.string().nullable();
const words = z.array(z.string());
const seq = z.int().min(1).describe('the audit record it began with');

const decision = {
  at: instant,
  what: text.describe('the event: `task.declared`, `task.claimed`, `credential.denied`, ...'),
  by: text.describe('who asked; of what a human decided, that human'),
  result: text.describe('`permit`, `deny` or `approval_required` by policy; `approved` or `denied` by a human; `refused` or `locked` without asking policy'),
  decision: textOrNull.describe('its id, where policy decided'),
  policies: words.describe('the policies that decided'),
  policy_version: textOrNull,
  reasons: words.describe('why it was refused, or what a human noted'),
  parts: z
    .array(z.strictObject({ credential: textOrNull, action: textOrNull, result: textOrNull, policies: words }))
    .describe('what was decided of each credential'),
};

const lease = z
  .strictObject({
    lease: text,
    credential: text,
    provider: textOrNull,
    revocability: textOrNull,
    granted_at: instantOrNull.describe('null where it was never handed over'),
    due_at: instantOrNull.describe('when it was to be dead'),
    ended_at: instantOrNull,
    outcome: text.describe('`revoked`, `lapsed`, `abandoned`, `disclosed`, `stuck`, or `live` where no end is on the record'),
    reason: textOrNull.describe('why it ended'),
    verified_at: instantOrNull.describe('when the target, asked again, knew it no longer'),
    effective_by: instantOrNull.describe('by when the target enforces its end everywhere'),
    exposure_seconds: z.number().nullable().describe('how long it was usable after it should have been dead, at most'),
    tool_call: textOrNull.describe('the tool it was asked for'),
  })
  .meta({ id: 'AuditStoryLease' });

const task = z
  .strictObject({
    kind: z.literal('task'),
    seq,
    task: text,
    root: text,
    parent: textOrNull,
    agent: text,
    owner: textOrNull.describe('who answers for the agent'),
    chain: words.describe('whom its authority came through, the first first'),
    declarer: text,
    evidence: text.describe('whose word it rests on'),
    vouched_by: textOrNull,
    subject: textOrNull.describe('on whose behalf'),
    purpose: text,
    justification: textOrNull,
    ticket: textOrNull,
    actions: words,
    data_classes: words,
    credentials: words.describe('those declared'),
    trace_id: textOrNull,
    declared_at: instant,
    decisions: z.array(z.strictObject(decision).meta({ id: 'AuditStoryDecision' })),
    leases: z.array(lease),
    tool_calls: z.array(z.strictObject({ at: instant, id: textOrNull, tool: textOrNull, outcome: textOrNull, credential: textOrNull })).describe('what the agent says it did'),
    handed_on: z.array(z.strictObject({ at: instant, task: text, agent: text })).describe('tasks that it delegated'),
    ended_at: instantOrNull,
    end_reason: textOrNull,
    ended_by: textOrNull,
  })
  .meta({ id: 'AuditStoryTask', description: 'a task, as the audit log tells it' });

const refusal = z
  .strictObject({
    kind: z.literal('refusal'),
    seq,
    ...decision,
    agent: textOrNull,
    purpose: textOrNull,
    actions: words,
    data_classes: words,
    credentials: words,
  })
  .meta({ id: 'AuditStoryRefusal', description: 'a refusal that made no task' });

export const agentStorySchema = pageOf(z.discriminatedUnion('kind', [task, refusal]))
  .extend({
    agent: text,
    since: instant,
    until: instant,
    record_begins_at: instantOrNull.describe('when the oldest record that is here was sealed; nothing is known of before'),
  })
  .meta({ id: 'AuditStory' });
