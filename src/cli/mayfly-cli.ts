import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAgentCommands } from './commands/agent-commands.ts';
import { addApprovalCommands } from './commands/approval-commands.ts';
import { addAuditCommands } from './commands/audit-commands.ts';
import { addBrokerCommands } from './commands/broker-commands.ts';
import { addDeclarationCommands } from './commands/declaration-commands.ts';
import { addDoctorCommand } from './commands/doctor-command.ts';
import { addHoldCommands } from './commands/hold-commands.ts';
import { addKeysCommands } from './commands/keys-commands.ts';
import { addLifetimeCommands } from './commands/lifetime-commands.ts';
import { addLockCommands } from './commands/lock-commands.ts';
import { addOperatorCommands } from './commands/operator-commands.ts';
import { addReceiptCommands } from './commands/receipt-commands.ts';
import { addPolicyCommands } from './commands/policy-commands.ts';
import { addRevocationCommands } from './commands/revocation-commands.ts';
import { addTaskCommands } from './commands/task-commands.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { say } from './output.ts';

const connection = (command: Command): Command =>
  command
    .option('--addr <url>', 'the broker (MAYFLY_ADDR)')
    .option('--token-file <path>', 'a file with the bearer token; - for standard input (MAYFLY_TOKEN_FILE)');

function createProgram(): Command {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const program = new Command('mayfly')
    .description('Just-in-time credentials that belong to a task and die with it.')
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .showSuggestionAfterError()
    .exitOverride();
  program.addHelpText('before', 'Example:\n  mayfly request --purpose refund-investigation --action read --credential orders-db\n');
  addTaskCommands(program, connection);
  addLifetimeCommands(program, connection);
  addApprovalCommands(program, connection);
  addOperatorCommands(program, connection);
  addReceiptCommands(program, connection);
  addRevocationCommands(program, connection);
  addLockCommands(program, connection);
  addAgentCommands(program, connection);
  addHoldCommands(program, connection);
  addAuditCommands(program, connection);
  addDeclarationCommands(program);
  addBrokerCommands(program);
  addDoctorCommand(program);
  addKeysCommands(program);
  addPolicyCommands(program);
  return program;
}

/** Runs a command line; answers its exit code. Never prints a stack trace. */
async function run(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...args], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliError) {
      for (const line of error.lines) say(line);
      return error.exitCode;
    }
    say(error instanceof Error ? error.message : String(error));
    return EXIT.failure;
  }
}

process.exitCode = await run(process.argv.slice(2));
