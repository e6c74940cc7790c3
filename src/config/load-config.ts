import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { readConfigDocument } from './config-document.ts';
import { fileFaults } from './config-files.ts';
import { configFaults } from './rules/config-rules.ts';
import type { RuleFault } from './rules/rule-fault.ts';
import { configSchema, type Config } from './config-schema.ts';
import { applyOverrides, environmentOverrides } from './environment.ts';
import { schemaFaults } from './schema-faults.ts';

/** One fault: where it is, and what is allowed there. Never a value that could be a secret. */
export interface ConfigFault {
  /** `file:line:column`, or the name of the variable. */
  readonly where: string;
  readonly line: number | null;
  /** The key, as `providers.vault-main.address`. */
  readonly key: string;
  readonly detail: string;
}

/** A configuration that cannot be used, with everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(({ where, key, detail }) => `${where}: ${key === '' ? '' : `${key} `}${detail}`).join('\n'));
    this.faults = faults;
  }
}

export type ConfigPath = readonly (string | number)[];

export interface LoadOptions {
  readonly path: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Also looks at the files that the configuration names. */
  readonly checkFiles?: boolean;
}

/**
 * Reads, checks and freezes the configuration: one YAML file, then `MAYFLY_*` variables over it. Paths of files become
 * absolute, relative to the file's own folder. Throws `ConfigError` with every fault; rules between keys are looked at
 * once each key is right by itself.
 */
export function loadConfig({ path: given, env, checkFiles = false }: LoadOptions): Config {
  const path = resolve(given);
  const document = readConfigDocument(readText(path));
  if (document.faults.length > 0) {
    throw new ConfigError(document.faults.map(({ line, column, detail }) => ({ where: `${path}:${line}:${column}`, line, key: '', detail })));
  }
  const { overrides, faults } = environmentOverrides(env, document.value);
  const data = applyOverrides(document.value, overrides);

  const variableFor = (key: ConfigPath): string | undefined =>
    overrides.findLast((override) => override.key.every((part, index) => part === key[index]))?.variable;
  const locate = ({ key, detail }: RuleFault): ConfigFault => {
    const variable = variableFor(key);
    const { line, column } = document.placeOf(key);
    return { ...(variable === undefined ? { where: `${path}:${line}:${column}`, line } : { where: variable, line: null }), key: key.join('.'), detail };
  };

  const parsed = configSchema.safeParse(data);
  if (!parsed.success) throw new ConfigError([...faults, ...schemaFaults(parsed.error, data).map(locate)]);
  const config = absolutePaths(parsed.data, dirname(path));
  const ruleFaults = configFaults(config, { urlFromEnvironment: variableFor(['redis', 'url']) !== undefined });
  const all = [...faults, ...[...ruleFaults, ...(checkFiles ? fileFaults(config) : [])].map(locate)];
  if (all.length > 0) throw new ConfigError(all);
  return deepFreeze(config);
}

function readText(path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const detail = error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
      ? 'is not UTF-8'
      : 'cannot be read; name a configuration file with --config or MAYFLY_CONFIG';
    throw new ConfigError([{ where: path, line: null, key: '', detail }]);
  }
}

/** Keys whose value is the path of a file or folder. */
const PATH_KEY = /(^|_)(file|files|directory)$/;

function absolutePaths<T>(value: T, folder: string): T {
  const walk = (item: unknown, isPath: boolean): unknown => {
    if (typeof item === 'string') return isPath ? resolve(folder, item) : item;
    if (Array.isArray(item)) return item.map((element) => walk(element, isPath));
    if (typeof item === 'object' && item !== null) {
      return Object.fromEntries(Object.entries(item).map(([key, inner]) => [key, walk(inner, PATH_KEY.test(key))]));
    }
    return item;
  };
  return walk(value, false) as T;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
