import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicies, type CompiledPolicies, type PolicySources } from './compile-policies.ts';
import type { PolicySource } from './parse-policies.ts';
import { PolicyError } from './policy-error.ts';

const SCHEMA_FILE = 'schema.cedarschema';

/** Reads and compiles a folder: `schema.cedarschema` and every `*.cedar` beside it, not below it. Throws `PolicyError`. */
export const loadPolicies = (directory: string): CompiledPolicies => compilePolicies(readPolicies(directory));

/** The texts of a folder. Throws `PolicyError`. */
export function readPolicies(directory: string): PolicySources {
  const names = orRefuse(directory, () => readdirSync(directory)).filter((name) => name.endsWith('.cedar'));
  const source = (name: string): PolicySource => {
    const file = join(directory, name);
    return { file, text: orRefuse(file, () => readFileSync(file, 'utf8')) };
  };
  return { schema: source(SCHEMA_FILE), policies: names.sort().map(source) };
}

function orRefuse<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new PolicyError({ file }, `cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
  }
}
