import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { listOf } from '../list-pages.ts';
import { inJson, jsonOption, printList, withListOutput, withWatchOutput, type ListFlags, type WatchFlags } from '../output-flags.ts';
import { countdown, print, printJson } from '../output.ts';
import { printTask, taskLine, taskTreeText, type SeenTask, type TaskAnswer } from '../task-output.ts';
import { watchList } from '../watch-list.ts';

const STATES = ['pending_approval', 'pending_claim', 'minting', 'active', 'ending', 'ended'];

interface TaskFilterFlags {
  readonly state?: string;
  readonly purpose?: string;
  readonly agent?: string;
  readonly owner?: string;
  readonly live?: boolean;
}

interface SeenAs {
  readonly operator?: boolean;
}

/** Commands that look at tasks: tasks ls, get, tree, watch. */
export function addTasksCommands(program: Command, connection: (command: Command) => Command): void {
  const tasks = program.command('tasks').description('look at your tasks, or as an operator at those of everybody');

  withListOutput(withTaskFilter(connection(tasks.command('ls'))))
    .description('list tasks, newest first')
    .addOption(seenAs())
    .option('--limit <n>', 'tasks at most', '50')
    .addHelpText('before', examples('mayfly tasks ls --state active', 'mayfly tasks ls --operator --live --owner team-refunds'))
    .action(async (flags: ConnectionFlags & ListFlags & TaskFilterFlags & SeenAs & { limit: string }) => {
      const client = createBrokerClient(flags, callerOf(flags));
      const document = await listOf<SeenTask>(client, '/v1/tasks', taskQuery(flags), flags.limit);
      printList(flags, document, {
        header: ['TASK', 'STATE', 'PURPOSE', 'AGENT', 'ENDS'],
        row: (task) => [task.id, task.state, task.purpose, task.agent, countdown(task.ended_at ?? task.expires_at, client.nowMs())],
        none: 'no tasks',
      });
    });

  connection(tasks.command('get'))
    .description('one task and its leases')
    .argument('<task>')
    .addOption(seenAs())
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly tasks get "$MAYFLY_TASK_ID"'))
    .action(async (task: string, flags: ConnectionFlags & SeenAs & { json?: boolean }) => {
      const client = createBrokerClient(flags, callerOf(flags));
      const { body } = await client.call('GET', `/v1/tasks/${encodeURIComponent(task)}`);
      printTask(body as unknown as TaskAnswer, flags.json === true, client.nowMs());
    });

  connection(tasks.command('tree'))
    .description('the whole tree that a task is in: who handed what to whom, and what lives, as an operator')
    .argument('<task>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly tasks tree tsk_...'))
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'operator');
      const { body } = await client.call('GET', `/v1/tasks/${encodeURIComponent(task)}/tree`);
      if (flags.json === true) printJson(body);
      else print(taskTreeText((body as unknown as { tree: readonly TaskAnswer[] }).tree, client.nowMs()));
    });

  withWatchOutput(withTaskFilter(connection(tasks.command('watch'))))
    .description('a line for each task that appears or changes, until Ctrl-C, as an operator')
    .addHelpText('before', examples('mayfly tasks watch --agent agent:refunds'))
    .action(async (flags: ConnectionFlags & TaskFilterFlags & WatchFlags) => {
      const client = createBrokerClient(flags, 'operator');
      const given = taskQuery(flags);
      const filters = given['state'] === undefined ? { ...given, live: 'true' } : given;
      const tell = (task: SeenTask): void => print(inJson(flags) ? JSON.stringify(task) : taskLine(task, client.nowMs()));
      await watchList(client, { path: '/v1/tasks', filters, member: 'task', tell }, new AbortController().signal);
    });
}

const seenAs = (): Option => new Option('--operator', 'as an operator, who sees the tasks of everybody');

/** A token that is given says itself whose it is; this is for where there is a choice. */
const callerOf = ({ operator, owner, live }: SeenAs & TaskFilterFlags): 'agent' | 'operator' => (operator === true || owner !== undefined || live === true ? 'operator' : 'agent');

const withTaskFilter = (command: Command): Command =>
  [
    new Option('--state <state>', 'as it stands').choices(STATES),
    new Option('--purpose <code>', 'declared for it'),
    new Option('--agent <subject>', 'whose'),
    new Option('--owner <owner>', 'who answers for the agent; for operators'),
    new Option('--live', 'all that have not ended; for operators').conflicts('state'),
  ].reduce((so, option) => so.addOption(option.helpGroup('Which (all that is given has to match):')), command);

const taskQuery = ({ state, purpose, agent, owner, live }: TaskFilterFlags): Record<string, string | undefined> => ({ state, purpose, agent, owner, live: live === true ? 'true' : undefined });
