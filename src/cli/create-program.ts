import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { addAgentCommands } from './commands/agent-commands.ts';
import { addApprovalCommands } from './commands/approval-commands.ts';
import { addAuditCommands } from './commands/audit-commands.ts';
import { addBrokerCommands } from './commands/broker-commands.ts';
import { addCompletionCommands } from './commands/completion-commands.ts';
import { addConnectionCommands } from './commands/connection-commands.ts';
import { addDeclarationCommands } from './commands/declaration-commands.ts';
import { addDoctorCommand } from './commands/doctor-command.ts';
import { addHoldCommands } from './commands/hold-commands.ts';
import { addKeysCommands } from './commands/keys-commands.ts';
import { addLeaseCommands } from './commands/lease-commands.ts';
import { addLifetimeCommands } from './commands/lifetime-commands.ts';
import { addLockCommands } from './commands/lock-commands.ts';
import { addLoginCommands } from './commands/login-commands.ts';
import { addPolicyCommands } from './commands/policy-commands.ts';
import { addReceiptCommands } from './commands/receipt-commands.ts';
import { addRevocationCommands } from './commands/revocation-commands.ts';
import { addTopCommand } from './commands/top-command.ts';
import { addTaskCommands } from './commands/task-commands.ts';
import { addTasksCommands } from './commands/tasks-commands.ts';
import { addVersionCommand } from './commands/version-command.ts';
import { addWebhookCommands } from './commands/webhook-commands.ts';
import { examples } from './examples.ts';
import { suggestSubcommands } from './suggest-subcommand.ts';

/** What a script can rely on, below the help of the program itself. */
const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 denied by policy, 4 not found or ended already, 5 not signed in or
not allowed, 6 broker or target away, 7 still pending, 124 the task had expired.

Data goes to standard output, words to standard error. docs/cli-reference.md has every command.`;

/** Every command, with nothing of its work loaded yet. Throws `CommanderError` in place of ending the process. */
export function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const program = new Command('mayfly')
    .description('Just-in-time credentials that belong to a task and die with it.')
    .version(version)
    .option('-q, --quiet', 'only data and errors, as with MAYFLY_QUIET=1')
    .option('-v, --verbose', 'tell of each request, as with MAYFLY_VERBOSE=1')
    .option('--no-color', 'no colours, as with NO_COLOR')
    .showHelpAfterError('(add --help for the options)')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('before', examples('mayfly request --purpose refund-investigation --action read --credential orders-db'))
    .addHelpText('after', EXIT_CODES);

  // Node, and whoever we start, know it by the variable.
  program.on('option:no-color', () => {
    process.env['NO_COLOR'] = '1';
    delete process.env['FORCE_COLOR'];
  });
  for (const word of ['quiet', 'verbose']) program.on(`option:${word}`, () => void (process.env[`MAYFLY_${word.toUpperCase()}`] = '1'));

  const connected: Command[] = [];
  const connection = (command: Command): Command => {
    connected.push(command);
    return command;
  };
  const tokenless: Command[] = [];
  const addressed = (command: Command): Command => {
    tokenless.push(command);
    return command;
  };
  program.commandsGroup('For agents and orchestrators:');
  addTaskCommands(program, connection);
  addTasksCommands(program, connection);
  addLifetimeCommands(program, connection);
  addDeclarationCommands(program);
  program.commandsGroup('For operators:');
  addLoginCommands(program, addressed);
  addTopCommand(program, connection);
  addLeaseCommands(program, connection);
  addRevocationCommands(program, connection);
  addLockCommands(program, connection);
  addApprovalCommands(program, connection);
  addAgentCommands(program, connection);
  addReceiptCommands(program, connection);
  addAuditCommands(program, connection);
  addHoldCommands(program, connection);
  addWebhookCommands(program, connection);
  program.commandsGroup('For whoever runs a broker:');
  addPolicyCommands(program);
  addBrokerCommands(program, connection);
  addDoctorCommand(program);
  addKeysCommands(program);
  program.commandsGroup('Other:').helpCommand(true);
  addConnectionCommands(program, connection);
  addVersionCommand(program, addressed);
  addCompletionCommands(program);

  // Last in every help: what a command is about comes before how the broker is reached.
  for (const command of connected) for (const option of connectionOptions()) command.addOption(option);
  for (const group of program.commands.filter(({ commands }) => commands.length > 0)) suggestSubcommands(group);
  for (const command of tokenless) for (const option of addressOptions()) command.addOption(option);
  return program;
}

const addressOptions = (): Option[] => connectionOptions().filter((option) => ['addr', 'caFile'].includes(option.attributeName()));

const connectionOptions = (): Option[] =>
  [
    new Option('--addr <url>', 'the broker (MAYFLY_ADDR)'),
    new Option('--token-file <path>', 'a file with the bearer token; - for standard input (MAYFLY_TOKEN_FILE)'),
    new Option('--cert-file <path>', 'a certificate to show, such as an X.509-SVID, PEM (MAYFLY_CERT_FILE)'),
    new Option('--key-file <path>', 'its private key, PEM (MAYFLY_KEY_FILE)'),
    new Option('--ca-file <path>', 'who may vouch for the broker, PEM (MAYFLY_CA_FILE)'),
  ].map((option) => option.helpGroup('Connection:'));
