import { z } from 'zod';
import { configSchema } from './config-schema.ts';
import type { ConfigFault, ConfigPath } from './load-config.ts';
import { childOf, closestTo, keysOf, unwrap, valueAt } from './schema-walk.ts';

/** Variables with a meaning of their own; every other `MAYFLY_*` is a key of the configuration, or a mistake. */
const RESERVED = new Set(['MAYFLY_CONFIG', 'MAYFLY_ADDR', 'MAYFLY_TOKEN', 'MAYFLY_TOKEN_FILE', 'MAYFLY_CERT_FILE', 'MAYFLY_KEY_FILE', 'MAYFLY_CA_FILE', 'MAYFLY_QUIET', 'MAYFLY_VERBOSE', 'MAYFLY_LOG_LEVEL', 'MAYFLY_BAO_BIN', 'MAYFLY_PG_BIN']);
const RESERVED_PREFIX = /^MAYFLY_(TEST|TASK|DEV)_/;
/** Names that deployments of Redis hand out as they are. */
const ALIASES: Readonly<Record<string, string>> = { MAYFLY_REDIS_URL: 'MAYFLY_REDIS__URL' };

export interface Override {
  readonly variable: string;
  readonly key: ConfigPath;
  readonly value: unknown;
}

export interface EnvironmentOverrides {
  readonly overrides: readonly Override[];
  readonly faults: readonly ConfigFault[];
}

/**
 * The keys that variables set: `MAYFLY_HTTP__PORT=8200` is `http.port`, with two underscores between levels. Configured
 * names are written in capitals with `_` for `-` (`MAYFLY_PROVIDERS__VAULT_MAIN__ADDRESS`). Lists and mappings are JSON.
 *
 * @param data what the file says, to find configured names and the forms they chose
 */
export function environmentOverrides(env: Readonly<Record<string, string | undefined>>, data: unknown): EnvironmentOverrides {
  const overrides: Override[] = [];
  const faults: ConfigFault[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith('MAYFLY_') || RESERVED.has(variable) || RESERVED_PREFIX.test(variable)) continue;
    const target = resolveName((ALIASES[variable] ?? variable).slice('MAYFLY_'.length).split('__'), data);
    const setting = 'detail' in target ? target : parseText(text, target.schema);
    if ('detail' in setting) faults.push({ where: variable, line: null, key: 'key' in target ? target.key.join('.') : '', detail: setting.detail });
    else if ('key' in target) overrides.push({ variable, key: target.key, value: setting.value });
  }
  // The specification's own name for it, which agents' deployments set; what the file or a variable of Mayfly says comes first.
  const socket = env['SPIFFE_ENDPOINT_SOCKET'];
  const said = valueAt(valueAt(data, 'workload_api'), 'socket') !== undefined || overrides.some(({ key }) => key[0] === 'workload_api');
  if (socket !== undefined && !said) overrides.push({ variable: 'SPIFFE_ENDPOINT_SOCKET', key: ['workload_api', 'socket'], value: socket });
  return { overrides, faults };
}

/** The data with the variables written over it. What stands in the file for the same thing in another form is dropped. */
export function applyOverrides(data: unknown, overrides: readonly Override[]): unknown {
  return overrides.reduce(apply, data);
}

function apply(data: unknown, { key, value }: Override): unknown {
  // A URL from the environment replaces the file that holds one, and the other way round.
  const rival = { 'redis.url': 'url_file', 'redis.url_file': 'url' }[key.join('.')];
  return set(data, key, value, rival);
}

function set(data: unknown, key: ConfigPath, value: unknown, rival: string | undefined): unknown {
  const [part, ...rest] = key;
  if (part === undefined) return value;
  const inner = typeof data === 'object' && data !== null && !Array.isArray(data) ? (data as Record<string, unknown>) : {};
  const kept = Object.entries(inner).filter(([name]) => rest.length > 0 || name !== rival);
  return { ...Object.fromEntries(kept), [part]: set(valueAt(inner, part), rest, value, rival) };
}

type Refused = { readonly detail: string };

function resolveName(segments: readonly string[], data: unknown): { readonly key: ConfigPath; readonly schema: z.ZodType } | Refused {
  const key: string[] = [];
  let schema: z.ZodType = configSchema;
  let value = data;
  for (const segment of segments) {
    const names = namesAt(schema, value);
    const name = names?.find((candidate) => variableForm(candidate) === segment) ?? (isRecord(schema) ? segment.toLowerCase().replaceAll('_', '-') : undefined);
    const child = name === undefined ? undefined : childOf(schema, name, value);
    if (name === undefined || child === undefined) return { detail: unknownVariable(key, segment, names) };
    key.push(name);
    value = valueAt(value, name);
    schema = child;
  }
  return { key, schema };
}

const isRecord = (schema: z.ZodType): boolean => unwrap(schema) instanceof z.ZodRecord;

/** The names a level has: those of the schema, or those that the file configured. */
function namesAt(schema: z.ZodType, value: unknown): string[] | undefined {
  if (isRecord(schema)) return Object.keys(typeof value === 'object' && value !== null ? value : {});
  const keys = keysOf(schema, value);
  return keys === undefined ? undefined : [...keys.keys()];
}

const variableForm = (name: string): string => name.toUpperCase().replaceAll('-', '_');

function unknownVariable(above: readonly string[], segment: string, names: readonly string[] | undefined): string {
  const place = above.length === 0 ? 'the configuration' : above.join('.');
  if (names === undefined) return `sets nothing: ${place} has no keys below it; give a list or a mapping as JSON`;
  const prefix = ['MAYFLY', ...above.map(variableForm)].reduce((name, part, index) => (index === 1 ? `${name}_${part}` : `${name}__${part}`));
  const known = names.map((name) => `${prefix}${above.length === 0 ? '_' : '__'}${variableForm(name)}`);
  const meant = closestTo(segment, names.map(variableForm));
  const suggestion = meant === undefined ? '.' : `; did you mean ${known[names.findIndex((name) => variableForm(name) === meant)] ?? ''}?`;
  return `is not a variable of Mayfly: ${place} has no such key${suggestion} Allowed here: ${known.join(', ')}`;
}

/** A variable is text; what it stands for is the schema's to say. Text that does not fit is left to the schema to refuse. */
function parseText(text: string, schema: z.ZodType): { readonly value: unknown } | Refused {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodNumber) return { value: /^-?\d{1,15}$/.test(text) ? Number(text) : text };
  if (inner instanceof z.ZodBoolean) return { value: text === 'true' ? true : text === 'false' ? false : text };
  if (inner instanceof z.ZodArray || inner instanceof z.ZodRecord || keysOf(inner, undefined) !== undefined) {
    try {
      return { value: JSON.parse(text) as unknown };
    } catch {
      return { detail: `must be JSON, such as ${inner instanceof z.ZodArray ? '["a", "b"]' : '{"key": "value"}'}` };
    }
  }
  return { value: text };
}
