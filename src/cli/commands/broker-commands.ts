import { Option, type Command } from 'commander';
import { requiredConfigOption } from '../config-flag.ts';
import { addConfigViewCommand } from './connection-commands.ts';
import { examples } from '../examples.ts';
import { CliError, EXIT } from '../exit-codes.ts';
import { jsonOption } from '../output-flags.ts';
import { print, printJson } from '../output.ts';

/** Commands of whoever runs a broker: serve, config check; and config view. What they need is loaded when they run. */
export function addBrokerCommands(program: Command, connection: (command: Command) => Command): void {
  program
    .command('serve')
    .description('run the broker until SIGTERM')
    .addOption(requiredConfigOption())
    .addOption(new Option('--role <role>', 'api answers requests, worker revokes').choices(['api', 'worker', 'all']).default('all'))
    .addHelpText('before', examples('mayfly serve --config /etc/mayfly/mayfly.yaml --role worker'))
    .action(async (flags: { config: string; role: 'api' | 'worker' | 'all' }) => {
      const { serve } = await import('../../main.ts');
      await serve({ configPath: flags.config, role: flags.role });
    });

  const config = program.command('config').description('the configuration of a broker, and how commands reach one');
  addConfigViewCommand(config, connection);
  config
    .command('check')
    .description('check a configuration file: each fault with its line, key and what is allowed')
    .addOption(requiredConfigOption())
    .option('--no-files', 'do not look at the files that it names')
    .addOption(jsonOption())
    .addHelpText('before', examples('mayfly config check --config config/mayfly.yaml --no-files'))
    .action(async (flags: { config: string; files: boolean; json?: boolean }) => {
      const { ConfigError, loadConfig } = await import('../../config/load-config.ts');
      const { loadPolicies } = await import('../../policy/load-policies.ts');
      try {
        const config = loadConfig({ path: flags.config, env: process.env, checkFiles: flags.files });
        if (flags.files) loadPolicies(config.policy.directory);
        if (flags.json === true) printJson({ ok: true, faults: [] });
        else print(`${flags.config} is good: ${Object.keys(config.credentials).length} credentials, environment ${config.environment}`);
      } catch (error) {
        if (flags.json !== true) throw error;
        const detail = error instanceof Error ? error.message : String(error);
        printJson({ ok: false, faults: error instanceof ConfigError ? error.faults : [{ where: flags.config, line: null, key: 'policy.directory', detail }] });
        throw new CliError(EXIT.failure);
      }
    });
}
