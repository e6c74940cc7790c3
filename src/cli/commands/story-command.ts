import type { Command } from 'commander';
import type { AgentStoryItem } from '../../audit/agent-story.ts';
import type { AuditEvent } from '../../audit/audit-event.ts';
import { tellStory } from '../../audit/task-story.ts';
import { systemClock } from '../../core/clock.ts';
import { addMs, epochMsFrom, rfc3339OrNull, toRfc3339, type EpochMs } from '../../core/time.ts';
import { createBrokerClient, type BrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { dayFlag, inLocalTime, instantFlag } from '../instant-flag.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say } from '../output.ts';
import { agentLines, treeLines } from '../story-lines.ts';

interface StoryFlags extends ConnectionFlags {
  readonly agent?: string;
  readonly since?: string;
  readonly until?: string;
  readonly on?: string;
  readonly audit?: string;
  readonly json?: boolean;
}

/** `mayfly audit story`: one task and its whole tree, or one agent in a time, told from the record. */
export function addStoryCommand(audit: Command, connection: (command: Command) => Command): void {
  connection(audit.command('story'))
    .description('who was allowed what, why, by which rule, on whose word, and when it died: of a task and its whole tree, or of an agent in a time')
    .argument('[task]', 'any task of the tree')
    .option('--agent <subject>', 'all that this agent was authorised to do, and was refused')
    .option('--on <day>', "with --agent: 2026-01-06, yesterday, 'last tuesday', ...")
    .option('--since <when>', 'with --agent: a day, 7d, or RFC 3339; a day before --until when absent')
    .option('--until <when>', 'with --agent: the same; a day is included; now when absent')
    .option('--audit <file or folder>', 'look in these files, rotated ones included, and ask no broker')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly audit story tsk_5c1f0a9be0f2417d8d1f6f2a3f1c9e7b', "mayfly audit story --agent agent:refunds --on 'last tuesday'", 'mayfly audit story --agent agent:refunds --since 2026-01-05 --until 2026-01-09 --audit /var/log/mayfly'))
    .action(async (task: string | undefined, flags: StoryFlags) => {
      if ((task === undefined) === (flags.agent === undefined)) throw new CliError(EXIT.usage, 'name a task, or an agent with --agent');
      if (task === undefined) await tellAgent(flags.agent ?? '', flags);
      else await tellTask(task, flags);
    });
}

async function tellTask(task: string, flags: StoryFlags): Promise<void> {
  if (flags.since !== undefined || flags.until !== undefined || flags.on !== undefined) throw new CliError(EXIT.usage, '--on, --since and --until go with --agent: a task is told from its declaration to its end');
  const eventsOf = flags.audit === undefined ? brokersEvents(createBrokerClient(flags, 'operator')) : filesEvents(flags.audit);
  const [declared] = await eventsOf({ task, type: 'task.declared' }, true);
  if (declared === undefined) throw new CliError(EXIT.notFound, `no declaration of ${task} is on the record ${flags.audit === undefined ? 'of this broker' : `in ${flags.audit}`}`);
  const root = typeof declared.facts['root'] === 'string' ? declared.facts['root'] : task;
  const story = tellStory(await eventsOf({ tree: root }, false));
  if (flags.json === true) printJson({ root, ...story });
  else print(treeLines(story).join('\n'));
}

async function tellAgent(agent: string, flags: StoryFlags): Promise<void> {
  const { fromMs, toMs } = timeOf(flags, systemClock.now());
  say(`from ${inLocalTime(fromMs)} until ${inLocalTime(toMs)}`);
  const told = flags.audit === undefined ? await brokersStory(createBrokerClient(flags, 'operator'), agent, fromMs, toMs) : await filesStory(flags.audit, agent, fromMs, toMs);
  if (flags.json === true) printJson({ agent, since: toRfc3339(fromMs), until: toRfc3339(toMs), ...told });
  else print(told.items.length === 0 ? `${agent} was authorised to do nothing in this time, and refused nothing` : agentLines(told.items).join('\n'));
  const { record_begins_at: begins } = told;
  if (begins === null || Date.parse(begins) > fromMs) say(begins === null ? 'there is no record yet' : `the record here begins at ${begins}: of what was before, nothing is known`);
}

function timeOf({ on, since, until }: StoryFlags, nowMs: EpochMs): { readonly fromMs: EpochMs; readonly toMs: EpochMs } {
  if (on !== undefined) {
    if (since !== undefined || until !== undefined) throw new CliError(EXIT.usage, 'give --on, or --since and --until');
    return dayFlag('--on', on, nowMs);
  }
  const toMs = until === undefined ? nowMs : instantFlag('--until', until, nowMs);
  const fromMs = since === undefined ? addMs(toMs, -86_400_000) : instantFlag('--since', since, nowMs);
  if (fromMs >= toMs) throw new CliError(EXIT.usage, '--since must be before --until');
  return { fromMs, toMs };
}

interface Told {
  readonly record_begins_at: string | null;
  readonly items: readonly AgentStoryItem[];
}

async function brokersStory(client: BrokerClient, agent: string, fromMs: EpochMs, toMs: EpochMs): Promise<Told> {
  const items: AgentStoryItem[] = [];
  for (let cursor: string | null = ''; ; ) {
    const query: URLSearchParams = new URLSearchParams({ agent, since: toRfc3339(fromMs), until: toRfc3339(toMs), limit: '200', ...(cursor === '' ? {} : { cursor }) });
    const { body } = await client.call('GET', `/v1/audit/story?${query.toString()}`);
    items.push(...(body['items'] as AgentStoryItem[]));
    cursor = body['next_cursor'] as string | null;
    if (cursor === null) return { record_begins_at: body['record_begins_at'] as string | null, items };
  }
}

async function filesStory(path: string, agent: string, sinceMs: EpochMs, untilMs: EpochMs): Promise<Told> {
  const { readAgentStory } = await import('../../audit/agent-story.ts');
  const { LONGEST_TASK_MS } = await import('../../config/longest-task.ts');
  const { items, recordBeginsAtMs } = await readAgentStory(path, { agent, sinceMs, untilMs, longestTaskMs: LONGEST_TASK_MS }, { limit: Infinity }).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  return { record_begins_at: rfc3339OrNull(recordBeginsAtMs === null ? null : epochMsFrom(recordBeginsAtMs)), items };
}

/** The events of a task or of a tree, oldest first; or the first alone. */
type EventsOf = (what: { readonly task: string; readonly type: string } | { readonly tree: string }, first: boolean) => Promise<AuditEvent[]>;

function brokersEvents(client: BrokerClient): EventsOf {
  return async (what, first) => {
    const events: AuditEvent[] = [];
    let cursor: string | null = null;
    do {
      const search: URLSearchParams = new URLSearchParams({ ...what, order: 'oldest', limit: first ? '1' : '500', ...(cursor === null ? {} : { cursor }) });
      const { body } = await client.call('GET', `/v1/audit?${search.toString()}`);
      events.push(...(body['items'] as { readonly event: AuditEvent }[]).map(({ event }) => event));
      cursor = first ? null : (body['next_cursor'] as string | null);
    } while (cursor !== null);
    return events;
  };
}

function filesEvents(path: string): EventsOf {
  return async (what, first) => {
    const { searchAudit } = await import('../../audit/search-audit.ts');
    const { items } = await searchAudit(path, what, { newestFirst: false, limit: first ? 1 : Infinity }).catch((cause: unknown) => {
      throw unreadable(path, cause);
    });
    return items.flatMap(({ event }) => ('id' in event ? [event] : []));
  };
}

const unreadable = (path: string, cause: unknown): CliError => new CliError(EXIT.failure, `${path} cannot be read: ${cause instanceof Error ? cause.message : 'unknown'}`);
