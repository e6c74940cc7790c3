import { CommanderError } from 'commander';
import { createProgram } from './create-program.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { tell } from './output.ts';

/** Runs a command line; answers its exit code. Never prints a stack trace. */
async function run(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...args], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof CliError) {
      for (const line of error.lines) tell(line);
      return error.exitCode;
    }
    tell(error instanceof Error ? error.message : String(error));
    return EXIT.failure;
  }
}

process.exitCode = await run(process.argv.slice(2));
