import type { z } from 'zod';
import { looksSecret } from '../telemetry/strip-secrets.ts';
import type { RuleFault } from './rules/rule-fault.ts';
import { configSchema } from './config-schema.ts';
import type { ConfigPath } from './load-config.ts';
import { childOf, closestTo, keysOf, valueAt } from './schema-walk.ts';

/** What the schema finds wrong with the data, each fault saying what is allowed, and what was found where that is no secret. */
export function schemaFaults(error: z.ZodError, data: unknown): RuleFault[] {
  return error.issues.flatMap((issue) => faultsOf(issue, data));
}

function faultsOf(issue: z.core.$ZodIssue, data: unknown): RuleFault[] {
  const key = issue.path as ConfigPath;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((name) => ({ key: [...key, name], detail: unknownKey(key, name, data) }));
  const found = at(key, data);
  if (found === undefined) return [{ key, detail: `is required${missingHint(issue)}` }];
  return [{ key, detail: `${allowed(issue)}${issue.code === 'invalid_type' || typeof found !== 'object' ? foundText(key, found) : ''}` }];
}

function allowed(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${TYPE_NAMES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'invalid_union':
      return `must be one of ${unionOptions(issue).join(', ')}`;
    case 'too_big':
      return bound('at most', issue.maximum, issue.origin);
    case 'too_small':
      return bound('at least', issue.minimum, issue.origin);
    case 'invalid_key':
      return `has a name that must be ${issue.issues[0]?.message ?? 'different'}`;
    case 'invalid_format':
      return `must be ${issue.format === 'url' && issue.pattern !== undefined ? `a URL with a scheme that fits ${issue.pattern}` : issue.message}`;
    default:
      return `must be ${issue.message}`;
  }
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping of keys',
  record: 'a mapping of names',
};

function bound(relation: 'at least' | 'at most', limit: number | bigint, origin: string): string {
  if (origin === 'string' && relation === 'at least' && limit === 1) return 'must not be empty';
  if (origin === 'string') return `must be ${relation} ${limit.toString()} characters long`;
  if (origin === 'array') return `must have ${relation} ${limit.toString()} item${limit === 1 ? '' : 's'}`;
  return `must be ${relation} ${limit.toString()}`;
}

const unionOptions = (issue: z.core.$ZodIssueInvalidUnion): string[] =>
  'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : ['the documented forms'];

function missingHint(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_union') return `, and must be one of ${unionOptions(issue).join(', ')}`;
  return issue.code === 'invalid_value' ? `, and must be one of ${issue.values.map(String).join(', ')}` : '';
}

function unknownKey(path: ConfigPath, name: string, data: unknown): string {
  const known = [...(allowedKeys(path, data) ?? [])];
  const meant = closestTo(name, known);
  return `is not a known key${meant === undefined ? '.' : `; did you mean ${meant}?`} Allowed here: ${known.join(', ')}`;
}

function allowedKeys(path: ConfigPath, data: unknown): Iterable<string> | undefined {
  let schema: z.ZodType | undefined = configSchema;
  let value = data;
  for (const part of path) {
    schema = schema && childOf(schema, part, value);
    value = valueAt(value, part);
  }
  return schema && keysOf(schema, value)?.keys();
}

const at = (path: ConfigPath, data: unknown): unknown => path.reduce(valueAt, data);

/** Keys under which people paste secrets; what they hold is never repeated. */
const SECRET_KEY = /secret|token|password|key|login|file|(?:url|address|issuer)$/i;
/** Longer than any value that is right but for a slip, and long enough to be a secret. */
const SHOWN_CHARS = 40;

function foundText(path: ConfigPath, found: unknown): string {
  if (found === null) return '; it is empty';
  if (Array.isArray(found)) return '; it is a list';
  if (typeof found === 'object') return '; it is a mapping';
  const text = JSON.stringify(found);
  const hidden = path.some((part) => SECRET_KEY.test(String(part))) || looksSecret(text) || text.length > SHOWN_CHARS || found === '';
  return hidden ? '' : `; found ${text}`;
}
