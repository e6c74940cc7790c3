import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument, isMap, isScalar, isSeq, type Document, type Node } from 'yaml';
import type { z } from 'zod';
import { configFaults } from './config-rules.ts';
import { configSchema, type Config } from './config-schema.ts';
import { environmentOverrides } from './environment.ts';

/** One fault: where it is, and what is allowed there. Never the value itself: it could be a secret. */
export interface ConfigFault {
  /** File and line, or the name of the variable. */
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
    super(faults.map((fault) => `${fault.where}: ${fault.key === '' ? '' : `${fault.key}: `}${fault.detail}`).join('\n'));
    this.faults = faults;
  }
}

export type ConfigPath = readonly (string | number)[];

/**
 * Reads, checks and freezes the configuration: one YAML file, then `MAYFLY_*` variables over it. Paths of files become
 * absolute, relative to the file's own folder. Throws `ConfigError` with every fault.
 */
export function loadConfig(options: { readonly path: string; readonly env: Readonly<Record<string, string | undefined>> }): Config {
  const path = resolve(options.path);
  const lines = new LineCounter();
  const document = parseYaml(path, lines);
  const overrides = environmentOverrides(options.env);
  if (overrides.faults.length > 0) throw new ConfigError(overrides.faults);

  const locate = (key: ConfigPath): Pick<ConfigFault, 'where' | 'line'> => {
    const variable = overrides.variableFor(key);
    if (variable !== undefined) return { where: variable, line: null };
    const line = lineOf(document, key, lines);
    return { where: `${path}:${line}`, line };
  };
  const fault = (key: ConfigPath, detail: string): ConfigFault => ({ ...locate(key), key: key.join('.'), detail });

  const raw = overrides.apply(document.toJS({ maxAliasCount: 0 }) ?? {});
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.flatMap((issue) => faultsOf(issue, fault)));
  const config = absolutePaths(parsed.data, dirname(path));
  const faults = configFaults(config, { urlFromEnvironment: overrides.variableFor(['redis', 'url']) !== undefined });
  if (faults.length > 0) throw new ConfigError(faults.map(({ key, detail }) => fault(key, detail)));
  return deepFreeze(config);
}

function parseYaml(path: string, lines: LineCounter): Document.Parsed {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new ConfigError([{ where: path, line: null, key: '', detail: 'cannot be read; name a configuration file with --config or MAYFLY_CONFIG' }]);
  }
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    throw new ConfigError(
      broken.map((error) => {
        const line = lines.linePos(error.pos[0]).line;
        return { where: `${path}:${line}`, line, key: '', detail: `is not valid YAML: ${error.message.split('\n')[0] ?? ''}` };
      }),
    );
  }
  if (document.contents !== null && !isMap(document.contents)) {
    throw new ConfigError([{ where: `${path}:1`, line: 1, key: '', detail: 'must be a mapping of keys' }]);
  }
  return document;
}

/** The line of a key, or of the nearest thing above it that is there. */
function lineOf(document: Document.Parsed, key: ConfigPath, lines: LineCounter): number {
  let node: Node | null = document.contents;
  let line = 1;
  for (const part of key) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) break;
      if (isScalar(pair.key) && pair.key.range) line = lines.linePos(pair.key.range[0]).line;
      node = (pair.value ?? null) as Node | null;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)] as Node | undefined;
      if (item === undefined) break;
      if (item.range) line = lines.linePos(item.range[0]).line;
      node = item;
    } else break;
  }
  return line;
}

function faultsOf(issue: z.core.$ZodIssue, fault: (key: ConfigPath, detail: string) => ConfigFault): ConfigFault[] {
  const path = issue.path as ConfigPath;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => fault([...path, key], 'is not a known key'));
    case 'invalid_type':
      return [fault(path, issue.input === undefined ? 'is required' : `must be ${issue.expected === 'int' ? 'a whole number' : `of type ${issue.expected}`}`)];
    case 'invalid_value':
      return [fault(path, `must be one of ${issue.values.map(String).join(', ')}`)];
    case 'invalid_union':
      return [fault(path, unionDetail(issue))];
    case 'too_big':
      return [fault(path, `must be at most ${String(issue.maximum)}`)];
    case 'too_small':
      return [fault(path, `must be at least ${String(issue.minimum)}${issue.origin === 'array' ? ' items' : ''}`)];
    case 'invalid_key':
      return [fault(path, `has a name that must be ${issue.issues[0]?.message ?? 'different'}`)];
    default:
      return [fault(path, `must be ${issue.message}`)];
  }
}

/** A discriminated union names its discriminator; what it may be is in the schema, next to the key. */
function unionDetail(issue: z.core.$ZodIssueInvalidUnion): string {
  const found = 'discriminator' in issue ? issue.discriminator : undefined;
  return typeof found === 'string' ? `has a ${found} that is not one of those allowed` : 'has none of the allowed forms';
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
