import { Option } from 'commander';
import { configOption } from './config-flag.ts';
import { CliError, EXIT } from './exit-codes.ts';

/** How a command that reads the audit file is told which. */
export interface AuditFileFlags {
  readonly audit?: string;
  readonly config?: string;
}

export const auditFileOptions = (): Option[] => [
  new Option('--audit <file>', 'the audit file, as the sealer writes it'),
  configOption('the configuration that names it'),
];

/** The audit file that was named, or that the configuration names. Throws `CliError`. */
export async function auditFileOf({ audit, config }: AuditFileFlags): Promise<string> {
  if (audit !== undefined) return audit;
  if (config === undefined) throw new CliError(EXIT.usage, 'name the audit file with --audit, or the configuration with --config or MAYFLY_CONFIG');
  const { loadConfig } = await import('../config/load-config.ts');
  const { audit: settings } = loadConfig({ path: config, env: process.env, checkFiles: false });
  if (settings.sink !== 'file') throw new CliError(EXIT.usage, 'the audit log of this configuration goes to standard output; collect it into a file and name that with --audit');
  return settings.file;
}
