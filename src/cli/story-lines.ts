import type { AgentStoryItem } from '../audit/agent-story.ts';
import type { LeaseStory } from '../audit/lease-story.ts';
import type { DecisionStory, RefusalStory, TaskStory, ToolCallStory, TreeStory } from '../audit/task-story.ts';
import { becauseOf } from './lease-output.ts';

/** The story of a tree in words, a line for each thing that happened. */
export const treeLines = ({ tasks, refusals }: TreeStory): string[] => [
  ...tasks.flatMap((task) => taskLines(task).map((line) => `${'  '.repeat(task.chain.length)}${line}`)),
  ...(refusals.length === 0 ? [] : ['refused:', ...refusals.map((refusal) => `  ${refusalLine(refusal)}`)]),
];

/** The story of an agent in words: its tasks and refusals in the order they began. */
export const agentLines = (items: readonly AgentStoryItem[]): string[] => items.flatMap((item) => (item.kind === 'task' ? taskLines(item) : [`refused  ${refusalLine(item)}`]));

function taskLines(story: TaskStory): string[] {
  const { task, agent, declarer, evidence, vouched_by: vouchedBy, subject, chain, declared_at: declaredAt, ended_at: endedAt, end_reason: endReason, ended_by: endedBy } = story;
  const word = evidence === 'self_declared' ? 'on its own word' : `${evidence}${vouchedBy === null ? '' : ` by ${vouchedBy}`}`;
  return [
    `${task}  ${agent}  ${whatFor(story)}`,
    `  ${declaredAt} declared by ${declarer}, ${word}${subject === null ? '' : `, on behalf of ${subject}`}${chain.length === 0 ? '' : `, handed on by ${chain.join(' > ')}`}`,
    ...story.decisions.map((decision) => `  ${decisionLine(decision)}`),
    ...story.leases.map((lease) => `  ${leaseLine(lease)}`),
    ...story.tool_calls.map((call) => `  ${toolCallLine(call)}`),
    ...story.handed_on.map((child) => `  ${child.at} handed on to ${child.agent} as ${child.task}`),
    endedAt === null ? '  it has not ended' : `  ${endedAt} ended: ${endReason ?? 'no reason on record'}${endedBy === null ? '' : `, by ${endedBy}`}`,
  ];
}

const whatFor = ({ purpose, actions, data_classes: dataClasses }: Pick<RefusalStory, 'purpose' | 'actions' | 'data_classes'>): string =>
  `${purpose ?? ''}: ${actions.join(', ')}${dataClasses.length === 0 ? '' : ` on ${dataClasses.join(', ')}`}`;

function decisionLine({ at, what, by, result, policies, policy_version: policyVersion, reasons }: DecisionStory): string {
  const rule = policies.length === 0 ? '' : ` by ${policies.join(', ')}`;
  const version = policyVersion === null ? '' : ` (${policyVersion.slice(0, 19)})`;
  return `${at} ${what} (${by}): ${result}${rule}${version}${reasons.length === 0 ? '' : `: ${reasons.join('; ')}`}`;
}

function refusalLine(refusal: RefusalStory): string {
  const { credentials, purpose, actions } = refusal;
  const asked = purpose === null ? '' : ` [${actions.length === 0 ? purpose : whatFor(refusal)}${credentials.length === 0 ? '' : ` with ${credentials.join(', ')}`}]`;
  return `${decisionLine(refusal)}${asked}`;
}

function leaseLine({ lease, credential, granted_at: grantedAt, ended_at: endedAt, outcome, reason, verified_at: verifiedAt, exposure_seconds: exposure, due_at: dueAt }: LeaseStory): string {
  const from = grantedAt ?? 'never usable';
  if (endedAt === null) return `${from} ${credential} ${lease}: ${outcome}${dueAt === null ? '' : `, due at ${dueAt}`}`;
  const late = exposure === null ? '' : `, usable for at most ${Math.round(exposure * 1_000)} ms too long`;
  return `${from} ${credential} ${lease}: dead at ${endedAt}, ${outcome}${becauseOf(reason)}${late}${verifiedAt === null ? '' : `, looked up at the target at ${verifiedAt}`}`;
}

const toolCallLine = ({ at, id, tool, outcome, credential }: ToolCallStory): string =>
  `${at} says it called ${tool ?? 'a tool'}${id === null ? '' : ` (${id})`}: ${outcome ?? ''}${credential === null ? '' : `, with ${credential}`}`;
