import { readFileSync } from 'node:fs';
import { Option, type Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { countdown, print, printJson, table } from '../output.ts';
import { printGrant, printTask, type CredentialAnswer, type GrantFormat, type TaskAnswer } from '../task-output.ts';
import { wholeNumber } from '../whole-number.ts';

interface GrantFlags extends ConnectionFlags {
  readonly format: GrantFormat;
  readonly json?: boolean;
}

const grantFormat = (): Option => new Option('--format <format>', 'how to print the secrets').choices(['text', 'env', 'json']).default('text');
const path = (task: string, call: string): string => `/v1/tasks/${encodeURIComponent(task)}/${call}`;

/** Commands for what happens between declaring a task and completing it: claim, reissue, extend, heartbeat. */
export function addLifetimeCommands(program: Command, connection: (command: Command) => Command): void {
  connection(program.command('claim'))
    .description('pick up a task that was declared for you; its lifetime begins now')
    .argument('<task>')
    .option('--ticket-file <path>', 'a file with the claim ticket; - for standard input (MAYFLY_CLAIM_TICKET)')
    .option('--idempotency-key <key>', 'makes it safe to send the same claim again')
    .addOption(grantFormat())
    .option('--json', 'the same as --format json')
    .action(async (task: string, flags: GrantFlags & { ticketFile?: string; idempotencyKey?: string }) => {
      const ticket = claimTicket(flags.ticketFile);
      const { body } = await createBrokerClient(flags, 'agent').call('POST', path(task, 'claim'), ticket === undefined ? {} : { claim_ticket: ticket }, flags.idempotencyKey);
      printGrant(body as unknown as TaskAnswer, flags.json === true ? 'json' : flags.format);
    });

  connection(program.command('reissue'))
    .description('replace a credential of a task: the old one ends first')
    .argument('<task>')
    .argument('<name>')
    .addOption(grantFormat())
    .option('--json', 'the same as --format json')
    .action(async (task: string, name: string, flags: GrantFlags) => {
      const { body } = await createBrokerClient(flags, 'agent').call('POST', path(task, 'reissue'), { name });
      printGrant(body as unknown as TaskAnswer, flags.json === true ? 'json' : flags.format);
    });

  connection(program.command('extend'))
    .description('give a task more time, counted from now; says which credentials live on')
    .argument('<task>')
    .requiredOption('--ttl <seconds>', 'the new total from now')
    .option('--json')
    .action(async (task: string, flags: ConnectionFlags & { ttl: string; json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'agent').call('POST', path(task, 'extend'), { ttl_seconds: wholeNumber('--ttl', flags.ttl) });
      if (flags.json === true) {
        printJson(body);
        return;
      }
      const answer = body as unknown as TaskAnswer;
      print(`task ${answer.task.id} ends in ${countdown(answer.task.expires_at, Date.now())}`);
      const rows = (answer.credentials as readonly (CredentialAnswer & { extension: string })[]).map((one) => [one.name, one.extension, countdown(one.expires_at, Date.now())]);
      print(table(['CREDENTIAL', 'EXTENSION', 'DUE'], rows, 'no live credentials'));
    });

  connection(program.command('heartbeat'))
    .description('say that the work goes on')
    .argument('<task>')
    .option('--json')
    .action(async (task: string, flags: ConnectionFlags & { json?: boolean }) => {
      const { body } = await createBrokerClient(flags, 'agent').call('POST', path(task, 'heartbeat'), {});
      printTask(body as unknown as TaskAnswer, flags.json === true);
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
