import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicies, type CompiledPolicies } from './compile-policies.ts';
import { PolicyError } from './policy-error.ts';

const SCHEMA_FILE = 'schema.cedarschema';

/** Reads and compiles a folder: `schema.cedarschema` and every `*.cedar` beside it. Throws `PolicyError`. */
export function loadPolicies(directory: string): CompiledPolicies {
  const read = (name: string): { file: string; text: string } => {
    const file = join(directory, name);
    try {
      return { file, text: readFileSync(file, 'utf8') };
    } catch (cause) {
      throw new PolicyError(file, null, `cannot be read (${cause instanceof Error ? cause.message : String(cause)})`);
    }
  };
  const schema = read(SCHEMA_FILE);
  const files = readdirSync(directory).filter((name) => name.endsWith('.cedar')).sort();
  return compilePolicies({ schema, policies: files.map(read) });
}
