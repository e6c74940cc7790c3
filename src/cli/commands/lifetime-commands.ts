import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { countdown, print, printJson, table } from '../output.ts';
import { grantFormatOf, grantFormatOption, grantJsonOption, printGrant, printTask, type CredentialAnswer, type GrantFormatFlags, type TaskAnswer } from '../task-output.ts';
import { wholeNumber } from '../whole-number.ts';

type GrantFlags = ConnectionFlags & GrantFormatFlags;

const path = (task: string, call: string): string => `/v1/tasks/${encodeURIComponent(task)}/${call}`;

/** Commands for what happens between declaring a task and completing it: claim, reissue, extend, heartbeat. */
export function addLifetimeCommands(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('claim'))
    .description('pick up a task that was declared for you; its lifetime begins now')
    .argument('<task>')
    .option('--ticket-file <path>', 'a file with the claim ticket; - for standard input (MAYFLY_CLAIM_TICKET)')
    .option('--idempotency-key <key>', 'makes it safe to send the same claim again')
    .addOption(grantFormatOption())
    .addOption(grantJsonOption())
    .addHelpText('before', examples('mayfly claim tsk_... --format env > task.env'))
    .action(async (task: string, flags: GrantFlags & { ticketFile?: string; idempotencyKey?: string }) => {
      const ticket = claimTicket(flags.ticketFile);
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', path(task, 'claim'), ticket === undefined ? {} : { claim_ticket: ticket }, flags.idempotencyKey);
      printGrant(body as unknown as TaskAnswer, grantFormatOf(flags), client.nowMs());
    });

  connection(program.command('reissue'))
    .description('replace a credential of a task: the old one ends first')
    .argument('<task>')
    .argument('<name>')
    .addOption(grantFormatOption())
    .addOption(grantJsonOption())
    .addHelpText('before', examples('mayfly reissue "$MAYFLY_TASK_ID" orders-db'))
    .action(async (task: string, name: string, flags: GrantFlags) => {
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', path(task, 'reissue'), { name });
      printGrant(body as unknown as TaskAnswer, grantFormatOf(flags), client.nowMs());
    });

  connection(program.command('extend'))
    .description('give a task more time, counted from now; says which credentials live on')
    .argument('<task>')
    .requiredOption('--ttl <seconds>', 'the new total from now')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly extend "$MAYFLY_TASK_ID" --ttl 600'))
    .action(async (task: string, flags: ConnectionFlags & { ttl: string; json?: boolean }) => {
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', path(task, 'extend'), { ttl_seconds: wholeNumber('--ttl', flags.ttl) });
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const answer = body as unknown as TaskAnswer;
      print(`task ${answer.task.id} ends in ${countdown(answer.task.expires_at, client.nowMs())}`);
      const rows = (answer.credentials as readonly (CredentialAnswer & { extension: string })[]).map((one) => [one.name, one.extension, countdown(one.expires_at, client.nowMs())]);
      print(table(['CREDENTIAL', 'EXTENSION', 'DUE'], rows, 'no live credentials'));
    });

  connection(program.command('heartbeat'))
    .description('say that the work goes on')
    .argument('<task>')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly heartbeat "$MAYFLY_TASK_ID"'))
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const client = createBrokerClient(flags, 'agent');
      const { body } = await client.call('POST', path(task, 'heartbeat'), {});
      printTask(body as unknown as TaskAnswer, flags.json === true, client.nowMs());
    });
}

/** A ticket is a secret: it comes by file or environment, never as an argument that `ps` shows. */
function claimTicket(file: string | undefined): string | undefined {
  if (file === undefined) return process.env['MAYFLY_CLAIM_TICKET'];
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch {
    throw new CliError(EXIT.usage, `--ticket-file ${file}: cannot be read`);
  }
}
