import type { Command } from 'commander';
import type { AuditEvent } from '../../audit/audit-event.ts';
import { tellStory, type DecisionStory, type LeaseStory, type TaskStory, type TreeStory } from '../../audit/task-story.ts';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { print, printJson } from '../output.ts';

/** `mayfly audit story`: one task and its whole tree, told from the record. */
export function addStoryCommand(audit: Command, connection: (command: Command) => Command): void {
  connection(audit.command('story'))
    .description('who was allowed what, why, by which rule, on whose word, and when it died: a task and its whole tree')
    .argument('<task>', 'any task of the tree')
    .option('--json')
    .addHelpText('before', 'Example:\n  mayfly audit story tsk_5c1f0a9be0f2417d8d1f6f2a3f1c9e7b\n')
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const [declared] = await eventsOf(client, { task, type: 'task.declared', limit: '1' });
      if (declared === undefined) throw new CliError(EXIT.notFound, `no declaration of ${task} is on the record of this broker`);
      const root = typeof declared.facts['root'] === 'string' ? declared.facts['root'] : task;
      const story = tellStory(await eventsOf(client, { tree: root, order: 'oldest', limit: '500' }));
      if (flags.json === true) printJson({ root, ...story });
      else print(storyLines(story).join('\n'));
    });
}

async function eventsOf(client: BrokerClient, query: Readonly<Record<string, string>>): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  let cursor: string | null = null;
  do {
    const search: URLSearchParams = new URLSearchParams({ ...query, ...(cursor === null ? {} : { cursor }) });
    const { body } = await client.call('GET', `/v1/audit?${search.toString()}`);
    events.push(...(body['items'] as { readonly event: AuditEvent }[]).map(({ event }) => event));
    cursor = query['limit'] === '1' ? null : (body['next_cursor'] as string | null);
  } while (cursor !== null);
  return events;
}

/** The story in words, a line for each thing that happened. */
export const storyLines = ({ tasks, refusals }: TreeStory): string[] => [
  ...tasks.flatMap((task) => taskLines(task).map((line) => `${'  '.repeat(task.chain.length)}${line}`)),
  ...(refusals.length === 0 ? [] : ['refused:', ...refusals.map((refusal) => `  ${decisionLine(refusal)}`)]),
];

function taskLines(story: TaskStory): string[] {
  const { task, agent, declarer, evidence, vouchedBy, subject, purpose, actions, dataClasses, chain, declaredAt, endedAt, endReason, endedBy } = story;
  const data = dataClasses.length === 0 ? '' : ` on ${dataClasses.join(', ')}`;
  const word = evidence === 'self_declared' ? 'on its own word' : `${evidence}${vouchedBy === null ? '' : ` by ${vouchedBy}`}`;
  return [
    `${task}  ${agent}  ${purpose}: ${actions.join(', ')}${data}`,
    `  ${declaredAt} declared by ${declarer}, ${word}${subject === null ? '' : `, on behalf of ${subject}`}${chain.length === 0 ? '' : `, handed on by ${chain.join(' > ')}`}`,
    ...story.decisions.map((decision) => `  ${decisionLine(decision)}`),
    ...story.leases.map((lease) => `  ${leaseLine(lease)}`),
    endedAt === null ? '  it has not ended' : `  ${endedAt} ended: ${endReason ?? 'no reason on record'}${endedBy === null ? '' : `, by ${endedBy}`}`,
  ];
}

function decisionLine({ at, what, by, result, policies, policyVersion, reason }: DecisionStory): string {
  const rule = policies.length === 0 ? '' : ` by ${policies.join(', ')}`;
  const version = policyVersion === null ? '' : ` (${policyVersion.slice(0, 19)})`;
  return `${at} ${what} (${by}): ${result}${rule}${version}${reason === null || reason === '' ? '' : `: ${reason}`}`;
}

function leaseLine({ lease, credential, grantedAt, endedAt, outcome, reason, exposureMs }: LeaseStory): string {
  const from = grantedAt ?? 'never usable';
  if (endedAt === null) return `${from} ${credential} ${lease}: ${outcome}`;
  const exposure = exposureMs === null ? '' : `, usable for at most ${exposureMs} ms too long`;
  return `${from} ${credential} ${lease}: dead at ${endedAt}, ${outcome}${reason === null ? '' : ` (${reason})`}${exposure}`;
}
