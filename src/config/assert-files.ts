import { fileFaults } from './config-files.ts';
import type { Config } from './config-schema.ts';
import { ConfigError } from './load-config.ts';

/** Makes sure that the files a configuration names are there and fit to be used. Throws `ConfigError`. */
export function assertFiles(config: Config): void {
  const faults = fileFaults(config);
  if (faults.length > 0) throw new ConfigError(faults.map(({ key, detail }) => ({ where: 'configuration', line: null, key: key.join('.'), detail })));
}
