import type { AuditEvent } from './audit-event.ts';
import { listOf, recordOf, textOf, wordsOf, type Facts } from './event-facts.ts';
import { leasesOf, type LeaseStory } from './lease-story.ts';

/** What was decided of one credential, within a decision. */
export interface PartStory {
  readonly credential: string | null;
  readonly action: string | null;
  readonly result: string | null;
  readonly policies: readonly string[];
}

/** One thing that was decided: by policy, by a human, or by a rule of the broker's. */
export interface DecisionStory {
  readonly at: string;
  /** The event: `task.declared`, `task.claimed`, `credential.denied`, ... */
  readonly what: string;
  /** Who asked; of what a human decided, that human. */
  readonly by: string;
  readonly result: string;
  readonly decision: string | null;
  readonly policies: readonly string[];
  readonly policy_version: string | null;
  readonly reasons: readonly string[];
  readonly parts: readonly PartStory[];
}

/** What the agent says it did. */
export interface ToolCallStory {
  readonly at: string;
  readonly id: string | null;
  readonly tool: string | null;
  readonly outcome: string | null;
  readonly credential: string | null;
}

/** A task that was handed on from this one. */
export interface ChildStory {
  readonly at: string;
  readonly task: string;
  readonly agent: string;
}

/** What the record says of one task. */
export interface TaskStory {
  readonly task: string;
  readonly root: string;
  readonly parent: string | null;
  readonly agent: string;
  readonly owner: string | null;
  /** Whom the authority came through, the first first. */
  readonly chain: readonly string[];
  readonly declarer: string;
  readonly evidence: string;
  readonly vouched_by: string | null;
  readonly subject: string | null;
  readonly purpose: string;
  readonly justification: string | null;
  readonly ticket: string | null;
  readonly actions: readonly string[];
  readonly data_classes: readonly string[];
  /** Names of the credentials that were declared. */
  readonly credentials: readonly string[];
  readonly trace_id: string | null;
  readonly declared_at: string;
  readonly decisions: readonly DecisionStory[];
  readonly leases: readonly LeaseStory[];
  readonly tool_calls: readonly ToolCallStory[];
  readonly handed_on: readonly ChildStory[];
  readonly ended_at: string | null;
  readonly end_reason: string | null;
  readonly ended_by: string | null;
}

/** A refusal that made no task: what was asked for, and why not. */
export interface RefusalStory extends DecisionStory {
  readonly agent: string | null;
  readonly purpose: string | null;
  readonly actions: readonly string[];
  readonly data_classes: readonly string[];
  readonly credentials: readonly string[];
}

/** Who was allowed what, why, by which rule, on whose word, and when it died: for each task of a tree, parents first. */
export interface TreeStory {
  readonly tasks: readonly TaskStory[];
  /** Refusals that made no task. */
  readonly refusals: readonly RefusalStory[];
}

/** Tells the story of a tree from its records, oldest first. Pure. */
export function tellStory(events: readonly AuditEvent[]): TreeStory {
  const own = Map.groupBy(events, ({ task }) => task);
  const declarations = events.filter(({ type }) => type === 'task.declared');
  const children = Map.groupBy(declarations, ({ facts }) => textOf(facts, 'parent'));
  const tasks = declarations.map((declared) => storyOf(declared, own.get(declared.task) ?? [], children.get(declared.task) ?? []));
  const known = new Set<string | null>(tasks.map(({ task }) => task));
  return { tasks, refusals: events.filter(({ task }) => task === null || !known.has(task)).flatMap(refusalOf) };
}

/** The story of a task, from its declaration, all events of it, and the declarations of what it handed on; oldest first. Pure. */
export function storyOf(declared: AuditEvent, own: readonly AuditEvent[], children: readonly AuditEvent[]): TaskStory {
  const { facts } = declared;
  const ending = own.find(({ type }) => type === 'task.ending');
  const ended = own.find(({ type }) => type === 'task.ended');
  return {
    task: declared.task ?? '',
    root: textOf(facts, 'root') ?? declared.task ?? '',
    parent: textOf(facts, 'parent'),
    agent: declared.agent?.subject ?? '',
    owner: ownerOf(facts),
    chain: listOf(facts, 'chain').flatMap((link) => textOf(link, 'subject') ?? []),
    declarer: textOf(recordOf(facts, 'declarer'), 'subject') ?? declared.by.subject,
    evidence: own.map((event) => textOf(event.facts, 'evidence')).findLast((word) => word !== null) ?? 'self_declared',
    vouched_by: textOf(facts, 'vouched_by'),
    subject: textOf(facts, 'subject'),
    purpose: textOf(facts, 'purpose') ?? '',
    justification: textOf(facts, 'justification'),
    ticket: textOf(facts, 'ticket'),
    actions: wordsOf(facts, 'actions'),
    data_classes: wordsOf(facts, 'data_classes'),
    credentials: credentialsOf(facts),
    trace_id: textOf(facts, 'trace_id'),
    declared_at: declared.at,
    decisions: own.flatMap(decisionOf),
    leases: leasesOf(own),
    tool_calls: own.flatMap(toolCallOf),
    handed_on: children.map(({ at, task, agent }) => ({ at, task: task ?? '', agent: agent?.subject ?? '' })),
    ended_at: ended?.at ?? null,
    end_reason: textOf(ended?.facts ?? {}, 'reason') ?? textOf(ending?.facts ?? {}, 'reason'),
    ended_by: (ending ?? ended)?.by.subject ?? null,
  };
}

/** What an event refused that is no part of a known task. */
export function refusalOf(event: AuditEvent): RefusalStory[] {
  const { agent, facts } = event;
  return decisionOf(event).map((decision) => ({
    ...decision,
    agent: agent?.subject ?? null,
    purpose: textOf(facts, 'purpose'),
    actions: wordsOf(facts, 'actions'),
    data_classes: wordsOf(facts, 'data_classes'),
    credentials: credentialsOf(facts),
  }));
}

/** Who answers for the agent: by the register, else as the caller's token says. */
const ownerOf = (facts: Facts): string | null => textOf(facts, 'owner') ?? textOf(recordOf(facts, 'caller'), 'owner');

/** The credentials an event is about, each once: as leases, as they were declared, or as they were decided about. */
function credentialsOf(facts: Facts): string[] {
  const named = [...listOf(facts, 'credentials').map((one) => textOf(one, 'credential') ?? textOf(one, 'name')), ...listOf(facts, 'parts').map((part) => textOf(part, 'credential'))];
  return [...new Set(named.filter((name) => name !== null))];
}

/** What was decided in an event, if anything was. */
function decisionOf({ at, type, by, facts }: AuditEvent): DecisionStory[] {
  const common = { at, what: type, by: by.subject };
  const decision = recordOf(facts, 'decision');
  if (decision['result'] !== undefined) {
    return [
      {
        ...common,
        result: textOf(decision, 'result') ?? '',
        decision: textOf(decision, 'id'),
        policies: wordsOf(decision, 'policies'),
        policy_version: textOf(decision, 'policy_version'),
        reasons: wordsOf(decision, 'reasons'),
        parts: listOf(facts, 'parts').map((part) => ({ credential: textOf(part, 'credential'), action: textOf(part, 'action'), result: textOf(part, 'result'), policies: wordsOf(part, 'policies') })),
      },
    ];
  }
  const without = (result: string, ...reasons: readonly (string | null)[]): DecisionStory[] => [
    { ...common, result, decision: null, policies: [], policy_version: null, reasons: reasons.flatMap((reason) => (reason === null || reason === '' ? [] : [reason])), parts: [] },
  ];
  switch (type) {
    case 'task.approved':
      return without('approved', textOf(facts, 'note'));
    case 'task.approval_denied':
      return without('denied', textOf(facts, 'note'));
    case 'task.claim_refused':
    case 'task.approval_refused':
    case 'evidence.refused':
      return without('refused', textOf(facts, 'reason'));
    case 'task.denied':
    case 'credential.denied':
    case 'extension.denied':
      return without('refused', textOf(facts, 'refused'));
    case 'delegation.refused':
      return without('refused', ...listOf(facts, 'faults').map((fault) => `${textOf(fault, 'pointer') ?? ''} ${textOf(fault, 'detail') ?? ''}`.trim()));
    case 'grant.locked':
      return without('locked', textOf(facts, 'lock'));
    default:
      return [];
  }
}

function toolCallOf({ at, type, facts }: AuditEvent): ToolCallStory[] {
  if (type !== 'tool_call.reported') return [];
  const call = recordOf(facts, 'tool_call');
  return [{ at, id: textOf(call, 'id'), tool: textOf(call, 'tool'), outcome: textOf(facts, 'outcome'), credential: textOf(facts, 'credential') }];
}
