import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { listOf } from '../list-pages.ts';
import { jsonOption, printList, withListOutput, type ListFlags } from '../output-flags.ts';
import { countdown } from '../output.ts';
import { printTask, type TaskAnswer } from '../task-output.ts';

const STATES = ['pending_approval', 'pending_claim', 'minting', 'active', 'ending', 'ended'];

/** Commands that look at tasks: tasks ls, get. */
export function addTasksCommands(program: Command, connection: (command: Command) => Command): void {
  const tasks = program.command('tasks').description('look at your tasks');

  withListOutput(connection(tasks.command('ls')))
    .description('list tasks, newest first')
    .addOption(new Option('--state <state>', 'as it stands').choices(STATES))
    .option('--purpose <code>', 'declared for it')
    .option('--limit <n>', 'tasks at most', '50')
    .addHelpText('before', examples('mayfly tasks ls --state active'))
    .action(async (flags: ConnectionFlags & ListFlags & { state?: string; purpose?: string; limit: string }) => {
      const client = createBrokerClient(flags, 'agent');
      const document = await listOf<TaskAnswer['task']>(client, '/v1/tasks', { state: flags.state, purpose: flags.purpose }, flags.limit);
      printList(flags, document, {
        header: ['TASK', 'STATE', 'PURPOSE', 'AGENT', 'ENDS'],
        row: (task) => [task.id, task.state, String(task['purpose']), String(task['agent']), countdown(task.expires_at, client.nowMs())],
        none: 'no tasks',
      });
    });

  connection(tasks.command('get'))
    .description('one task and its leases')
    .argument('<task>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly tasks get "$MAYFLY_TASK_ID"'))
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('GET', `/v1/tasks/${encodeURIComponent(task)}`);
      printTask(body as unknown as TaskAnswer, flags.json === true, client.nowMs());
    });
}
