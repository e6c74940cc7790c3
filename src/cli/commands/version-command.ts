import type { Command } from 'commander';
import { createBrokerClient, type ConnectionFlags } from '../broker-client.ts';
import { connectionSettings } from '../connection-settings.ts';
import { examples } from '../examples.ts';
import { CliError } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson, say, table } from '../output.ts';

type VersionFlags = Pick<ConnectionFlags, 'addr' | 'caFile'> & { readonly json?: boolean };

/** `mayfly version`: of this command line, and of the broker if one is named and answers. */
export function addVersionCommand(program: Command, addressed: (command: Command) => Command): void {
  addressed(program.command('version'))
    .description('the version of this command line, and of the broker where it answers')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly version --json'))
    .action(async (flags: VersionFlags) => {
      const version = program.version() ?? '';
      const broker = await versionOfBroker(flags).catch((error: unknown) => {
        if (!(error instanceof CliError)) throw error;
        say(error.lines[0] ?? '');
        return null;
      });
      if (flags.json === true) printJson({ version, broker });
      else print(table(['MAYFLY', version], broker === null ? [] : [['broker', `${broker.version} at ${broker.address}`]], `mayfly ${version}`));
    });
}

async function versionOfBroker(flags: VersionFlags): Promise<{ readonly address: string; readonly version: string }> {
  const { addr } = await connectionSettings(flags, 'anyone', { env: process.env, folder: process.cwd() });
  const { info } = (await createBrokerClient(flags, 'anyone').call('GET', '/openapi.json')).body as { info?: { version?: string } };
  return { address: addr.value, version: info?.version ?? 'unknown' };
}
